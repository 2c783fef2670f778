"""Pictures in the place of the teacher's own: made noisy, with the guided teacher's prediction.

The states are those that a diffusion model is trained on, x = alpha x0 + sigma noise, as in Meng
et al., "On Distillation of Guided Diffusion Models", arXiv:2210.03142, algorithm 1, and Luo et al.,
"Latent Consistency Models", arXiv:2310.04378, algorithm 1. Each picture has one noise for all
levels. A set has the form of trajectories, but no state leads to the next.
"""

from collections.abc import Callable
from pathlib import Path

import torch

from .network import Network
from .trajectories import (
    Request,
    Trajectories,
    noise_and_teacher,
    shards_of,
    stacked,
    velocity_of,
)


def left(request: Request, folder: Path) -> list[int]:
    """The numbers of the pictures that a set still lacks; errors as of `make_of_pictures`."""
    return [i for numbers in shards_of(request, folder, 1).missing() for i in numbers]


def make_of_pictures(
    network: Network,
    request: Request,
    folder: Path,
    x0: Callable[[int], torch.Tensor],
    *,
    batch=8,
    on_step=lambda done: None,
) -> Trajectories:
    """Make a set of noisy pictures, or what is missing of it.

    Args:
        request: with source "pictures"; rows are those of their captions.
        folder: of this set alone; what a run that was cut off left there is gone on with.
        x0: number of a picture -> [C, ...], as the network is trained on it; asked of `left` alone.
        batch: pictures at a time, and in one file.
        on_step: called with the number of pictures that have just been predicted at a level.

    Raises:
        ValueError: the folder holds something else, what it holds is damaged, or a picture is of
            another shape.
        OSError: the disk is full or the folder cannot be written to.
    """
    shards = shards_of(request, folder, batch)
    for numbers in shards.missing():
        clean = torch.stack([_checked(request, x0(i), i) for i in numbers])
        shards.write(numbers, _noisy(network, request, numbers, clean, on_step))
    return Trajectories(shards, network.process)


@torch.no_grad()
def _noisy(network, request, numbers, x0, on_step):
    """States and velocities of these pictures at every level."""
    process, path, velocity = network.process, [], []
    noise, denoise = noise_and_teacher(network, request, numbers)
    x0 = x0.to(noise)
    for sigma in request.sigmas[:-1]:
        x = process.mix(x0, noise, sigma)
        path.append(x / process.std(sigma))
        velocity.append(velocity_of(process).from_denoised(x, denoise(x, sigma), sigma))
        on_step(len(numbers))
    return stacked(request, [*path, x0], velocity)


def _checked(request, x0, number):
    if tuple(x0.shape) != tuple(request.shape):
        raise ValueError(
            f"picture {number} is {list(x0.shape)} encoded, and all are to be "
            f"{list(request.shape)}. Encode every picture at one size."
        )
    return x0

"""The teacher's guided paths from noise to picture, made once and kept on disk.

Training on the states that sampling meets, with the guided prediction at each of them, needs no
pictures and no second network: Jensen and Sadat, "Efficient Distillation of Classifier-Free
Guidance using Adapters", arXiv:2503.07274.
States are kept in their unit-variance form and predictions as velocities (v for VE, flow for FLOW),
since both are of size 1 at every level: in float16 an x0 estimate close to x would lose its noise.
"""

import math
from pathlib import Path
from typing import NamedTuple

import torch

from ..diffusion.prediction import FLOW_VELOCITY, Prediction, V
from ..diffusion.process import Process
from ..samplers.ode import sample_euler
from ..samplers.start import start
from .network import Network, guided_denoiser
from .shards import Shards
from .sizes import trajectory_bytes

KIND = "teacher trajectories"
# what a set is of: the teacher's own paths, or pictures made noisy
TEACHER, PICTURES = "teacher", "pictures"


class Request(NamedTuple):
    """What a set of trajectories is made of; two equal requests give equal sets.

    Attributes:
        teacher: fingerprint of the network and its conditions.
        process: name of it.
        sigmas: N + 1 falling levels, the last 0.
        cfg_scales: of the teacher in each trajectory; 1 is no guidance.
        shape: [C, ...] of one latent.
        rows: row of the condition of each trajectory.
        seeds: seed of the noise of each.
        dtype: "float16" or "float32", of the numbers on disk.
        source: "teacher", or "pictures" whose states are no path, see pictures.py.
        content: of pictures, what tells them from others.
    """

    teacher: str
    process: str
    sigmas: tuple[float, ...]
    cfg_scales: tuple[float, ...]
    shape: tuple[int, ...]
    rows: tuple[int, ...]
    seeds: tuple[int, ...]
    dtype: str = "float16"
    source: str = TEACHER
    content: str = ""

    @property
    def has_paths(self) -> bool:
        """Whether each state is where the teacher came to from the one before."""
        return self.source == TEACHER

    def described(self) -> dict:
        """Its fields, to be compared with those of others.

        A teacher's set has no source and content among them, as those made before there were
        pictures.
        """
        fields = self._asdict()
        if self.has_paths:
            del fields["source"], fields["content"]
        return fields

    @property
    def is_of_one_cfg(self) -> bool:
        return len(set(self.cfg_scales)) == 1

    @property
    def cfg_range(self) -> tuple[float, float] | None:
        """Lowest and highest cfg_scale that a student can be told, in tenths; None for one."""
        if self.is_of_one_cfg:
            return None
        return math.floor(10 * min(self.cfg_scales)) / 10, math.ceil(10 * max(self.cfg_scales)) / 10

    def bytes_on_disk(self) -> int:
        """Size of the whole set."""
        number = getattr(torch, self.dtype).itemsize
        return trajectory_bytes(len(self.rows), 1, len(self.sigmas) - 1, self.shape, number)


class Trajectories:
    """A set of trajectories that is whole.

    Args:
        shards: its files.
        process: VE or FLOW.

    Raises:
        ValueError: the set is not whole, damaged, or of something else.
    """

    def __init__(self, shards: Shards, process: Process):
        self.request = request_in(shards)
        self.process = process
        if self.request.process != process.name:
            raise ValueError(
                f"{shards.folder} holds trajectories of a {self.request.process} model, and this "
                f"one is {process.name}. Make the teacher's data anew with this model."
            )
        shards.check()
        self.rows = torch.tensor(self.request.rows)
        self.cfg_scales = torch.tensor(self.request.cfg_scales)
        self._path, self._velocity = shards.tensors("path"), shards.tensors("velocity")
        self._sigmas = torch.tensor(self.request.sigmas)
        self._stds = torch.tensor([process.std(sigma) for sigma in self.request.sigmas])

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def spans(self) -> tuple[range, ...]:
        """The numbers of the trajectories of each size; here there is one."""
        return (range(len(self)),)

    @property
    def largest(self) -> "Trajectories":
        """The set of the largest latents."""
        return self

    def shape_of(self, number: int) -> tuple[int, ...]:
        """[C, ...] of the latents of a trajectory."""
        return self.request.shape

    def sigma(self, level):
        """The levels [B, 1, ...] by their numbers [B], 0 the noisiest."""
        return _like(self._sigmas[level], self.request.shape)

    def x(self, index, level):
        """States [B, C, ...] of trajectories by their numbers [B] at levels [B], 0 the noisiest."""
        return self._take(self._path, index, level) * _like(self._stds[level], self.request.shape)

    def guided_x0(self, index, level):
        """The guided x0 estimates [B, C, ...] there; the last level, which is clean, has none."""
        velocity = self._take(self._velocity, index, level)
        return velocity_of(self.process).to_denoised(
            self.x(index, level), velocity, self.sigma(level)
        )

    def x0(self, index):
        """Where the trajectories end, [B, C, ...]."""
        return self.x(index, torch.full_like(index, len(self._sigmas) - 1))

    def _take(self, shards, index, level):
        pairs = zip(index.tolist(), level.tolist(), strict=True)
        return torch.stack([shards[i][k] for i, k in pairs]).float()


def request_in(shards: Shards) -> Request:
    """What a set on disk is made of; it need not be whole."""
    return Request(**{k: _tuples(v) for k, v in shards.request.items()})


def make(network: Network, request: Request, folder: Path, *, batch=8, on_step=lambda done: None):
    """Make a set of trajectories, or what is missing of it.

    Args:
        folder: of this set alone; what a run that was cut off left there is gone on with.
        batch: trajectories at a time, and in one file.
        on_step: called with the number of trajectories that have just taken a level.

    Returns:
        the Trajectories.

    Raises:
        ValueError: the folder holds something else, or what it holds is damaged.
        OSError: the disk is full or the folder cannot be written to.
    """
    shards = shards_of(request, folder, batch)
    for numbers in shards.missing():
        shards.write(numbers, _sampled(network, request, numbers, on_step))
    return Trajectories(shards, network.process)


def missing(request: Request, folder: Path) -> int:
    """How many trajectories of a set are still to be made; errors as of `make`."""
    return sum(map(len, shards_of(request, folder, 1).missing()))


def shards_of(request: Request, folder: Path, batch: int) -> Shards:
    """The files of a set, whole or not; errors as of `make`."""
    return Shards(folder, KIND, request.described(), len(request.rows), per_file=batch)


@torch.no_grad()
def _sampled(network, request, numbers, on_step):
    """Path and velocities of the trajectories of these numbers."""
    process, path, velocity = network.process, [], []

    def keep(i, x, denoised):
        # inputs are kept as they were met, so that what is read back is what was predicted
        sigma = request.sigmas[i]
        path.append(x / process.std(sigma))
        velocity.append(velocity_of(process).from_denoised(x, denoised, sigma))
        on_step(len(numbers))

    noise, denoise = noise_and_teacher(network, request, numbers)
    x = start(noise, torch.zeros_like(noise), request.sigmas[0], process=process)
    path.append(sample_euler(denoise, x, request.sigmas, process=process, on_step=keep))
    return stacked(request, path, velocity)


def noise_and_teacher(network, request, numbers):
    """Noise [B, C, ...] of the trajectories of these numbers, and their (x, sigma) -> guided x0."""
    noise = torch.stack([noise_of(request.seeds[i], request.shape) for i in numbers])
    rows = torch.tensor([request.rows[i] for i in numbers])
    cfg_scales = torch.tensor([request.cfg_scales[i] for i in numbers]).to(network.device)
    return noise.to(network.device), guided_denoiser(network, rows, cfg_scales)


def stacked(request, path, velocity):
    """What is written of some trajectories: states and velocities, level after level."""
    dtype = getattr(torch, request.dtype)
    tensors = {"path": torch.stack(path, 1), "velocity": torch.stack(velocity, 1)}
    return {name: tensor.to("cpu", dtype) for name, tensor in tensors.items()}


def noise_of(seed: int, shape) -> torch.Tensor:
    """Standard normal noise [C, ...] as ComfyUI draws it for one picture of this seed."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def velocity_of(process: Process) -> Prediction:
    """What predictions are kept as."""
    return FLOW_VELOCITY if process.alpha_slope else V


def _like(values, shape):
    return values.view(-1, *[1] * len(shape))


def _tuples(value):
    return tuple(value) if isinstance(value, list) else value

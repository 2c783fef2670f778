"""Each method bound to a network and its teacher's data, ready to be trained.

A method draws what is random for a whole batch at once, so that a batch computed in parts, or by
several processes, is the same batch.
"""

import copy
from functools import partial
from typing import NamedTuple

import torch
from torch.utils.checkpoint import checkpoint

from .guidance import guidance_loss
from .knowledge import endpoint_loss, segment_loss
from .lora import Lora
from .network import Network, denoiser
from .training import Method, Turn
from .trajectories import Trajectories

WEIGHTING = "v"


class Setting(NamedTuple):
    """What a method works on.

    Attributes:
        held_out: the last trajectories, which are left for validation.
        base: LoRAs that are on for good under the student, such as a baked guidance.
    """

    network: Network
    data: Trajectories
    rank: int
    lora_alpha: float
    seed: int
    held_out: int = 0
    base: tuple[Lora, ...] = ()


class States(NamedTuple):
    """Places on trajectories: [count] numbers of trajectories and of their levels."""

    index: torch.Tensor
    level: torch.Tensor


def bake_guidance(setting: Setting) -> Method:
    """One pass of the student for two of the teacher, at every level of the data."""
    network, data = setting.network, setting.data
    student, average = begin(setting)

    def loss(batch):
        return guidance_loss(
            _student(setting, student, batch.index),
            data.x(*batch).to(network.device),
            data.sigma(batch.level).to(network.device),
            data.guided_x0(*batch).to(network.device),
            process=network.process,
            weighting=WEIGHTING,
        )

    levels = torch.arange(len(data.request.sigmas) - 1)
    return Method(student, average, (Turn("student", student, loss),), _draw(setting, levels))


def match_segments(setting: Setting, steps: int) -> Method:
    """Each step of the student for the stretch of the teacher's trajectory that it stands for."""
    network, data = setting.network, setting.data
    student, average = begin(setting)
    anchors = anchor_levels(data, steps)

    def loss(batch):
        after = anchors[torch.searchsorted(anchors, batch.level) + 1]
        return segment_loss(
            _student(setting, student, batch.index),
            data.x(*batch).to(network.device),
            data.sigma(batch.level).to(network.device),
            data.x(batch.index, after).to(network.device),
            data.sigma(after).to(network.device),
            process=network.process,
            weighting=WEIGHTING,
        )

    turns = (Turn("student", student, loss),)
    return Method(student, average, turns, _draw(setting, anchors[:-1]))


def match_endpoint(setting: Setting, steps: int) -> Method:
    """The whole run of the student, noise to picture, for the whole run of the teacher."""
    network, data = setting.network, setting.data
    student, average = begin(setting)
    anchors = anchor_levels(data, steps)
    sigmas = [data.request.sigmas[level] for level in anchors]
    # a run of several passes would keep what every one of them has computed
    step = partial(checkpoint, use_reentrant=False, preserve_rng_state=False)

    def loss(batch):
        return endpoint_loss(
            _student(setting, student, batch.index),
            data.x(*batch).to(network.device),
            sigmas,
            data.x0(batch.index).to(network.device),
            step=step,
        )

    turns = (Turn("student", student, loss),)
    return Method(student, average, turns, _draw(setting, anchors[:1]))


def begin(setting: Setting) -> tuple[Lora, Lora]:
    """A student that changes nothing yet, and the average that will follow it."""
    generator = torch.Generator().manual_seed(setting.seed)
    layers = setting.network.hooks.layers
    student = Lora(layers, setting.rank, setting.lora_alpha, generator)
    student.to(setting.network.device)
    return student, copy.deepcopy(student).requires_grad_(False)


def anchor_levels(data: Trajectories, steps: int) -> torch.Tensor:
    """The numbers [steps + 1] of the data's levels that a student of so many steps is used at.

    Raises:
        ValueError: the teacher's steps are no multiple of the student's.
    """
    passes = len(data.request.sigmas) - 1
    if not 1 <= steps <= passes or passes % steps:
        allowed = [str(n) for n in range(1, passes + 1) if passes % n == 0]
        raise ValueError(
            f"steps is {steps}, and the teacher's data has {passes} steps; allowed are its "
            f"divisors {', '.join(allowed)}. Choose one, or make data with {steps * 12} steps."
        )
    return torch.arange(0, passes + 1, passes // steps)


def trained_on(setting: Setting) -> int:
    """How many trajectories are trained on.

    Raises:
        ValueError: none is left.
    """
    count = len(setting.data) - setting.held_out
    if count < 1:
        raise ValueError(
            f"the teacher's data has {len(setting.data)} trajectories, and {setting.held_out} of "
            "them are held out for validation; none is left. Make more, or validate fewer."
        )
    return count


def _student(setting, student, index):
    rows = setting.data.rows[index]
    return denoiser(setting.network, rows, *setting.base, student)


def _draw(setting, levels):
    count = trained_on(setting)

    def draw(generator, size):
        index = torch.randint(count, (size,), generator=generator)
        level = levels[torch.randint(len(levels), (size,), generator=generator)]
        return States(index, level)

    return draw


# methods that make a student of few steps, by name
STEPS = {"segments": match_segments, "endpoint": match_endpoint}

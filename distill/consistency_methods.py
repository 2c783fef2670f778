"""Consistency bound to a network and its data: LCM, TCD, PCM, and training without a teacher."""

from typing import NamedTuple

import torch

from .consistency import consistency_distillation_loss, consistency_training_loss, ict_c
from .consistency_function import consistency_function, lcm_levels, neighbours
from .methods import States
from .setting import (
    Setting,
    anchor_sigmas,
    begin,
    choose_from,
    choose_trajectories,
    noise_for,
    trained_on,
)
from .training import Method, Turn
from .trajectory_consistency import draw_landing, phase_edge, trajectory_consistency_loss


class Noised(NamedTuple):
    """Pictures made noisy: [count] numbers of trajectories, noise, and points of a grid."""

    index: torch.Tensor
    noise: torch.Tensor
    point: torch.Tensor


class Hops(NamedTuple):
    """The same, and levels [count, 1, ...] where hops land."""

    index: torch.Tensor
    noise: torch.Tensor
    point: torch.Tensor
    landing: torch.Tensor


def lcm(setting: Setting) -> Method:
    """LCM-LoRA: arXiv:2311.05556, algorithm 1, on the teacher's pictures."""
    student, average = begin(setting)
    levels = grid(setting)

    def loss(batch):
        x0, noise, sigma, sigma_next = _noised(setting, batch, levels)
        x = setting.network.process.mix(x0, noise, sigma)
        with torch.no_grad():
            guided_x0 = setting.teacher(batch.index)(x, sigma)
        functions = (_function(setting, lora, batch.index) for lora in (student, average))
        return consistency_distillation_loss(*functions, guided_x0, x, sigma, sigma_next)

    turns = (Turn("student", student, loss),)
    return Method(student, average, turns, _draw(setting, levels))


def train_consistency(setting: Setting) -> Method:
    """Consistency training without a teacher (iCT): its target is the student itself."""
    student, average = begin(setting)
    levels = grid(setting)

    def loss(batch):
        f = _function(setting, student, batch.index)
        places = _noised(setting, batch, levels)
        c = ict_c(batch.noise[0].numel())
        return consistency_training_loss(f, f, *places, c, process=setting.network.process)

    turns = (Turn("student", student, loss),)
    return Method(student, average, turns, _draw(setting, levels))


def tcd(setting: Setting) -> Method:
    """Trajectory consistency: hops from any level land together at any lower one."""
    student, average = begin(setting)
    # its hops need no boundary, so the last neighbour is clean itself
    levels = [*grid(setting)[:-1], 0.0]
    draw_noised = _draw(setting, levels)

    def draw(generator, size):
        index, noise, point = draw_noised(generator, size)
        _, sigma_next = neighbours(levels, point, noise)
        return Hops(index, noise, point, draw_landing(levels, sigma_next, generator))

    def loss(batch):
        x0, noise, sigma, sigma_next = _noised(setting, batch, levels)
        (landing,) = setting.on_device(batch.landing)
        x = setting.network.process.mix(x0, noise, sigma)
        with torch.no_grad():
            guided_x0 = setting.teacher(batch.index)(x, sigma)
        predict, target = (setting.student(lora, batch.index) for lora in (student, average))
        return trajectory_consistency_loss(
            predict, target, guided_x0, x, sigma, sigma_next, landing
        )

    return Method(student, average, (Turn("student", student, loss),), draw)


def pcm(setting: Setting, steps: int) -> Method:
    """Phased consistency on cached states: hops land at the student's levels.

    The data holds what the teacher predicts there, so that no iteration runs it.
    """
    data = setting.data
    student, average = begin(setting)
    edges = anchor_sigmas(data, steps)
    spans, passes = trained_on(setting), len(data.request.sigmas) - 1

    def draw(generator, size):
        index = choose_trajectories(spans, size, generator)
        return States(index, choose_from(passes, size, generator))

    def loss(batch):
        sigma_next = data.sigma(batch.level + 1)
        places = setting.on_device(
            data.guided_x0(*batch),
            data.x(*batch),
            data.sigma(batch.level),
            sigma_next,
            phase_edge(edges, sigma_next),
        )
        predict, target = (setting.student(lora, batch.index) for lora in (student, average))
        return trajectory_consistency_loss(predict, target, *places)

    return Method(student, average, (Turn("student", student, loss),), draw)


def grid(setting: Setting) -> list[float]:
    """LCM's levels of a network with timesteps; for a flow model the teacher's own."""
    if setting.network.table is None:
        return list(setting.data.request.sigmas)
    return lcm_levels(setting.network.table)


def _function(setting, lora, index):
    return consistency_function(setting.student(lora, index), setting.network.table)


def _noised(setting, batch, levels):
    """x0, noise, sigma, sigma_next of a batch where the network is."""
    x0, noise, point = setting.on_device(setting.data.x0(batch.index), batch.noise, batch.point)
    return x0, noise, *neighbours(levels, point, x0)


def _draw(setting, levels):
    spans = trained_on(setting)

    def draw(generator, size):
        index = choose_trajectories(spans, size, generator)
        noise = noise_for(setting, index, generator)
        return Noised(index, noise, choose_from(len(levels) - 1, size, generator))

    return draw

"""Regression to what the teacher's cached trajectories hold, bound to a network and its data.

A method draws what is random for a whole batch at once, so that a batch computed in parts, or by
several processes, is the same batch.
"""

from functools import partial
from typing import NamedTuple

import torch
from torch.utils.checkpoint import checkpoint

from .guidance import guidance_loss
from .knowledge import endpoint_loss, segment_loss
from .lora import Lora
from .progressive import WEIGHTING as PROGRESSIVE
from .progressive import every_second
from .setting import (
    Setting,
    anchor_levels,
    anchor_sigmas,
    begin,
    choose_from,
    choose_trajectories,
    noise_for,
    trained_on,
)
from .training import Method, Turn

WEIGHTING = "v"


class States(NamedTuple):
    """Places on trajectories: [count] numbers of trajectories and of their levels."""

    index: torch.Tensor
    level: torch.Tensor


class Runs(NamedTuple):
    """Steps of runs from fresh noise, those of one run side by side.

    [count] numbers of the trajectories whose condition a run has, of the run and of its step, and
    the noise that the run starts from, [count, C, ...].
    """

    index: torch.Tensor
    run: torch.Tensor
    step: torch.Tensor
    noise: torch.Tensor


def bake_guidance(setting: Setting) -> Method:
    """One pass of the student for two of the teacher, at every level of the data.

    Raises:
        ValueError: the data was made without guidance.
    """
    data = setting.data
    if max(data.request.cfg_scales) == 1.0:
        raise ValueError(
            "the teacher's data was made with cfg 1, which is no guidance, so there is nothing to "
            "bake. Make data with the cfg you like best."
        )
    student, average = begin(setting)

    def loss(batch):
        x, sigma, wanted = setting.on_device(
            data.x(*batch), data.sigma(batch.level), data.guided_x0(*batch)
        )
        predict = setting.student(student, batch.index)
        options = {"process": setting.network.process, "weighting": WEIGHTING}
        return guidance_loss(predict, x, sigma, wanted, **options)

    levels = torch.arange(len(data.request.sigmas) - 1)
    return Method(student, average, (Turn("student", student, loss),), _draw(setting, levels))


def match_segments(setting: Setting, steps: int) -> Method:
    """Each step of the student for the stretch of the teacher's trajectory that it stands for."""
    data = setting.data
    student, average = begin(setting)
    anchors = anchor_levels(data, steps)

    def loss(batch):
        after = anchors[torch.searchsorted(anchors, batch.level) + 1]
        places = setting.on_device(
            data.x(*batch),
            data.sigma(batch.level),
            data.x(batch.index, after),
            data.sigma(after),
        )
        predict = setting.student(student, batch.index)
        options = {"process": setting.network.process, "weighting": WEIGHTING}
        return segment_loss(predict, *places, **options)

    turns = (Turn("student", student, loss),)
    return Method(student, average, turns, _draw(setting, anchors[:-1]))


def match_endpoint(setting: Setting, steps: int) -> Method:
    """The whole run of the student, noise to picture, for the whole run of the teacher."""
    data = setting.data
    student, average = begin(setting)
    sigmas = anchor_sigmas(data, steps)
    # a run of several passes would keep what every one of them has computed
    step = partial(checkpoint, use_reentrant=False, preserve_rng_state=False)

    def loss(batch):
        x, x0 = setting.on_device(data.x(*batch), data.x0(batch.index))
        return endpoint_loss(setting.student(student, batch.index), x, sigmas, x0, step=step)

    turns = (Turn("student", student, loss),)
    return Method(student, average, turns, _draw(setting, torch.zeros(1, dtype=torch.long)))


def halve(setting: Setting, steps: int, teacher: Lora) -> Method:
    """Each step of the student for two of a student with twice as many, from which it begins.

    The teacher runs from fresh noise, and each of its runs serves for every step of the student.
    """
    process = setting.network.process
    student, average = begin(setting, teacher)
    anchors, spans = anchor_sigmas(setting.data, 2 * steps), trained_on(setting)

    def loss(batch):
        is_new = torch.cat([torch.ones(1, dtype=torch.bool), batch.run.diff() != 0])
        noise, run, step, levels = setting.on_device(
            batch.noise[is_new], is_new.cumsum(0) - 1, batch.step, torch.tensor(anchors[::2])
        )
        taught_by = setting.student(teacher, batch.index[is_new])
        way = every_second(taught_by, process.std(anchors[0]) * noise, anchors, process=process)
        levels = levels.view(-1, *[1] * (noise.ndim - 1))
        places = way[step, run], levels[step], way[step + 1, run], levels[step + 1]
        predict = setting.student(student, batch.index)
        return segment_loss(predict, *places, process=process, weighting=PROGRESSIVE)

    def draw(generator, size):
        # a batch may begin and end within a run, so that each step is as likely
        place = choose_from(steps, 1, generator) + torch.arange(size)
        run, runs = place // steps, (size - 1) // steps + 2
        index = choose_trajectories(spans, runs, generator)
        noise = noise_for(setting, index, generator)
        return Runs(index[run], run, place % steps, noise[run])

    return Method(student, average, (Turn("student", student, loss),), draw)


def _draw(setting, levels):
    spans = trained_on(setting)

    def draw(generator, size):
        index = choose_trajectories(spans, size, generator)
        return States(index, levels[choose_from(len(levels), size, generator)])

    return draw

"""Distribution matching bound to a network and its data: TDM and decoupled DMD.

Experimental: the look changes by design, and what gets worse first is the variety of seeds; the
meters stop a run that has lost it. The student makes its own samples, so that of the data only
levels and cfg are used, and prompts of which there is no picture serve as well. So do those of
pictures held out: neither these nor their noise are ever seen. A second LoRA is the fake score,
which starts as the teacher.
"""

from typing import NamedTuple

import torch

from .fake_score import fake_score_loss
from .guidance import draw_scales
from .matching import Draw, decoupled_matching_loss, level_between
from .network import NEGATIVE, denoiser
from .setting import Setting, anchor_sigmas, begin, choose_from, choose_span
from .training import Method, Turn
from .trajectory_matching import roll_out, trajectory_matching_loss


class Walks(NamedTuple):
    """Runs of the student: [count] rows of prompts, cfg_scales and segments, and what is random.

    `noise` is a run's start and each level's fresh noise, [count, steps, C, ...]; `shares` and
    `fresh` [count, 2] and [count, 2, C, ...] are how its samples are made noisy to be judged.
    """

    row: torch.Tensor
    cfg_scale: torch.Tensor
    segment: torch.Tensor
    noise: torch.Tensor
    shares: torch.Tensor
    fresh: torch.Tensor


def tdm(setting: Setting, steps: int) -> Method:
    """Trajectory distribution matching: each step of a deterministic run by itself."""
    process = setting.network.process
    student, average = begin(setting)
    fake, _ = begin(setting)
    anchors = anchor_sigmas(setting.data, steps)

    def walked(batch):
        start, segment = setting.on_device(batch.noise[:, 0], batch.segment)
        predict = setting.student_of(student, batch.row, batch.cfg_scale)
        x = process.std(anchors[0]) * start
        way = roll_out(predict, x, anchors, segment, process=process)
        return way, predict, _noised(setting, batch, 0, way.landing, way.sigma)

    def fake_loss(batch):
        way, predict, draw = walked(batch)
        with torch.no_grad():
            landed = way.landed(predict(way.x, way.sigma))
        score = _fake(setting, fake, batch)
        return fake_score_loss(score, landed, draw, process=process, landing=way.landing)

    def loss(batch):
        way, predict, draw = walked(batch)
        teacher = setting.teacher_of(batch.row, batch.cfg_scale)
        networks = _fake(setting, fake, batch), teacher
        generated = predict(way.x, way.sigma)
        return trajectory_matching_loss(generated, way, *networks, draw, process=process)

    turns = (Turn("fake score", fake, fake_loss), Turn("student", student, loss))
    return Method(student, average, turns, _draw(setting, steps))


def dmd(setting: Setting, steps: int) -> Method:
    """Decoupled DMD on runs of the student that are made noisy again after every step."""
    process = setting.network.process
    student, average = begin(setting)
    fake, _ = begin(setting)
    anchors = anchor_sigmas(setting.data, steps)

    def fake_loss(batch):
        predict = setting.student_of(student, batch.row, batch.cfg_scale)
        with torch.no_grad():
            generated = predict(*_renoised_run(setting, predict, batch, anchors))
        draw = _noised(setting, batch, 0, 0.0, anchors[0])
        return fake_score_loss(_fake(setting, fake, batch), generated, draw, process=process)

    def loss(batch):
        predict = setting.student_of(student, batch.row, batch.cfg_scale)
        x, sigma = _renoised_run(setting, predict, batch, anchors)
        negative = torch.full_like(batch.row, NEGATIVE)
        cond, uncond = (denoiser(setting.network, rows) for rows in (batch.row, negative))
        (scales,) = setting.on_device(batch.cfg_scale)
        return decoupled_matching_loss(
            predict(x, sigma),
            _fake(setting, fake, batch),
            cond,
            uncond,
            scales.view_as(sigma),
            _noised(setting, batch, 0, 0.0, anchors[0]),
            _noised(setting, batch, 1, 0.0, sigma),
            process=process,
        )

    turns = (Turn("fake score", fake, fake_loss), Turn("student", student, loss))
    return Method(student, average, turns, _draw(setting, steps))


@torch.no_grad()
def _renoised_run(setting, predict, batch, anchors):
    """Where the step of each sample starts, [B, C, ...], and its level [B, 1, ...]."""
    process, states = setting.network.process, []
    noise, segment = setting.on_device(batch.noise, batch.segment)
    for k, sigma in enumerate(anchors[: int(segment.max()) + 1]):
        if k == 0:
            x = process.std(sigma) * noise[:, 0]
        else:
            x = process.mix(predict(x, anchors[k - 1]), noise[:, k], sigma)
        states.append(x)
    x = torch.stack(states)[segment, torch.arange(len(segment), device=x.device)]
    levels = torch.tensor(anchors, device=x.device)[segment]
    return x, levels.view(-1, *[1] * (x.ndim - 1))


def _fake(setting, fake, batch):
    """The fake score of what these samples are; whatever lies under the student is not on."""
    told = setting.told_of(batch.cfg_scale)
    return denoiser(setting.network, batch.row, fake, guidance=told)


def _noised(setting, batch, which, low, high):
    """The first or second fresh noise of a batch, at levels its shares of the way up."""
    noise, share = setting.on_device(batch.fresh[:, which], batch.shares[:, which])
    share = share.view(-1, *[1] * (noise.ndim - 1))
    return Draw(noise, level_between(low, high, share, setting.network.process))


def _draw(setting, steps):
    data, scales = setting.data, setting.data.request.cfg_scales
    low, high = min(scales), max(scales)

    def draw(generator, size):
        shape = data.shape_of(choose_span(data.spans, generator)[0])
        return Walks(
            choose_from(setting.network.rows, size, generator),
            draw_scales(low, high, size, generator),
            choose_from(steps, size, generator),
            torch.randn(size, steps, *shape, generator=generator),
            torch.rand(size, 2, generator=generator),
            torch.randn(size, 2, *shape, generator=generator),
        )

    return draw

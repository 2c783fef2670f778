"""Adversarial distillation bound to a network and its data: ADD's losses, LADD's heads.

Experimental, as distribution matching. Heads on features of the frozen teacher tell its own cached
pictures from what the student makes of states of their trajectories.
"""

from typing import NamedTuple

import torch

from . import adversarial
from .features import choose_layers, features_of
from .matching import Draw, level_between
from .setting import (
    Setting,
    anchor_levels,
    begin,
    choose_from,
    choose_trajectories,
    trained_on,
)
from .training import Method, Turn

# how much the distillation term counts against the heads: arXiv:2311.17042
DISTILLATION = 2.5
# of approximate R1: 100 at a step of 0.01 in arXiv:2501.08316
R1, R1_STEP = 0.01, 0.01
HIDDEN = 64
# heads begin with nothing, and the student is to follow them, not the reverse
HEADS_RATE = 10.0


class Judged(NamedTuple):
    """[count] numbers of trajectories and of the levels where the student begins.

    `shares` [count, 2] and `fresh` [count, 2, C, ...] are how samples are made noisy: to be judged,
    and to be denoised by the teacher. The second noise is also R1's step.
    """

    index: torch.Tensor
    level: torch.Tensor
    shares: torch.Tensor
    fresh: torch.Tensor


def distil_adversarially(setting: Setting, steps: int, kind: str = "hinge") -> Method:
    """A student of so many steps that heads cannot tell from the teacher; kind as of `Heads`."""
    data, process = setting.data, setting.network.process
    student, average = begin(setting)
    layers = choose_layers(setting)
    heads = adversarial.Heads(layers.values(), HIDDEN, process, setting.generator)
    heads.to(setting.network.device)

    def generated_by(batch):
        x, sigma = setting.on_device(data.x(batch.index, batch.level), data.sigma(batch.level))
        return setting.student(student, batch.index)(x, sigma)

    def judge_of(batch):
        features = features_of(setting.network, data.rows[batch.index], list(layers))
        draw = _noised(setting, batch, 0)

        def judge(x):
            seen = features(process.mix(x, draw.noise, draw.sigma), draw.sigma)
            return heads(seen, draw.sigma)

        return judge

    def heads_loss(batch):
        judge = judge_of(batch)
        real, step = setting.on_device(data.x0(batch.index), batch.fresh[:, 1])
        with torch.no_grad():
            generated = generated_by(batch)
        logits = judge(real)
        r1 = adversarial.approximate_r1(judge, real, logits, step, R1_STEP)
        return adversarial.discriminator_loss(logits, judge(generated), kind) + R1 * r1

    def loss(batch):
        generated = generated_by(batch)
        fooling = adversarial.generator_loss(judge_of(batch)(generated), kind)
        near = adversarial.distillation_loss(
            generated, setting.teacher(batch.index), _noised(setting, batch, 1), process=process
        )
        return fooling + DISTILLATION * near

    turns = (Turn("heads", heads, heads_loss, HEADS_RATE), Turn("student", student, loss))
    return Method(student, average, turns, _draw(setting, steps))


def _noised(setting, batch, which):
    noise, share = setting.on_device(batch.fresh[:, which], batch.shares[:, which])
    share = share.view(-1, *[1] * (noise.ndim - 1))
    top = setting.data.request.sigmas[0]
    return Draw(noise, level_between(0.0, top, share, setting.network.process))


def _draw(setting, steps):
    data, spans = setting.data, trained_on(setting)
    anchors = anchor_levels(setting.data, steps)[:-1]

    def draw(generator, size):
        index = choose_trajectories(spans, size, generator)
        shape = data.shape_of(int(index[0]))
        return Judged(
            index,
            anchors[choose_from(steps, size, generator)],
            torch.rand(size, 2, generator=generator),
            torch.randn(size, 2, *shape, generator=generator),
        )

    return draw

import pytest
import torch
from oracles import gaussian
from plain_matching import matching_loss

from fewstep.diffusion.process import FLOW, VE
from fewstep.distill.matching import Draw, decoupled_matching_loss, guidance_push

GAUSSIAN = {VE: gaussian.ve, FLOW: gaussian.rectified_flow}
STD, CFG, MEAN_C, MEAN_U = 0.5, 3.0, 0.8, -0.3
SIGMAS = (0.2, 0.5, 0.9)

either_process = pytest.mark.parametrize("process", [VE, FLOW], ids=lambda process: process.name)


def randn(seed, *shape):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def draw(seed, sigmas=SIGMAS):
    return Draw(randn(seed, 3, 4), torch.tensor(sigmas, dtype=torch.float64).view(-1, 1))


def teachers(process):
    return [GAUSSIAN[process](mean, STD).denoised for mean in (MEAN_C, MEAN_U)]


@either_process
def test_with_equal_draws_it_is_plain_matching_with_the_guided_teacher(process):
    generated = randn(0, 3, 4)
    cond = lambda x, sigma: torch.sin(x) + sigma
    uncond = lambda x, sigma: torch.cos(2 * x) * sigma
    fake_score = lambda x, sigma: torch.tanh(x)
    guided = lambda x, sigma: uncond(x, sigma) + CFG * (cond(x, sigma) - uncond(x, sigma))
    plain = matching_loss(generated, fake_score, guided, draw(1), process=process)

    def decoupled(matching, augmentation, cfg_scale=CFG):
        return decoupled_matching_loss(
            generated, fake_score, cond, uncond, cfg_scale, matching, augmentation, process=process
        )

    torch.testing.assert_close(decoupled(draw(1), draw(1)), plain)
    # another noise, another level, or cfg off by one: not the same
    for other in (
        decoupled(draw(1), draw(2)),
        decoupled(draw(1), draw(1, (0.3, 0.6, 0.8))),
        decoupled(draw(2), draw(1)),
        decoupled(draw(1), draw(1), CFG - 1),
        decoupled(draw(1), draw(1), CFG + 1),
    ):
        assert ((other - plain).abs() > 1e-3).all()


def test_each_term_is_looked_at_in_its_own_draw_by_hand():
    zero = torch.zeros(1, 1, dtype=torch.float64)
    matching, augmentation = Draw(zero, zero + 0.5), Draw(zero, zero + 0.25)
    slope = lambda k: lambda x, sigma: k * sigma + x
    found = decoupled_matching_loss(
        zero, slope(1.0), slope(10.0), slope(3.0), 3.0, matching, augmentation, process=VE
    )
    # real = 5 + 2 (2.5 - 0.75), fake = 0.5
    torch.testing.assert_close(found, torch.tensor([0.5 * (8.0 / 8.5) ** 2], dtype=torch.float64))


@either_process
def test_augmentation_alone_runs_away_at_one_speed_and_has_no_fixed_point(process):
    cond, uncond = teachers(process)
    sigma = torch.tensor(SIGMAS, dtype=torch.float64).view(-1, 1)
    variance = (process.alpha(sigma) * STD) ** 2 + sigma**2
    speed = (CFG - 1) * sigma**2 / variance * (MEAN_C - MEAN_U)
    start = x = randn(0, 3, 4)
    for step in range(1, 31):
        x = x + guidance_push(x, cond, uncond, CFG, draw(step), process=process)
        torch.testing.assert_close(x, start + step * speed)


@either_process
def test_matching_is_what_stops_the_augmentation(process):
    # with the exact fake score the two terms cancel where the mean is the guided one
    cond, uncond = teachers(process)
    mean = MEAN_U + CFG * (MEAN_C - MEAN_U)

    def push(mean, cfg_scale):
        generated = (mean + STD * randn(0, 3, 4)).requires_grad_()
        fake_score = GAUSSIAN[process](mean, STD).denoised
        # the levels equal, the noise not
        decoupled_matching_loss(
            generated, fake_score, cond, uncond, cfg_scale, draw(1), draw(2), process=process
        ).sum().backward()
        return -generated.grad

    assert push(mean, CFG).abs().max() < 1e-12
    assert (push(mean - 0.5, CFG) > 1e-3).all() and (push(mean + 0.5, CFG) < -1e-3).all()
    # off by one, it would stop a whole c - u away
    assert (push(mean, CFG + 1) > 1e-2).all() and (push(mean, CFG - 1) < -1e-2).all()


def test_no_guidance_pushes_nowhere():
    cond, uncond = teachers(FLOW)
    push = guidance_push(randn(0, 3, 4), cond, uncond, 1.0, draw(1), process=FLOW)
    assert torch.equal(push, torch.zeros_like(push))

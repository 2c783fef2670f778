import pytest
import torch
from oracles import gaussian
from plain_matching import matching_loss

from fewstep.diffusion.process import FLOW, VE
from fewstep.distill.matching import Draw, decoupled_matching_loss, guidance_push

GAUSSIAN = {VE: gaussian.ve, FLOW: gaussian.rectified_flow}
STD, CFG = 0.5, 3.0
MEAN_C, MEAN_U = 0.8, -0.3
# guiding Gaussians of one width is exactly the Gaussian at u + cfg (c - u)
MEAN_W = 3.0

either_process = pytest.mark.parametrize("process", [VE, FLOW], ids=lambda process: process.name)


def randn(seed, *shape):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def draw_at(sigmas, seed=1, elements=6):
    sigma = torch.tensor(sigmas, dtype=torch.float64).view(-1, 1, 1)
    return Draw(randn(seed, len(sigmas), 2, elements // 2), sigma)


def teachers(process):
    """Denoisers of the Gaussians with and without the condition, and the guided one."""
    cond, uncond = (GAUSSIAN[process](mean, STD).denoised for mean in (MEAN_C, MEAN_U))
    return cond, uncond, guided(cond, uncond, CFG)


def guided(cond, uncond, cfg_scale):
    return lambda x, sigma: uncond(x, sigma) + cfg_scale * (cond(x, sigma) - uncond(x, sigma))


def gradient(loss, generated):
    """d loss / d generated, times the elements that the loss is the mean of."""
    leaf = generated.clone().requires_grad_()
    loss(leaf).sum().backward()
    return leaf.grad * generated[0].numel()


def matching_gradient(generated, fake_score, teacher, draw, process):
    loss = lambda x: matching_loss(x, fake_score, teacher, draw, process=process)
    return gradient(loss, generated)


def trained(loss, process, steps=200, rate=0.05):
    """Mean and std of a student mean + std z after gradient descent with the exact fake score."""
    mean, std = -1.0, 1.2
    for i in range(steps):
        ends = torch.tensor([mean, std], dtype=torch.float64, requires_grad=True)
        levels = torch.rand(256, generator=torch.Generator().manual_seed(i)) * 0.8 + 0.1
        generated = ends[0] + ends[1] * randn(2 * i, 256, 2, 3)
        fake_score = GAUSSIAN[process](mean, std).denoised
        loss(generated, fake_score, draw_at(levels.tolist(), seed=2 * i + 1)).mean().backward()
        mean, std = (ends - rate * generated[0].numel() * ends.grad).tolist()
        if abs(mean) > 20.0 or not 0.0 < std < 20.0:
            break
    return mean, std


def settles(loss, process):
    """Whether a student trained with this loss ends at the guided Gaussian."""
    mean, std = trained(loss, process)
    return abs(mean - MEAN_W) < 1e-9 and abs(std - STD) < 1e-9


@either_process
@pytest.mark.parametrize("mean", [-2.0, 0.5, 3.0, 7.0])
def test_the_gradient_grows_in_proportion_to_the_difference_of_the_means(process, mean):
    draw = draw_at([0.2, 0.5, 0.9])
    generated = mean + STD * randn(0, 3, 2, 3)
    teacher = teachers(process)[2]
    fake_score = GAUSSIAN[process](mean, STD).denoised
    found = matching_gradient(generated, fake_score, teacher, draw, process)
    alpha = process.alpha(draw.sigma)
    x = alpha * generated + draw.sigma * draw.noise
    variance = (alpha * STD) ** 2 + draw.sigma**2
    real = MEAN_W + alpha * STD**2 / variance * (x - alpha * MEAN_W)
    wanted = draw.sigma**2 / variance * (mean - MEAN_W)
    apart = (generated - real).abs().mean(dim=(1, 2), keepdim=True)
    torch.testing.assert_close(found, (wanted / apart).expand_as(found))


@either_process
@pytest.mark.parametrize("std", [0.2, 0.5, 1.0])
def test_samples_too_wide_are_drawn_to_the_mean_and_samples_too_narrow_away(process, std):
    draw = draw_at([0.2, 0.5, 0.9])
    generated = MEAN_W + std * randn(0, 3, 2, 3)
    fake_score = GAUSSIAN[process](MEAN_W, std).denoised
    found = matching_gradient(generated, fake_score, teachers(process)[2], draw, process)
    alpha = process.alpha(draw.sigma)
    off = alpha * generated + draw.sigma * draw.noise - alpha * MEAN_W
    gains = [alpha * s**2 / ((alpha * s) ** 2 + draw.sigma**2) for s in (std, STD)]
    apart = (generated - MEAN_W - gains[1] * off).abs().mean(dim=(1, 2), keepdim=True)
    torch.testing.assert_close(found, (gains[0] - gains[1]) * off / apart)


@either_process
def test_a_student_comes_to_rest_at_the_guided_gaussian(process):
    teacher = teachers(process)[2]
    right = lambda generated, fake, draw: matching_loss(
        generated, fake, teacher, draw, process=process
    )
    assert settles(right, process)


@either_process
@pytest.mark.parametrize("wrong", ["sign", "cfg + 1", "cfg - 1", "cond"])
def test_a_wrong_loss_does_not_come_to_rest_there(process, wrong):
    cond, uncond, teacher = teachers(process)
    if wrong == "sign":
        loss = lambda x, fake, draw: matching_loss(x, teacher, fake, draw, process=process)
    else:
        other = {
            "cfg + 1": guided(cond, uncond, CFG + 1),
            "cfg - 1": guided(cond, uncond, CFG - 1),
            "cond": cond,
        }
        loss = lambda x, fake, draw: matching_loss(x, fake, other[wrong], draw, process=process)
    assert not settles(loss, process)


@either_process
def test_at_the_guided_gaussian_every_sample_is_at_rest_and_nowhere_else(process):
    cond, uncond, teacher = teachers(process)
    generated = MEAN_W + STD * randn(0, 3, 2, 3)

    def largest(teacher, mean=MEAN_W, std=STD):
        fake_score = GAUSSIAN[process](mean, std).denoised
        draw = draw_at([0.2, 0.5, 0.9])
        return matching_gradient(generated, fake_score, teacher, draw, process).abs().max()

    assert largest(teacher) < 1e-12
    assert largest(teacher, mean=MEAN_W + 0.1) > 1e-3
    assert largest(teacher, std=STD + 0.1) > 1e-3
    for wrong in (cond, guided(cond, uncond, CFG + 1), guided(cond, uncond, CFG - 1)):
        assert largest(wrong) > 1e-1


def test_the_loss_by_hand_with_a_scale_for_each_sample():
    generated = torch.tensor([[1.0, 3.0], [10.0, 10.0]], dtype=torch.float64)
    real = torch.tensor([[0.0, 1.0], [10.0, 30.0]], dtype=torch.float64)
    fake = torch.tensor([[3.0, 1.0], [20.0, 20.0]], dtype=torch.float64)
    draw = Draw(torch.zeros(2, 2), torch.full((2, 1), 0.5))
    found = matching_loss(generated, lambda *_: fake, lambda *_: real, draw, process=VE)
    # scales 1.5 and 10: g is (2, 0) and (1, -1)
    torch.testing.assert_close(found, torch.tensor([1.0, 0.5], dtype=torch.float64))


def test_a_teacher_that_changes_nothing_gives_no_loss_instead_of_nan():
    generated = torch.ones(2, 3)
    same = lambda x, sigma: generated
    draw = Draw(torch.zeros(2, 3), torch.full((2, 1), 1e-4))
    assert matching_loss(generated, same, same, draw, process=VE).tolist() == [0.0, 0.0]


@either_process
def test_only_the_student_is_given_a_gradient(process):
    weights = [
        torch.tensor(value, dtype=torch.float64, requires_grad=True) for value in (1.0, 2.0, 3.0)
    ]
    fake_score, cond, uncond = (lambda x, sigma, w=w: w * torch.sin(x + w) for w in weights)
    first, second = draw_at([0.2, 0.9]), draw_at([0.5, 0.3])
    for loss in (
        lambda x: matching_loss(x, fake_score, cond, first, process=process),
        lambda x: decoupled_matching_loss(
            x, fake_score, cond, uncond, 4.0, first, second, process=process
        ),
    ):
        assert gradient(loss, randn(0, 2, 2, 3)).abs().max() > 0
    assert not guidance_push(
        randn(0, 2, 2, 3).requires_grad_(), cond, uncond, 4.0, first, process=process
    ).requires_grad
    assert [w.grad for w in weights] == [None, None, None]


def test_what_networks_say_in_half_precision_is_compared_in_single():
    # bfloat16 has 512 - 1 = 512
    large, one = (lambda x, sigma, v=v: torch.full_like(x, v).bfloat16() for v in (512.0, 1.0))
    generated, draw = torch.full((1, 2), 512.0), Draw(torch.zeros(1, 2), torch.full((1, 1), 0.5))
    assert matching_loss(generated, large, one, draw, process=VE).tolist() == [0.5]
    push = guidance_push(generated, large, one, 2.0, draw, process=VE)
    assert push.tolist() == [[511.0, 511.0]]
    found = decoupled_matching_loss(generated, large, one, one, 2.0, draw, draw, process=VE)
    assert found.tolist() == [0.5]

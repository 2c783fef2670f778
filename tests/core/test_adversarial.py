import math

import pytest
import torch
from oracles import gaussian

from fewstep.diffusion.process import FLOW, VE
from fewstep.distill.adversarial import (
    approximate_r1,
    discriminator_loss,
    distillation_loss,
    generator_loss,
)
from fewstep.distill.matching import Draw

LOG3 = math.log(3.0)


def row(*values):
    return torch.tensor([values], dtype=torch.float64)


def randn(seed, *shape):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


either_kind = pytest.mark.parametrize("kind", ["hinge", "non-saturating"])


@pytest.mark.parametrize(
    ("kind", "real", "fake", "wanted"),
    [
        # beyond 1 and -1 nothing is asked for any more: 0, 0.5 and 0, 1.5
        ("hinge", row(2.0, 0.5), row(-2.0, 0.5), 1.0),
        ("hinge", row(-1.0), row(1.0), 4.0),
        ("non-saturating", row(0.0), row(0.0), 2 * math.log(2.0)),
        # sigmoid(log 3) = 3/4
        ("non-saturating", row(LOG3), row(-LOG3), 2 * math.log(4 / 3)),
        ("non-saturating", row(LOG3, 0.0), row(LOG3, 0.0), math.log(64 / 3) / 2),
    ],
)
def test_the_discriminators_loss_by_hand(kind, real, fake, wanted):
    torch.testing.assert_close(discriminator_loss(real, fake, kind), row(wanted)[0])


@pytest.mark.parametrize(
    ("kind", "fake", "wanted"),
    [
        ("hinge", row(3.0, -1.0), -1.0),
        ("non-saturating", row(0.0), math.log(2.0)),
        ("non-saturating", row(LOG3, -LOG3), (math.log(4 / 3) + math.log(4)) / 2),
    ],
)
def test_the_generators_loss_by_hand(kind, fake, wanted):
    torch.testing.assert_close(generator_loss(fake, kind), row(wanted)[0])


def test_each_pair_has_a_loss_of_its_own():
    real, fake = torch.tensor([[0.0], [2.0]]), torch.tensor([[1.0], [-3.0]])
    assert discriminator_loss(real, fake, "hinge").tolist() == [3.0, 0.0]
    assert generator_loss(fake, "hinge").tolist() == [-1.0, 3.0]


@either_kind
def test_the_student_pushes_logits_up_and_the_heads_push_them_apart(kind):
    real, fake = randn(0, 5, 3).requires_grad_(), randn(1, 5, 3).requires_grad_()
    (by_student,) = torch.autograd.grad(generator_loss(fake, kind).sum(), fake)
    assert (by_student < 0).all()
    by_real, by_fake = torch.autograd.grad(discriminator_loss(real, fake, kind).sum(), (real, fake))
    is_asked = torch.ones(5, 3, dtype=torch.bool)
    assert torch.equal(by_real < 0, is_asked if kind != "hinge" else real < 1)
    assert torch.equal(by_fake > 0, is_asked if kind != "hinge" else fake > -1)


def test_an_unknown_kind_is_refused():
    for loss in (
        lambda kind: discriminator_loss(row(0.0), row(0.0), kind),
        lambda kind: generator_loss(row(0.0), kind),
    ):
        with pytest.raises(ValueError, match="kind is 'wgan'; allowed is 'hinge' or 'non-satur"):
            loss("wgan")


@pytest.mark.parametrize("std", [0.01, 0.5])
def test_r1_of_a_linear_discriminator_is_the_square_of_its_slope_for_any_std(std):
    slope = torch.tensor([3.0, 4.0], dtype=torch.float64)
    discriminator = lambda x: (x @ slope)[:, None] + 7.0
    real = randn(0, 100_000, 2)
    found = approximate_r1(discriminator, real, discriminator(real), randn(1, 100_000, 2), std)
    error = found.std() / len(found) ** 0.5
    assert abs(found.mean() - 25.0) < 5 * error
    noise = torch.tensor([[1.0, 0.0], [1.0, 1.0]], dtype=torch.float64)
    found = approximate_r1(discriminator, real[:2], discriminator(real[:2]), noise, std)
    torch.testing.assert_close(found, row(9.0, 49.0)[0])


def test_r1_of_a_curved_discriminator_is_its_slope_at_the_real_samples():
    # D = x^2 / 2 has slope x
    discriminator = lambda x: x.square() / 2
    real = torch.tensor([0.5, 2.0], dtype=torch.float64).repeat(100_000)[:, None]
    noise = randn(1, 200_000, 1)
    found = approximate_r1(discriminator, real, discriminator(real), noise, 1e-3)
    for start, slope in ((0, 0.5), (1, 2.0)):
        each = found[start::2]
        assert abs(each.mean() - slope**2) < 5 * each.std() / len(each) ** 0.5


def test_r1_flattens_the_discriminator_through_both_of_its_passes():
    slope = torch.ones(2, dtype=torch.float64, requires_grad=True)
    discriminator = lambda x: (x @ slope)[:, None]
    real, noise = randn(0, 1, 2), row(1.0, 2.0)
    approximate_r1(discriminator, real, discriminator(real), noise, 0.1).sum().backward()
    # d (w n)^2 / dw = 2 (w n) n; a pass without a gradient would leave x in it
    torch.testing.assert_close(slope.grad, torch.tensor([6.0, 12.0], dtype=torch.float64))


@either_kind
def test_under_the_best_discriminator_samples_move_from_their_mean_to_the_real_one(kind):
    real, fake, std = row(1.0, -2.0), row(-1.0, 0.5), 0.7
    log_density = lambda x, mean: -(x - mean).square().sum(dim=1, keepdim=True) / (2 * std**2)
    best = lambda x: log_density(x, real) - log_density(x, fake)
    x = (fake + std * randn(0, 64, 2)).requires_grad_()
    generator_loss(best(x), kind).sum().backward()
    towards = (real - fake) / (real - fake).norm()
    along = (-x.grad) @ towards.mT
    assert (along > 0).all()
    torch.testing.assert_close(-x.grad, along * towards)


@pytest.mark.parametrize(
    ("process", "sigma", "loudness"),
    [(VE, 1.0, 0.5**0.5), (FLOW, 0.5, 0.5**0.5), (VE, 0.0, 1.0), (FLOW, 0.75, 0.1**0.5)],
)
def test_distillation_by_hand_counts_less_the_noisier_the_level(process, sigma, loudness):
    draw = Draw(torch.zeros(1, 2, dtype=torch.float64), row(sigma))
    found = distillation_loss(row(3.0, 1.0), lambda x, s: row(1.0, 1.0), draw, process=process)
    torch.testing.assert_close(found, row(2.0 * loudness)[0])


@pytest.mark.parametrize("process", [VE, FLOW], ids=lambda process: process.name)
def test_distillation_asks_the_teacher_about_the_noised_sample_and_nothing_through_it(process):
    weight = torch.tensor(2.0, dtype=torch.float64, requires_grad=True)
    sigma = torch.tensor([[0.2], [0.9]], dtype=torch.float64)
    generated, noise = randn(0, 2, 3).requires_grad_(), randn(1, 2, 3)
    alpha = 1 + process.alpha_slope * sigma
    teacher = lambda x, sigma: weight * torch.sin(x) * sigma
    distillation_loss(generated, teacher, Draw(noise, sigma), process=process).sum().backward()
    wanted = 2.0 * torch.sin(alpha * generated + sigma * noise) * sigma
    loudness = alpha / (alpha**2 + sigma**2).sqrt()
    expected = loudness * 2 * (generated - wanted).detach() / 3
    torch.testing.assert_close(generated.grad, expected)
    assert weight.grad is None


@pytest.mark.parametrize(
    ("process", "make"), [(VE, gaussian.ve), (FLOW, gaussian.rectified_flow)], ids=["VE", "FLOW"]
)
def test_distillation_is_zero_for_a_sample_that_the_teacher_gives_back(process, make):
    # of one point the teacher knows: whatever noise it is shown, the x0 estimate is the point
    teacher = make(0.8, 0.0).denoised
    draw = Draw(randn(1, 2, 3), torch.tensor([[0.2], [0.9]], dtype=torch.float64))
    point = torch.full((2, 3), 0.8, dtype=torch.float64)
    assert distillation_loss(point, teacher, draw, process=process).tolist() == [0.0, 0.0]
    assert (distillation_loss(point + 0.1, teacher, draw, process=process) > 1e-4).all()


def test_what_a_teacher_says_in_half_precision_is_compared_in_single():
    # bfloat16 has 512 - 1 = 512
    generated = torch.full((1, 2), 512.0, dtype=torch.bfloat16)
    teacher = lambda x, sigma: torch.ones_like(x).bfloat16()
    draw = Draw(torch.zeros(1, 2), torch.zeros(1, 1))
    assert distillation_loss(generated, teacher, draw, process=VE).tolist() == [511.0**2]

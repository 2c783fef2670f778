"""The oracle of guided mixtures, held to the definition of its denoiser."""

import math

import pytest
import torch
from oracles.mixture import Mixture, guided, ring
from torch import distributions

from fewstep.diffusion.process import FLOW, VE

MEANS = torch.tensor([[1.0, 0.2], [-0.4, 0.9], [-0.5, -1.1]], dtype=torch.float64)
WEIGHTS = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)
STD = 0.3
LEVELS = [(VE, sigma) for sigma in (0.1, 0.8, 5.0)] + [(FLOW, sigma) for sigma in (0.1, 0.5, 0.9)]
AT_LEVELS = pytest.mark.parametrize(
    ("process", "sigma"), LEVELS, ids=[f"{process.name} {sigma}" for process, sigma in LEVELS]
)


def mixture(process, weights=WEIGHTS):
    return Mixture(MEANS, weights, STD, process.alpha)


def points(process, sigma, count=20):
    """Points where x is likely to be at this level."""
    x0, noise = torch.randn(
        (2, count, 2), generator=torch.Generator().manual_seed(0), dtype=torch.float64
    )
    return process.alpha(sigma) * x0 + sigma * noise


@AT_LEVELS
def test_the_denoiser_is_that_of_the_slope_of_the_log_density(process, sigma):
    # Tweedie: alpha E[x0 | x] = x + sigma^2 d log p(x) / dx, p by torch.distributions
    alpha = process.alpha(sigma)
    spread = math.sqrt((alpha * STD) ** 2 + sigma**2)
    part = distributions.Independent(distributions.Normal(alpha * MEANS, spread), 1)
    noisy = distributions.MixtureSameFamily(distributions.Categorical(WEIGHTS), part)
    x = points(process, sigma).requires_grad_()
    (slope,) = torch.autograd.grad(noisy.log_prob(x).sum(), x)
    wanted = (x.detach() + sigma**2 * slope) / alpha
    torch.testing.assert_close(mixture(process).denoised(x.detach(), sigma), wanted)


@AT_LEVELS
def test_the_denoiser_is_the_mean_of_x0_given_x(process, sigma):
    # the definition, summed over a grid of x0 that is fine against std and wide against the means
    side = torch.arange(-3.2, 3.2, 0.02, dtype=torch.float64)
    x0 = torch.cartesian_prod(side, side)
    prior = (WEIGHTS * (-(torch.cdist(x0, MEANS) ** 2) / (2 * STD**2)).exp()).sum(1)
    x = points(process, sigma, 4)
    likelihood = -(torch.cdist(x, process.alpha(sigma) * x0) ** 2) / (2 * sigma**2)
    posterior = (likelihood - likelihood.amax(1, keepdim=True)).exp() * prior
    wanted = posterior @ x0 / posterior.sum(1, keepdim=True)
    torch.testing.assert_close(mixture(process).denoised(x, sigma), wanted)


def test_a_level_for_each_sample_is_the_same_as_one_at_a_time():
    x, levels = points(VE, 1.0, 3), [0.1, 1.0, 9.0]
    together = mixture(VE).denoised(x, torch.tensor(levels, dtype=torch.float64)[:, None])
    for i, level in enumerate(levels):
        torch.testing.assert_close(together[i : i + 1], mixture(VE).denoised(x[i : i + 1], level))


def test_a_component_of_no_weight_is_not_there():
    some = mixture(VE, torch.tensor([0.4, 0.0, 0.6], dtype=torch.float64))
    without = Mixture(MEANS[[0, 2]], torch.tensor([0.4, 0.6], dtype=torch.float64), STD, VE.alpha)
    x = points(VE, 0.5)
    torch.testing.assert_close(some.denoised(x, 0.5), without.denoised(x, 0.5))


def test_samples_have_the_mean_and_the_covariance_of_the_mixture():
    n = 100_000
    samples = mixture(VE).draw(n, torch.Generator().manual_seed(0))
    mean = WEIGHTS @ MEANS
    apart = MEANS - mean
    covariance = apart.T @ (WEIGHTS[:, None] * apart) + STD**2 * torch.eye(2).double()
    off = samples - mean
    assert (off.mean(0).abs() < 5 * covariance.diag().sqrt() / n**0.5).all()
    products = off[:, :, None] * off[:, None]
    assert ((products.mean(0) - covariance).abs() < 5 * products.std(0) / n**0.5).all()


def test_the_ring_has_eight_parts_and_its_condition_three_neighbours():
    cond, uncond = ring(VE.alpha, radius=2.0, std=0.1)
    corner = 2**0.5
    wanted = [[2, 0], [corner, corner], [0, 2], [-corner, corner]]
    wanted = torch.tensor(wanted, dtype=torch.float64)
    torch.testing.assert_close(uncond.means, torch.cat([wanted, -wanted]))
    assert torch.equal(cond.means, uncond.means) and cond.std == uncond.std == 0.1
    assert uncond.weights.tolist() == [0.125] * 8
    assert cond.weights.tolist() == [0.25, 0.5, 0.25] + [0.0] * 5


def test_guided_goes_from_uncond_past_cond():
    cond, uncond = ring(VE.alpha)
    x = points(VE, 1.0)
    without, with_it = uncond.denoised(x, 1.0), cond.denoised(x, 1.0)
    torch.testing.assert_close(guided(cond, uncond, 3.0)(x, 1.0), 3 * with_it - 2 * without)

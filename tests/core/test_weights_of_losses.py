import math

import pytest
import torch

from fewstep.diffusion.process import FLOW, VE
from fewstep.distill.weights import WEIGHTS, weight

LEVELS = {
    VE: torch.tensor([0.03, 0.7, 1.0, 1.6, 14.6], dtype=torch.float64)[:, None],
    FLOW: torch.tensor([0.01, 0.3, 0.5, 0.8, 0.99], dtype=torch.float64)[:, None],
}
PROCESSES = pytest.mark.parametrize("process", [VE, FLOW], ids=lambda process: process.name)


def errors(process):
    """Squared errors of x0, eps and v, of one random x0 estimate at every level."""
    x0, noise, denoised = torch.randn(
        (3, 5, 2), generator=torch.Generator().manual_seed(0), dtype=torch.float64
    )
    sigma = LEVELS[process]
    alpha = 1.0 if process is VE else 1.0 - sigma
    eps = (alpha * x0 + sigma * noise - alpha * denoised) / sigma
    # Salimans and Ho's v = alpha eps - sigma x0, for alpha^2 + sigma^2 = 1
    length = (alpha**2 + sigma**2) ** 0.5
    v = lambda eps, x0: (alpha * eps - sigma * x0) / length
    return (
        (denoised - x0) ** 2,
        (eps - noise) ** 2,
        (v(eps, denoised) - v(noise, x0)) ** 2,
    )


@PROCESSES
def test_a_weighted_x0_error_is_the_error_in_the_space_named(process):
    x0, eps, v = errors(process)
    wanted = {"x0": x0, "eps": eps, "v": v, "truncated snr": torch.maximum(x0, eps)}
    assert set(wanted) == set(WEIGHTS)
    for name, error in wanted.items():
        torch.testing.assert_close(weight(name, LEVELS[process], process) * x0, error)


@pytest.mark.parametrize(
    ("process", "sigma", "wanted"),
    [
        (VE, 2.0, {"x0": 1, "eps": 0.25, "v": 1.25, "truncated snr": 1}),
        (VE, 0.5, {"x0": 1, "eps": 4, "v": 5, "truncated snr": 4}),
        (FLOW, 0.25, {"x0": 1, "eps": 9, "v": 10, "truncated snr": 9}),
        (FLOW, 0.8, {"x0": 1, "eps": 0.0625, "v": 1.0625, "truncated snr": 1}),
        # pure noise tells nothing of x0, and says so without a NaN
        (FLOW, 1.0, {"x0": 1, "eps": 0, "v": 1, "truncated snr": 1}),
    ],
)
def test_weights_by_hand(process, sigma, wanted):
    levels = torch.full((2, 1, 1), sigma, dtype=torch.float64)
    for name, number in wanted.items():
        torch.testing.assert_close(
            weight(name, levels, process), torch.full_like(levels, float(number))
        )


def test_at_the_last_timestep_of_sd_an_eps_error_counts_a_two_hundredth_of_a_v_error():
    level = torch.full((1, 1), 14.6146, dtype=torch.float64)
    ratio = weight("v", level, VE) / weight("eps", level, VE)
    assert math.isclose(ratio.item(), 1 + 14.6146**2, rel_tol=1e-12)


def test_an_unknown_weight_is_refused_with_those_there_are():
    with pytest.raises(
        ValueError, match="weight is 'snr'; allowed is one of x0, eps, v, truncated"
    ):
        weight("snr", LEVELS[VE], VE)

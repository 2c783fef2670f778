"""The two families of models that a consistency loss is to serve, with Gaussian data."""

from collections.abc import Callable
from typing import NamedTuple

import pytest
import torch
from oracles.gaussian import rectified_flow, ve
from oracles.network import SIGMAS

from fewstep.diffusion.process import FLOW, VE, Process
from fewstep.diffusion.sigmas import flow_trailing
from fewstep.distill.consistency_function import lcm_levels, neighbours

TABLE = SIGMAS.tolist()
# what LCMs were distilled at
GRID = list(range(999, 0, -20))
# means of the data with and without the condition, their width, and guidance_w
COND, UNCOND, STD, W = 0.8, -0.3, 0.5, 3.0
# guiding Gaussians of one width is exactly the Gaussian at cond + w (cond - uncond)
GUIDED = COND + W * (COND - UNCOND)


class Family(NamedTuple):
    process: Process
    # (mean, std) -> the closed form
    gaussian: Callable
    # steps -> the levels of a grid
    levels: Callable
    table: list[float] | None


OF_VE = Family(VE, ve, lambda steps: lcm_levels(TABLE, steps), TABLE)
OF_FLOW = Family(FLOW, rectified_flow, lambda steps: flow_trailing(steps, 3.0), None)
of_each_family = pytest.mark.parametrize("family", [OF_VE, OF_FLOW], ids=["VE", "FLOW"])


def drawn(count, seed=0, dtype=torch.float64):
    """x0 and noise, [count, 2, 3]."""
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(count, 2, 3, generator=generator, dtype=dtype) for _ in range(2)]


def at_points(family, points, steps=50):
    """x, sigma and sigma_next at these points of the grid."""
    x0, noise = drawn(len(points))
    sigma, sigma_next = neighbours(family.levels(steps), torch.tensor(points), x0)
    return family.process.mix(x0, noise, sigma), sigma, sigma_next


def guided(family, w=W):
    """The teacher, guided from its two halves."""
    cond, uncond = family.gaussian(COND, STD), family.gaussian(UNCOND, STD)

    def denoise(x, sigma):
        conditional = cond.denoised(x, sigma)
        return conditional + w * (conditional - uncond.denoised(x, sigma))

    return denoise


def zero(x, sigma):
    return torch.zeros_like(x)

import math

import pytest
import torch
from families import GRID, TABLE, at_points, drawn, of_each_family
from oracles.network import ALPHA_BARS

from fewstep.diffusion.sigmas import timestep_of
from fewstep.distill.consistency_function import (
    consistency_function,
    lcm_levels,
    nearest_timestep,
    neighbours,
)

# --- the grid -------------------------------------------------------------------------------------


def test_the_grid_has_the_fifty_points_of_the_paper_and_ends_at_timestep_0():
    levels = lcm_levels(TABLE)
    assert levels == [TABLE[t] for t in [*GRID, 0]] and len(levels) == 51
    assert (levels[0], levels[-1]) == pytest.approx((14.6146, 0.0292), abs=1e-4)
    assert lcm_levels(TABLE, 20) == [TABLE[t] for t in [*range(999, 0, -50), 0]]
    # 1000 // 3 is 333
    of_three = [TABLE[t] for t in (998, 665, 332, 0)]
    assert lcm_levels(torch.tensor(TABLE, dtype=torch.float64), 3) == of_three


def is_chained(sigma, sigma_next, clean):
    """Whether what is asked of the target was asked of the student, or is clean."""
    return set(sigma_next) <= {*sigma, clean}


@of_each_family
def test_what_is_asked_of_the_target_is_taught_to_the_student(family):
    x0, _ = drawn(50)
    levels = family.levels(50)
    sigma, sigma_next = neighbours(levels, torch.arange(50), x0)
    sigma, sigma_next = sigma.flatten().tolist(), sigma_next.flatten().tolist()
    assert is_chained(sigma, sigma_next, levels[-1])
    # from t to t - 1 the loss falls to nothing and the student learns nothing: distill.md, 3.2
    one_timestep = [TABLE[t - 1] for t in GRID]
    assert not is_chained([TABLE[t] for t in GRID], one_timestep, TABLE[0])


def test_a_grid_that_would_start_from_timestep_0_is_refused():
    assert lcm_levels(TABLE, 500)[-2:] == [TABLE[1], TABLE[0]]
    for steps in (0, 501):
        with pytest.raises(ValueError, match=f"original_steps is {steps}; allowed is 1 to 500"):
            lcm_levels(TABLE, steps)


# --- the consistency function ---------------------------------------------------------------------


@of_each_family
def test_a_consistency_function_is_the_identity_on_clean_data(family):
    x, _ = drawn(3, dtype=torch.float32)
    nonsense = lambda x, sigma: torch.full_like(x, 1e3)
    f = consistency_function(nonsense, family.table)
    torch.testing.assert_close(f(x, torch.zeros(3, 1, 1)), x, rtol=0, atol=1e-6)


def test_timestep_0_is_clean_to_lcm():
    x, _ = drawn(2)
    nonsense = lambda x, sigma: torch.full_like(x, 1e3)
    f = consistency_function(nonsense, TABLE)
    for sigma in (TABLE[0], 0.01):
        level = torch.full((2, 1, 1), sigma, dtype=torch.float64)
        torch.testing.assert_close(f(x, level), x / (1 + sigma**2) ** 0.5)


def test_the_boundary_of_lcm_weighs_x_in_its_unit_variance_form():
    x, _ = drawn(2)
    f = consistency_function(lambda x, sigma: x - 7.0, TABLE)
    # timestep 1, scaled 10: 0.25 / 100.25 and 10 / sqrt(100.25)
    level = torch.full((2, 1, 1), TABLE[1], dtype=torch.float64)
    wanted = 0.25 / 100.25 * x * ALPHA_BARS[1] ** 0.5 + 10 / math.sqrt(100.25) * (x - 7.0)
    torch.testing.assert_close(f(x, level), wanted, rtol=1e-12, atol=1e-12)


@of_each_family
def test_away_from_clean_a_consistency_function_is_the_x0_estimate(family):
    x, sigma, _ = at_points(family, [0, 20, 49])
    denoise = lambda x, sigma: x.sin() + sigma
    f = consistency_function(denoise, family.table)
    # at timestep 19 LCM's boundary still adds 7e-6 of x
    torch.testing.assert_close(f(x, sigma), denoise(x, sigma), rtol=1e-5, atol=2e-5)


def test_the_timestep_of_a_level_is_the_nearest_in_log_sigma():
    between = torch.rand(200, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    sigma = (between * math.log(40.0 / 0.02)).exp() * 0.02
    timesteps = [[timestep_of(level, TABLE)] for level in sigma.flatten().tolist()]
    assert nearest_timestep(sigma, TABLE).tolist() == timesteps
    assert nearest_timestep(torch.tensor(TABLE, dtype=torch.float64), TABLE).tolist() == list(
        range(1000)
    )
    assert nearest_timestep(torch.tensor([0.0]), TABLE).tolist() == [0]

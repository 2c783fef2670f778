import math

import pytest
from oracles.network import SIGMAS

from fewstep.diffusion.sigmas import (
    flow_table,
    flow_trailing,
    flux2_shift,
    from_timesteps,
    shifted,
    sigma_table,
    timestep_of,
)
from fewstep.diffusion.timesteps import trailing


def test_table_is_that_of_stable_diffusion():
    table = sigma_table()
    assert len(table) == 1000
    # the published range of SD 1.5 and SDXL
    assert table[0] == pytest.approx(0.0292, abs=5e-5)
    assert table[999] == pytest.approx(14.6146, abs=5e-5)
    assert table == pytest.approx(SIGMAS.tolist(), rel=1e-12)


def test_a_shorter_table_has_the_first_and_last_beta():
    first, second = sigma_table(2, first_beta=0.5, last_beta=0.75)
    # alpha_bar 0.5, then 0.5 * 0.25
    assert first == pytest.approx(1.0)
    assert second == pytest.approx(7.0**0.5)


def test_levels_are_looked_up_at_whole_timesteps_and_end_clean():
    table = sigma_table()
    assert from_timesteps([999, 499], table) == [table[999], table[499], 0.0]
    assert from_timesteps([2, 0], [0.5, 1, 2]) == [2.0, 0.5, 0.0]


def test_the_timestep_of_a_level_is_the_nearest_in_log_sigma():
    table = [1.0, 4.0, 16.0]
    assert [timestep_of(sigma, table) for sigma in table] == [0, 1, 2]
    # 2 is halfway in log sigma; 2.2 is nearer to 4 there, though nearer to 1 on the line
    assert [timestep_of(sigma, table) for sigma in (1.9, 2.2)] == [0, 1]
    # beyond either end
    assert [timestep_of(sigma, table) for sigma in (0.01, 99.0)] == [0, 2]


def test_shift_moves_levels_towards_noise():
    assert shifted(0.5, 3.0) == 0.75
    assert shifted(0.25, 1.0) == 0.25
    assert shifted(1.0, 7.0) == 1.0
    assert shifted(0.0, 7.0) == 0.0


def test_flow_levels_are_exact_fractions_before_the_shift():
    assert flow_trailing(4) == [1.0, 0.75, 0.5, 0.25, 0.0]
    assert flow_trailing(3) == [1.0, 2 / 3, 1 / 3, 0.0]
    # shift 5 as published for 4-step Wan and Qwen students
    assert flow_trailing(4, 5.0) == pytest.approx([1.0, 0.9375, 5 / 6, 0.625, 0.0])


def test_flow_strength_keeps_a_tail_of_the_levels():
    assert flow_trailing(4, 5.0, denoise=0.5) == flow_trailing(4, 5.0)[2:]
    for steps in (2, 4, 8):
        for denoise in (0.25, 0.5, 0.75):
            levels = flow_trailing(steps, 3.0, denoise=denoise)
            assert len(levels) == 1 + len(trailing(steps, denoise=denoise))
            assert levels == flow_trailing(steps, 3.0)[-len(levels) :]


def test_flow_table_holds_the_level_of_every_timestep():
    table = flow_table()
    assert (len(table), table[0], table[499], table[999]) == (1000, 0.001, 0.5, 1.0)
    assert from_timesteps([999, 749, 499, 249], table) == flow_trailing(4)
    assert flow_table(3.0)[499] == 0.75


@pytest.mark.parametrize("timestep", [-1, 50])
def test_a_timestep_without_an_entry_is_refused(timestep):
    match = f"timestep {timestep} has no noise level: the model's table ends at 49"
    with pytest.raises(ValueError, match=match):
        from_timesteps([timestep], sigma_table(50))


@pytest.mark.parametrize("shift", [0.0, -1.0, float("nan")])
def test_a_shift_that_is_not_positive_is_refused(shift):
    with pytest.raises(ValueError, match=f"shift is {shift:g}; allowed is any number above 0"):
        flow_trailing(4, shift)


def test_flow_levels_refuse_steps_and_strength_as_timesteps_do():
    with pytest.raises(ValueError, match="steps is 0; allowed is 1 to 1000"):
        flow_trailing(0)
    with pytest.raises(ValueError, match="denoise is 0; allowed is above 0"):
        flow_trailing(4, denoise=0.0)


def test_flux2_shift_is_exp_of_a_mu_linear_in_tokens_and_in_steps():
    # 1024 x 1024 are 4096 tokens: mu is 2.256246 at 10 steps and 1.149997 at 200
    assert math.log(flux2_shift(10, 4096)) == pytest.approx(2.256246, abs=1e-6)
    assert math.log(flux2_shift(200, 4096)) == pytest.approx(1.149997, abs=1e-6)
    assert math.log(flux2_shift(105, 4096)) == pytest.approx((2.256246 + 1.149997) / 2, abs=1e-6)
    # beyond 4300 tokens the steps do not count: 0.00016927 * 5000 + 0.45666666
    assert math.log(flux2_shift(4, 5000)) == pytest.approx(1.303017, abs=1e-6)
    assert flux2_shift(4, 4301) == flux2_shift(50, 4301)
    assert flux2_shift(4, 4300) != flux2_shift(50, 4300)


def test_klein_at_1024_takes_the_levels_that_were_published():
    levels = flow_trailing(4, flux2_shift(4, 4096))
    assert levels == pytest.approx([1.0, 0.967, 0.908, 0.767, 0.0], abs=5e-4)


@pytest.mark.parametrize(
    ("steps", "tokens", "name"), [(0, 64, "steps is 0"), (4, 0, "tokens is 0")]
)
def test_flux2_shift_needs_steps_and_tokens(steps, tokens, name):
    with pytest.raises(ValueError, match=name):
        flux2_shift(steps, tokens)

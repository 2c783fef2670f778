"""Levels come from a scheduler's config as diffusers' own schedulers and ComfyUI have them."""

import math

import pytest
import torch
from diffusers import DDIMScheduler
from diffusers.pipelines.flux.pipeline_flux import calculate_shift

from fewstep.diffusion.sigmas import sigma_table
from fewstep.headless.levels import levels_of, shift_of, table_of

SD = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
FLUX = {
    "use_dynamic_shifting": True,
    "base_image_seq_len": 256,
    "max_image_seq_len": 4096,
    "base_shift": 0.5,
    "max_shift": 1.15,
    "shift": 3.0,
}


def test_the_table_of_sd_is_that_of_its_betas():
    found = torch.tensor(table_of(SD), dtype=torch.float64)
    expected = torch.tensor(sigma_table(), dtype=torch.float64)
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=0.0)


def test_another_schedulers_keys_change_nothing():
    assert table_of({**SD, "_class_name": "PNDMScheduler", "skip_prk_steps": True}) == table_of(SD)


def test_a_schedule_that_ends_in_pure_noise_ends_at_comfyuis_level():
    config = {**SD, "rescale_betas_zero_snr": True}
    alpha_bar = DDIMScheduler(**config).alphas_cumprod.double()[:-1]
    found = table_of(config)
    # ComfyUI's ModelSamplingDiscrete with zsnr
    assert found[-1] == pytest.approx(4518.76, rel=1e-5)
    # alpha_bar is near 0 at the end, where float32 keeps fewer digits of it
    expected = ((1 - alpha_bar) / alpha_bar).sqrt()[:900]
    torch.testing.assert_close(
        torch.tensor(found[:900], dtype=torch.float64), expected, rtol=1e-4, atol=0.0
    )


@pytest.mark.parametrize("tokens", [256, 1024, 4096])
def test_the_shift_of_flux_is_that_of_its_pipeline(tokens):
    mu = calculate_shift(tokens, 256, 4096, 0.5, 1.15)
    assert shift_of(FLUX, tokens) == pytest.approx(math.exp(mu))
    assert shift_of({"use_dynamic_shifting": True}, tokens) == pytest.approx(math.exp(mu))


def test_a_shift_that_does_not_change_is_the_one_that_is_written():
    assert shift_of({"shift": 3.0}, 1024) == 3.0
    assert shift_of({}, 1024) == 1.0


def test_levels_are_trailing_or_on_lcms_grid_or_shifted():
    table = sigma_table()
    assert levels_of(2, table) == [table[999], table[499], 0.0]
    assert levels_of(2, table, on_lcm_grid=True) == [table[999], table[499], 0.0]
    assert levels_of(4, table) == [*(table[t] for t in (999, 749, 499, 249)), 0.0]
    on_grid = levels_of(4, table, on_lcm_grid=True)
    assert on_grid == [*(table[t] for t in (999, 759, 499, 259)), 0.0]
    assert levels_of(2, shift=3.0) == [1.0, 0.75, 0.0]
    # a flow model has no timesteps for a grid
    assert levels_of(2, shift=3.0, on_lcm_grid=True) == [1.0, 0.75, 0.0]

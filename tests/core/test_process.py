import math

import pytest
import torch

from fewstep.diffusion.process import FLOW, VE


def test_ve_is_data_plus_scaled_noise():
    assert VE.alpha(7.0) == 1.0
    assert VE.mix(2.0, -4.0, 0.25) == 1.0
    assert VE.noise_in(1.0, 2.0, 0.25) == -4.0
    assert VE.sigma_limit == math.inf


def test_flow_is_a_straight_line_from_data_to_noise():
    assert FLOW.alpha(0.25) == 0.75
    assert FLOW.mix(2.0, -4.0, 0.25) == 0.5
    assert FLOW.noise_in(0.5, 2.0, 0.25) == -4.0
    assert FLOW.mix(2.0, -4.0, FLOW.sigma_limit) == -4.0


def test_levels_may_differ_within_a_batch():
    x0, noise = torch.tensor([[2.0], [2.0]]), torch.tensor([[-4.0], [-4.0]])
    sigma = torch.tensor([[0.25], [0.5]])
    assert FLOW.mix(x0, noise, sigma).tolist() == [[0.5], [-1.0]]
    assert VE.mix(x0, noise, sigma).tolist() == [[1.0], [0.0]]


def test_std_is_that_of_unit_variance_data_with_noise():
    assert VE.std(0.75) == 1.25
    assert FLOW.std(1.0) == 1.0
    assert FLOW.std(0.5) == pytest.approx(0.5**0.5)


def test_half_log_snr_is_log_of_alpha_over_sigma():
    assert VE.half_log_snr(math.e) == -1.0
    assert FLOW.half_log_snr(0.2) == pytest.approx(math.log(4.0))
    assert FLOW.half_log_snr(1.0) == -math.inf
    assert VE.half_log_snr(0.0) == FLOW.half_log_snr(0.0) == math.inf


def test_renoise_adds_the_missing_variance():
    # sqrt(5^2 - 3^2) = 4
    assert VE.renoise(10.0, 1.0, 3.0, 5.0) == 14.0
    # alpha 0.8 -> 0.4 halves x and its noise of 0.2; 0.6^2 - 0.1^2 = 0.35
    assert FLOW.renoise(10.0, 1.0, 0.2, 0.6) == pytest.approx(5.0 + 0.35**0.5)


def test_renoise_from_clean_is_mixing_and_to_the_same_level_changes_nothing():
    for process in (VE, FLOW):
        assert process.renoise(2.0, -4.0, 0.0, 0.25) == process.mix(2.0, -4.0, 0.25)
        assert process.renoise(2.0, -4.0, 0.25, 0.25) == 2.0

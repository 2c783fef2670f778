import math

import pytest
import torch

from fewstep.diffusion.prediction import (
    EPS,
    FLOW_VELOCITY,
    PREDICTIONS,
    X0,
    V,
    ve_from_vp,
    vp_from_ve,
)

# sigma 0.75: alpha = 1 / sqrt(1 + sigma^2) = 0.8, alpha * sigma = 0.6
SIGMA, ALPHA, VP_SIGMA = 0.75, 0.8, 0.6
CLEAN, NOISE = 2.0, -4.0


def test_ve_and_vp_scales_differ_by_alpha():
    assert vp_from_ve(1.0, SIGMA) == ALPHA
    assert ve_from_vp(ALPHA, SIGMA) == 1.0


def test_every_prediction_of_a_perfect_network_gives_the_clean_data():
    x = CLEAN + SIGMA * NOISE
    assert EPS.to_denoised(x, NOISE, SIGMA) == CLEAN
    assert X0.to_denoised(x, CLEAN, SIGMA) == CLEAN
    v = ALPHA * NOISE - VP_SIGMA * CLEAN
    assert V.to_denoised(x, v, SIGMA) == pytest.approx(CLEAN, abs=1e-15)
    x_flow = (1.0 - SIGMA) * CLEAN + SIGMA * NOISE
    assert FLOW_VELOCITY.to_denoised(x_flow, NOISE - CLEAN, SIGMA) == CLEAN


def test_v_of_the_vp_scaled_input_is_the_published_formula():
    # x0 = alpha * x_vp - sigma_vp * v
    x_vp, v = 0.3, 0.7
    x0 = V.to_denoised(ve_from_vp(x_vp, SIGMA), v, SIGMA)
    assert x0 == pytest.approx(ALPHA * x_vp - VP_SIGMA * v)


def test_outputs_of_a_known_estimate_are_the_textbook_ones():
    x = CLEAN + SIGMA * NOISE
    assert EPS.from_denoised(x, CLEAN, SIGMA) == NOISE
    assert V.from_denoised(x, CLEAN, SIGMA) == pytest.approx(ALPHA * NOISE - VP_SIGMA * CLEAN)
    assert X0.from_denoised(x, CLEAN, SIGMA) == CLEAN
    x_flow = (1.0 - SIGMA) * CLEAN + SIGMA * NOISE
    assert FLOW_VELOCITY.from_denoised(x_flow, CLEAN, SIGMA) == NOISE - CLEAN


@pytest.mark.parametrize("name", PREDICTIONS)
def test_levels_may_differ_within_a_batch(name):
    prediction = PREDICTIONS[name]
    x, output = torch.tensor([[0.3], [0.5]]), torch.tensor([[0.7], [-0.2]])
    sigma = torch.tensor([[0.25], [0.5]])
    got = prediction.to_denoised(x, output, sigma)
    for i in range(2):
        alone = prediction.to_denoised(x[i].item(), output[i].item(), sigma[i].item())
        assert math.isclose(got[i].item(), alone, rel_tol=1e-6)

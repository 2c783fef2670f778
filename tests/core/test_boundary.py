import pytest
import torch

from fewstep.diffusion.boundary import boundary, consistency


def test_network_is_the_identity_on_clean_data():
    assert boundary(0) == (1.0, 0.0)
    assert consistency(3.0, 99.0, 0) == 3.0


def test_boundary_weights_are_the_published_ones():
    # sigma_data 0.5, scaled timestep 0.1 * 10 = 1: 0.25 / 1.25 and 1 / sqrt(1.25)
    c_skip, c_out = boundary(0.1)
    assert c_skip == pytest.approx(0.2)
    assert c_out == pytest.approx(1.25**-0.5)
    assert boundary(1, sigma_data=2.0, timestep_scaling=2.0) == pytest.approx((0.5, 0.5**0.5))
    assert consistency(1.0, 10.0, 0.1) == pytest.approx(0.2 + 10.0 * 1.25**-0.5)


def test_the_input_fades_to_seven_millionths_at_the_first_lcm_timestep():
    c_skip, c_out = boundary(19)
    assert c_skip == pytest.approx(6.925e-6, rel=1e-3)
    assert c_out == pytest.approx(1.0, abs=4e-6)


def test_timesteps_may_differ_within_a_batch():
    c_skip, c_out = boundary(torch.tensor([[0.0], [0.1]]))
    assert c_skip.tolist() == [[1.0], [pytest.approx(0.2)]]
    assert c_out.tolist() == [[0.0], [pytest.approx(1.25**-0.5)]]

import pytest
import torch

from fewstep.diffusion.process import FLOW, VE
from fewstep.samplers.levels import check_run

NAN, INF = float("nan"), float("inf")


def test_sound_levels_come_back_as_floats():
    x = torch.zeros(1, 1)
    assert check_run(x, (14.0, 1, 0), VE) == [14.0, 1.0, 0.0]
    assert check_run(x, torch.tensor([1.0, 0.5]), FLOW) == [1.0, 0.5]
    assert check_run(x, [0.0], VE) == [0.0]


@pytest.mark.parametrize(
    ("sigmas", "process", "match"),
    [
        ([], VE, "sigmas is empty"),
        ([1.0, 2.0], VE, r"sigmas\[1\] is 2 after 1; the levels must fall"),
        ([2.0, 1.0, 1.0, 0.0], VE, r"sigmas\[2\] is 1 after 1; the levels must fall"),
        ([1.0, NAN, 0.0], VE, r"sigmas\[1\] is nan; allowed is a number from 0 to inf for a VE"),
        ([INF, 0.0], VE, r"sigmas\[0\] is inf; allowed"),
        ([1.0, -0.5], VE, r"sigmas\[1\] is -0.5; allowed"),
        ([1.5, 0.0], FLOW, r"sigmas\[0\] is 1.5; allowed is a number from 0 to 1 for a FLOW"),
    ],
)
def test_levels_no_sampler_can_use_are_refused(sigmas, process, match):
    with pytest.raises(ValueError, match=match):
        check_run(torch.zeros(1, 1), sigmas, process)


@pytest.mark.parametrize("value", [NAN, INF, -INF])
def test_a_latent_with_a_value_that_is_no_number_is_refused(value):
    x = torch.zeros(2, 3)
    x[1, 2] = value
    with pytest.raises(ValueError, match="latent_image has 1 of 6 values that are NaN or infinite"):
        check_run(x, [1.0, 0.0], VE)

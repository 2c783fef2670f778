import math

import pytest
import torch

from fewstep.diffusion.process import FLOW, VE
from fewstep.distill.matching import level_between


@pytest.mark.parametrize(
    ("share", "angle"), [(0.0, 0.02 * math.pi / 2), (0.5, math.pi / 4), (1.0, 0.98 * math.pi / 2)]
)
def test_a_level_is_drawn_evenly_in_angle_and_inside_the_range(share, angle):
    share = torch.tensor([[share]], dtype=torch.float64)
    ve = level_between(0.0, 1e20, share, VE).item()
    assert ve == pytest.approx(math.tan(angle), rel=1e-12)
    # the same ratio of signal to noise: sigma / (1 - sigma) is VE's level
    assert level_between(0.0, 1.0, share, FLOW).item() == pytest.approx(ve / (1 + ve), rel=1e-12)


def test_a_level_lies_between_levels_of_its_own_sample():
    low = torch.tensor([[0.25], [0.5]], dtype=torch.float64)
    share = torch.tensor([[0.0], [1.0]], dtype=torch.float64)
    first, second = level_between(low, 2 * low, share, FLOW).flatten().tolist()
    assert 0.25 < first < 0.27 and 0.98 < second < 1.0

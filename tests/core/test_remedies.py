"""Each meter beyond its limit is told with its number, the limit and what to do."""

import re

import pytest
import torch

from fewstep.distill.meters import Meters, measure
from fewstep.distill.remedies import warnings

BEST = Meters((0.0, 0.0), (1.0, 1.0), 1.0, 1.0, 0.0)


@pytest.mark.parametrize(
    "changed",
    [
        {"mean_shift": (0.1, -0.1)},
        {"std_ratio": (0.95, 1.0)},
        {"std_ratio": (1.0, 1.05)},
        {"detail_ratio": 0.8},
        {"detail_ratio": 1.2},
        {"diversity": 0.85},
        {"diversity": 1.5},
        {"paired_error": 3.0},
        {"mean_shift": (None, 0.0), "std_ratio": (None, 1.0)},
        {"detail_ratio": None, "diversity": None},
    ],
)
def test_nothing_is_said_at_the_limits_nor_of_what_is_not_known(changed):
    assert warnings(BEST._replace(**changed)) == []


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"mean_shift": (0.0, -0.12)}, r"channel 1 is -0\.120 .* 0\.1 .*drifts.*See that"),
        ({"mean_shift": (0.31, -0.12)}, r"channel 0 is \+0\.310 .*lower learning_rate"),
        ({"std_ratio": (1.02, 1.08)}, r"channel 1 is 1\.080 .*1\.05\): over-baked.* Lower learn"),
        ({"std_ratio": (0.9, 1.08)}, r"channel 0 is 0\.900 .*0\.95\): washed out.*Train longer"),
        ({"std_ratio": (None, 1.08)}, r"channel 1 is 1\.080"),
        ({"detail_ratio": 1.3}, r"detail has 1\.300 .*1\.2\): over-baked.*Lower learning_rate"),
        ({"detail_ratio": 0.5}, r"detail has 0\.500 .*0\.8\): blurred.*more steps"),
        ({"diversity": 0.82}, r"differ 0\.820 .*0\.85\): pictures become alike\. Stop earlier"),
        ({"diversity": 0.8}, r"0\.85\): pictures become alike"),
        ({"diversity": 0.4}, r"differ 0\.400 .*0\.8\): collapsed, .*Go back to the best student"),
    ],
)
def test_a_meter_beyond_its_limit_is_told_with_number_limit_and_remedy(changed, said):
    (sentence,) = warnings(BEST._replace(**changed))
    assert re.search(said, sentence) and sentence.endswith(".")


def test_an_over_baked_student_that_has_collapsed_is_told_both():
    generator = torch.Generator().manual_seed(0)
    teacher = torch.randn(8, 2, 8, 8, generator=generator)
    student = 1.3 * teacher[[0, 0, 2, 2, 4, 4, 6, 6]]
    said = warnings(measure(student, teacher, [0, 0, 1, 1, 2, 2, 3, 3]))
    assert any("over-baked, too much contrast" in sentence for sentence in said)
    assert any("differ 0.000 times" in sentence for sentence in said)

"""Which student is kept and which has collapsed, by numbers worked out by hand."""

import json

import pytest
import torch
from oracles.gaussian import rectified_flow

from fewstep.distill.meters import Meters, has_collapsed, is_better, measure, score

GROUPS = [0, 0, 1, 1, 1, 2]
BEST = Meters((0.0, 0.0), (1.0, 1.0), 1.0, 1.0, 0.0)


def latents():
    generator = torch.Generator().manual_seed(0)
    return torch.randn(6, 3, 8, 10, generator=generator, dtype=torch.float64)


def test_a_diversity_below_four_fifths_is_collapse():
    assert has_collapsed(BEST._replace(diversity=0.799))
    assert not has_collapsed(BEST._replace(diversity=0.8))


def test_a_student_of_4_steps_that_has_not_learned_is_below_the_limit_of_collapse():
    data, noise = rectified_flow(0.0, 0.5), latents()
    sampled = {}
    for steps in (4, 50):
        x = noise
        for i in range(steps):
            sigma, sigma_next = 1 - i / steps, 1 - (i + 1) / steps
            denoised = data.denoised(x, sigma)
            x = denoised + sigma_next / sigma * (x - denoised)
        sampled[steps] = x
    meters = measure(sampled[4], sampled[50], GROUPS)
    assert 0.70 < meters.diversity < 0.71 and has_collapsed(meters)


def test_the_paired_score_is_the_paired_error_whatever_else():
    a = Meters((5.0,), (3.0,), 9.0, 0.1, 0.2)
    b = Meters((0.0,), (1.0,), 1.0, 1.0, 0.3)
    assert score(a, True) == 0.2
    assert is_better(a, b, True) and not is_better(b, a, True) and not is_better(a, a, True)
    assert is_better(b, a, False)


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"mean_shift": (0.1, 0.0)}, 0.5),
        ({"mean_shift": (-0.1, 0.1)}, 1.0),
        ({"std_ratio": (1.05, 1.0)}, 0.5),
        ({"std_ratio": (0.9, 1.1)}, 4.0),
        ({"detail_ratio": 1.2}, 1.0),
        ({"detail_ratio": 0.6}, 4.0),
        ({"diversity": 0.85}, 1.0),
        ({"diversity": 1.3}, 4.0),
        ({"paired_error": 2.0}, 0.0),
        ({"mean_shift": (None, 0.1), "detail_ratio": None, "diversity": None}, 1.0),
        ({"std_ratio": (1.05, 1.0), "detail_ratio": 1.2, "diversity": 0.85}, 2.5),
    ],
)
def test_the_unpaired_score_adds_squares_in_units_of_limits(changed, expected):
    assert score(BEST._replace(**changed), False) == pytest.approx(expected)


def test_best_so_far_without_pairs_is_before_the_over_baking():
    # contrast that rises over a run, from washed out to too much
    teacher = latents()
    runs = [measure(teacher * gain, teacher, GROUPS) for gain in (0.7, 0.9, 0.99, 1.1, 1.4)]
    scores = [score(meters, False) for meters in runs]
    assert scores.index(min(scores)) == 2


def test_meters_survive_json():
    student, teacher = latents(), latents().flip(0)
    teacher[:, 1] = 2.0
    meters = measure(student, teacher, range(6))
    back = Meters(*json.loads(json.dumps(meters)))
    assert score(back, False) == score(meters, False)
    assert [*back.mean_shift] == [*meters.mean_shift] and back[2:] == meters[2:]

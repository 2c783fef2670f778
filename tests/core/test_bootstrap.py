import math
from statistics import NormalDist

import numpy as np
import pytest
import torch
from oracles.kernel_distances import A, B, discrepancy, drawn, expected_cubic, expected_gaussian

from fewstep.evaluate.bootstrap import LEAST, Estimate, estimate
from fewstep.evaluate.frechet import frechet_distance
from fewstep.evaluate.kernel_distance import biased, cubic, gaussian, unbiased

REPETITIONS = 300
# enough: the shares that are covered are those of 250 within 0.013
RESAMPLES = 150


@torch.inference_mode()
def repeated(of_one):
    """The estimates of 300 repetitions; of_one: rng -> statistic, sizes."""
    rng = np.random.default_rng(0)
    return [estimate(*of_one(rng), seed=seed, resamples=RESAMPLES) for seed in range(REPETITIONS)]


def share_covered(found, truth):
    return sum(one.low <= truth <= one.high for one in found) / len(found)


def weighted_mean(x):
    return lambda weights: (weights @ x / weights.sum()).item()


def test_a_means_interval_is_that_of_its_standard_error():
    x = torch.randn(500, generator=torch.Generator().manual_seed(0)).double()
    found = estimate(weighted_mean(x), [500], seed=1, resamples=4000)
    half = NormalDist().inv_cdf(0.975) * x.std(correction=0).item() / math.sqrt(500)
    assert found.value == pytest.approx(x.mean().item()) and found.count == 500
    assert found.low == pytest.approx(found.value - half, abs=0.05 * half)
    assert found.high == pytest.approx(found.value + half, abs=0.05 * half)


def test_one_seed_gives_one_interval():
    x = torch.arange(20.0).double()
    one, same, other = (estimate(weighted_mean(x), [20], seed=seed) for seed in (3, 3, 4))
    assert one == same and one.value == other.value and one.low != other.low


def test_too_few_units_have_a_value_and_no_interval():
    x = torch.arange(LEAST - 1.0).double()
    assert estimate(weighted_mean(x), [LEAST - 1], seed=0) == Estimate(4.0, None, None, 9)


def test_independent_sets_are_drawn_apart_and_one_set_together():
    x = torch.randn(60, generator=torch.Generator().manual_seed(2)).double()
    mean = weighted_mean(x)
    together = estimate(lambda w: mean(w) - mean(w), [60], seed=0)
    apart = estimate(lambda w, v: mean(w) - mean(v), [60, 60], seed=0)
    assert (together.low, together.high) == (0.0, 0.0)
    assert apart.low < -0.1 and apart.high > 0.1 and apart.count == 60


def test_intervals_of_a_mean_cover_the_truth():
    def of_one(rng):
        return weighted_mean(torch.tensor(rng.exponential(size=100))), [100]

    assert 0.90 <= share_covered(repeated(of_one), 1.0) <= 0.99


def test_intervals_of_pictures_of_one_prompt_cover_the_truth_by_prompts_alone():
    """4 seeds of each of 40 prompts, which differ more from each other than their seeds do."""

    def sets(rng):
        prompts = rng.normal(size=(40, 1))
        return torch.tensor(prompts + 0.3 * rng.normal(size=(40, 4)))

    by_prompt = lambda rng: (weighted_mean(sets(rng).mean(1)), [40])
    by_picture = lambda rng: (weighted_mean(sets(rng).flatten()), [160])
    assert 0.90 <= share_covered(repeated(by_prompt), 0.0) <= 0.99
    assert share_covered(repeated(by_picture), 0.0) < 0.8


@pytest.mark.parametrize(
    ("kernel", "expected", "made"),
    [(cubic, expected_cubic, unbiased), (gaussian, expected_gaussian, biased)],
)
def test_intervals_of_kid_and_cmmd_cover_the_truth(kernel, expected, made):
    def of_one(rng):
        return made(drawn(A, 50, rng), drawn(B, 40, rng), kernel).value, [50, 40]

    assert 0.90 <= share_covered(repeated(of_one), discrepancy(expected)) <= 0.99


def test_intervals_of_the_frechet_distance_cover_the_truth_that_its_values_lie_above():
    means, scales, sizes = (0.0, 0.4), (1.0, 1.3), (80, 60)
    truth = 3 * 0.4**2 + 3 * (1.0 - math.sqrt(1.3)) ** 2
    shapes = [
        (np.full(3, mean), scale * np.eye(3)) for mean, scale in zip(means, scales, strict=True)
    ]

    def of_one(rng):
        a, b = (drawn(shape, size, rng) for shape, size in zip(shapes, sizes, strict=True))
        return lambda w, v: frechet_distance(a, b, w, v), sizes

    found = repeated(of_one)
    assert 0.90 <= share_covered(found, truth) <= 0.99
    # so that percentiles alone would hold it too rarely
    assert np.mean([one.value for one in found]) > 1.15 * truth

import math

import numpy as np
import pytest
import torch
from oracles.feature_extractor import AsTheyCome
from oracles.kernel_distances import A, B, discrepancy, drawn, expected_cubic, expected_gaussian
from torchmetrics.image.kid import KernelInceptionDistance

from fewstep.evaluate.kernel_distance import (
    biased,
    cubic,
    gaussian,
    kid_of_subsets,
    of_length_1,
    unbiased,
)


def standard_errors_off(values, of):
    return abs(np.mean(values) - of) / (np.std(values, ddof=1) / math.sqrt(len(values)))


def test_kernels_are_their_formulas():
    a, b = torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0, -4.0], [1.0, 2.0]])
    # dot products -5 and 5, squared distances 40 and 0
    assert cubic(a, b).tolist() == [[(-2.5 + 1) ** 3, 3.5**3]]
    assert gaussian(a, b)[0].tolist() == pytest.approx([math.exp(-40 / 200), 1.0])


@pytest.mark.parametrize(
    ("kernel", "expected"), [(cubic, expected_cubic), (gaussian, expected_gaussian)]
)
def test_mean_of_200_draws_is_the_discrepancy_of_the_gaussians(kernel, expected):
    rng = np.random.default_rng(0)
    values = [unbiased(drawn(A, 60, rng), drawn(B, 45, rng), kernel).value() for _ in range(200)]
    assert standard_errors_off(values, discrepancy(expected)) < 3


def test_of_one_distribution_the_mean_is_0_and_the_biased_estimates_is_not():
    rng = np.random.default_rng(1)
    draws = [(drawn(A, 40, rng), drawn(A, 40, rng)) for _ in range(200)]
    assert standard_errors_off([unbiased(*pair).value() for pair in draws], 0.0) < 3
    assert standard_errors_off([biased(*pair).value() for pair in draws], 0.0) > 10


def test_kid_is_torchmetrics_of_the_same_features():
    rng = np.random.default_rng(2)
    a, b = drawn(A, 200, rng), drawn(B, 200, rng)
    metric = KernelInceptionDistance(AsTheyCome(3), subsets=1, subset_size=200)
    metric = metric.set_dtype(torch.float64)
    for features, is_real in ((a, True), (b, False)):
        metric.update(features[:, :, None, None], real=is_real)
    assert unbiased(a, b).value() == pytest.approx(metric.compute()[0].item(), rel=1e-4)


def test_pictures_of_the_same_prompts_have_the_discrepancy_of_other_prompts():
    """A prompt moves the teacher's and the student's picture alike."""
    rng = np.random.default_rng(3)
    mean_a, cov = A
    of_b = B[0], cov
    shared, own = 0.6 * cov, 0.4 * cov

    def sets():
        prompts = rng.multivariate_normal(np.zeros(3), shared, size=30)
        a = prompts + rng.multivariate_normal(mean_a, own, size=30)
        # two seeds a prompt
        b = np.repeat(prompts, 2, axis=0) + rng.multivariate_normal(of_b[0], own, size=60)
        return torch.tensor(a), torch.tensor(b), range(30), np.repeat(range(30), 2).tolist()

    draws = [sets() for _ in range(400)]
    apart = discrepancy(expected_cubic, A, of_b)
    known = [unbiased(a, b, cubic, of_a, of_b).value() for a, b, of_a, of_b in draws]
    assert standard_errors_off(known, apart) < 3
    assert standard_errors_off([unbiased(a, b).value() for a, b, *_ in draws], apart) > 10


def test_pairs_of_one_prompt_do_not_count():
    a, b = torch.tensor([[1.0], [2.0], [3.0]]), torch.tensor([[4.0], [5.0]])
    # prompts 7, 7, 8 and 8, 9: within a two pairs of 7 and 8, between all but 3 with 4
    found = unbiased(a, b, lambda x, y: x @ y.T, [7, 7, 8], [8, 9]).value()
    assert found == pytest.approx((3 + 6) / 2 + 20 - 2 * (4 + 5 + 8 + 10 + 15) / 5)


@pytest.mark.parametrize("of", [None, ([0, 0, 1, 2, 3], [3, 4, 4, 5])])
def test_a_picture_that_counts_twice_weighs_as_two_that_are_no_pair(of):
    rng = np.random.default_rng(4)
    a, b = drawn(A, 5, rng), drawn(B, 4, rng)
    weights_a, weights_b = (torch.tensor(w).double() for w in ([2, 0, 1, 1, 3], [1, 2, 1, 0]))
    found = unbiased(a, b, cubic, *(of or ())).value(weights_a, weights_b)
    rows_a, rows_b = (
        [i for i, w in enumerate(ws) for _ in range(int(w))] for ws in (weights_a, weights_b)
    )
    of_a, of_b = of or (range(5), range(5, 9))
    repeated = unbiased(
        a[rows_a], b[rows_b], cubic, [of_a[i] for i in rows_a], [of_b[i] for i in rows_b]
    )
    assert found == pytest.approx(repeated.value())


def test_the_biased_estimate_is_the_mean_over_all_pairs():
    rng = np.random.default_rng(5)
    a, b = drawn(A, 20, rng), drawn(B, 30, rng)
    expected = gaussian(a, a).mean() + gaussian(b, b).mean() - 2 * gaussian(a, b).mean()
    assert biased(a, b).value() == pytest.approx(expected.item())


def test_features_of_length_1_keep_their_direction():
    scaled = of_length_1(torch.tensor([[3.0, 4.0], [0.0, -2.0]]))
    torch.testing.assert_close(scaled, torch.tensor([[0.6, 0.8], [0.0, -1.0]]).double())
    with pytest.raises(ValueError, match="features of picture 2 are all 0"):
        of_length_1(torch.tensor([[3.0, 4.0], [0.0, 0.0]]))


def test_subsets_have_the_mean_of_the_whole():
    rng = np.random.default_rng(6)
    a, b = drawn(A, 300, rng), drawn(B, 300, rng)
    mean, deviation = kid_of_subsets(a, b, seed=0, size=100, subsets=400)
    assert abs(mean - unbiased(a, b).value()) < 3 * deviation / math.sqrt(400)
    whole = kid_of_subsets(a, b, seed=0, size=300, subsets=2)
    assert whole == (pytest.approx(unbiased(a, b).value()), pytest.approx(0.0, abs=1e-12))
    assert kid_of_subsets(a, b, seed=0, size=50, subsets=3) == kid_of_subsets(
        a, b, seed=0, size=50, subsets=3
    )


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda a, b: unbiased(a, b, prompts_a=range(4)), "of both sets or of none"),
        (lambda a, b: unbiased(a, b, cubic, [1, 2], [1, 2, 3, 4]), "2 prompts for 4 pictures"),
        (lambda a, b: unbiased(a, b, cubic, [1] * 4, range(4)), "all pictures are of one prompt"),
        (
            lambda a, b: kid_of_subsets(a, b, seed=0),
            "of 1000 pictures, .* 4 and 4; allowed .* 2 to 4",
        ),
        (lambda a, b: biased(a, b[:1]), "the set to judge: 1 pictures"),
    ],
)
def test_what_has_no_discrepancy_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call(torch.zeros(4, 3), torch.zeros(4, 3))

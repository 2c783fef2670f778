import numpy as np
import pytest
import torch
from oracles.feature_extractor import AsTheyCome
from scipy.linalg import sqrtm
from torchmetrics.image.fid import FrechetInceptionDistance

from fewstep.evaluate.frechet import frechet_distance


def gaussian(mean, cov, count=400, seed=0):
    """A sample whose mean and covariance are exactly these."""
    x = np.random.default_rng(seed).normal(size=(count, len(mean)))
    x -= x.mean(axis=0)
    x = x @ np.linalg.inv(np.linalg.cholesky(np.cov(x, rowvar=False))).T
    return torch.tensor(x @ np.linalg.cholesky(cov).T + mean)


def spread(width, seed):
    """A covariance without a structure."""
    a = np.random.default_rng(seed).normal(size=(width, width))
    return a @ a.T + 0.1 * np.eye(width)


def torchmetrics_fid(a, b):
    metric = FrechetInceptionDistance(AsTheyCome(a.shape[1]))
    metric = metric.set_dtype(torch.float64)
    for features, is_real in ((a, True), (b, False)):
        metric.update(features[:, :, None, None], real=is_real)
    return metric.compute().item()


def test_independent_features_add_up_the_distances_of_means_and_deviations():
    # (1 - 4)^2 + (2 - 3)^2 + (5 - 5)^2 of the means and (1 - 3)^2 + (2 - 1)^2 + 0 of deviations
    a = gaussian([1.0, 2.0, 5.0], np.diag([1.0, 4.0, 1.0]))
    b = gaussian([4.0, 3.0, 5.0], np.diag([9.0, 1.0, 1.0]), count=300, seed=1)
    assert frechet_distance(a, b) == pytest.approx(10.0 + 5.0)


def test_covariances_that_do_not_commute_have_the_root_of_their_product():
    one, other = spread(6, 2), spread(6, 3)
    expected = np.trace(one + other - 2 * sqrtm(one @ other).real)
    a, b = gaussian(np.zeros(6), one), gaussian(np.zeros(6), other, seed=4)
    assert frechet_distance(a, b) == pytest.approx(expected)


@pytest.mark.parametrize(("count", "width"), [(500, 16), (300, 64), (64, 64)])
def test_it_is_torchmetrics_of_the_same_features(count, width):
    generator = torch.Generator().manual_seed(5)
    a = torch.randn(count, width, generator=generator, dtype=torch.float64)
    b = 1.2 * torch.randn(count + 20, width, generator=generator, dtype=torch.float64) + 0.1
    assert frechet_distance(a, b) == pytest.approx(torchmetrics_fid(a, b), rel=1e-4)


def test_fewer_pictures_than_features_have_the_distance_of_their_singular_covariances():
    # all lies in the first 3 of 50 features, turned so that no feature is 0
    small = gaussian(np.zeros(3), spread(3, 6), count=30), gaussian(np.ones(3), spread(3, 7), 30)
    turn = np.linalg.qr(np.random.default_rng(8).normal(size=(50, 50)))[0][:3]
    wide = [x @ torch.tensor(turn) for x in small]
    assert frechet_distance(*wide) == pytest.approx(frechet_distance(*small))


@pytest.mark.parametrize("width", [2, 12])
def test_a_picture_that_counts_twice_is_in_the_set_twice(width):
    a, b = (torch.randn(8, width, generator=torch.Generator().manual_seed(s)) for s in (9, 10))
    weights = torch.tensor([2.0, 0.0, 1.0, 1.0, 3.0, 1.0, 0.0, 0.0], dtype=torch.float64)
    repeated = a.repeat_interleave(weights.long(), dim=0)
    assert frechet_distance(a, b, weights) == pytest.approx(frechet_distance(repeated, b))
    assert frechet_distance(b, a, None, weights) == pytest.approx(frechet_distance(b, repeated))


def test_few_pictures_of_one_distribution_lie_far_apart():
    """Why FID of few is named biased: 100 pictures of 512 features, the same distribution."""
    generator = torch.Generator().manual_seed(11)
    few, many = (
        frechet_distance(*torch.randn(2, count, 64, generator=generator)) for count in (100, 10000)
    )
    assert few > 20.0 and many < 0.5


@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        (torch.zeros(1, 3), torch.zeros(4, 3), "the reference set: 1 pictures; this measure needs"),
        (torch.zeros(4, 3), torch.zeros(0, 3), "the set to judge: 0 pictures; .* 2 or more"),
        (torch.zeros(4, 3), torch.zeros(4, 5), "has 3 features a picture and the set to judge 5"),
        (torch.zeros(4), torch.zeros(4, 5), r"the shape \[4\]; it must be \[N, D\]"),
        (
            torch.zeros(4, 3),
            torch.tensor([[0.0, 1.0], [0.0, torch.nan]]),
            "features of picture 2 are not finite .* in float32",
        ),
    ],
)
def test_features_that_have_no_distance_are_refused(a, b, message):
    with pytest.raises(ValueError, match=message):
        frechet_distance(a, b)

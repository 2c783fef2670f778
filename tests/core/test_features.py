import numpy as np
import pytest
from scipy import ndimage

from fewstep.demo.features import feature_distance, features
from fewstep.demo.judge import read_picture
from fewstep.demo.world import BACKGROUNDS, COLOURS, Scene, Thing, draw, random_scene


@pytest.fixture(scope="module")
def pictures():
    rng = np.random.default_rng(3)
    return [draw(random_scene(rng, 1 + i % 2)) for i in range(160)]


@pytest.fixture(scope="module")
def described(pictures):
    return np.stack([features(picture) for picture in pictures])


def blurred(picture, pixels):
    return ndimage.gaussian_filter(picture.astype(np.float32), (pixels, pixels, 0)).astype(np.uint8)


def test_a_picture_has_24_finite_features_and_equal_pictures_equal_ones(pictures, described):
    assert described.shape == (160, 24)
    assert np.isfinite(described).all()
    np.testing.assert_array_equal(features(pictures[0], read_picture(pictures[0])), described[0])


def test_an_empty_and_a_static_picture_have_finite_features():
    static = np.random.default_rng(0).integers(0, 256, (128, 128, 3)).astype(np.uint8)
    for picture in (np.zeros((128, 128, 3), np.uint8), static):
        assert np.isfinite(features(picture)).all()


def test_shares_of_the_palette_are_the_areas_in_the_picture():
    square = Thing("square", "red", "large", 64.0, 64.0, 30.0, 0.0, (0.0, 0.0, 0.0))
    described = features(draw(Scene((square,), None, "gray", (0.0, 0.0))))
    names = [*COLOURS, *BACKGROUNDS]
    assert described[:12].sum() == pytest.approx(1.0, abs=1e-3)
    # 51 x 51 of 128 x 128 pixels; at its edge a few are of neither colour
    assert described[names.index("red")] == pytest.approx(51**2 / 128**2, abs=0.01)
    assert described[names.index("gray")] == pytest.approx(1 - 51**2 / 128**2, abs=0.01)
    assert described[17] == 1.0  # things
    assert described[20:22] == pytest.approx([63.5 / 128] * 2)


def test_blur_shows_in_the_edges(pictures):
    sharp, soft = features(pictures[0]), features(blurred(pictures[0], 3))
    assert soft[16] < 0.7 * sharp[16]


def test_distance_of_a_set_to_itself_is_none(described):
    assert feature_distance(described, described) == pytest.approx(0.0, abs=1e-5)
    assert feature_distance(described, described[::-1]) == pytest.approx(0.0, abs=1e-5)


def gaussian(mean, cov, count=400):
    """A sample whose mean and covariance are exactly these."""
    x = np.random.default_rng(0).normal(size=(count, len(mean)))
    x -= x.mean(axis=0)
    x = x @ np.linalg.inv(np.linalg.cholesky(np.cov(x, rowvar=False))).T
    return x @ np.linalg.cholesky(cov).T + mean


def test_distance_of_gaussians_is_the_closed_form():
    # of commuting covariances: |m - n|^2 + sum (sqrt(a) - sqrt(b))^2, in units of the reference
    variances, others = np.array([1.0, 4.0, 0.25]), np.array([4.0, 4.0, 1.0])
    mean = np.array([1.0, -2.0, 0.5])
    a, b = gaussian(np.zeros(3), np.diag(variances)), gaussian(mean, np.diag(others))
    expected = (mean**2 / variances + (1 - np.sqrt(others / variances)) ** 2).sum()
    # numpy's std divides by N, its cov by N - 1
    assert feature_distance(a, b) == pytest.approx(expected, rel=0.01)


def test_distance_knows_correlation():
    # between unit Gaussians of correlation r and -r, whose covariances commute: 4 (1 - sqrt(1-r^2))
    r = 0.6
    a, b = (gaussian(np.zeros(2), np.array([[1, s], [s, 1]])) for s in (r, -r))
    expected = 2 * (np.sqrt(1 + r) - np.sqrt(1 - r)) ** 2
    assert feature_distance(a, b) == pytest.approx(expected, rel=0.01)


def test_distance_does_not_depend_on_the_unit_of_a_feature(described):
    scale = np.linspace(1, 5, 24)
    half = len(described) // 2
    plain = feature_distance(described[:half], described[half:])
    assert feature_distance(described[:half] * scale, described[half:] * scale) == pytest.approx(
        plain, rel=0.02
    )


def test_distance_grows_with_blur(pictures, described):
    distances = [
        feature_distance(described, np.stack([features(blurred(p, b)) for p in pictures[:100]]))
        for b in (0, 1, 2, 4)
    ]
    assert distances == sorted(distances)
    assert distances[3] > 10 * distances[0]


def test_a_set_of_one_picture_repeated_is_far_and_finite(described):
    distance = feature_distance(described, np.repeat(described[:1], 100, axis=0))
    assert 5 < distance < 1e4


@pytest.mark.filterwarnings("error")
def test_fewer_pictures_than_features_give_a_distance_without_a_warning(described):
    assert feature_distance(described[:20], described[20:40]) > 0
    assert feature_distance(described[:20], described[:20]) == pytest.approx(0.0, abs=1e-5)

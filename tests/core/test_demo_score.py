import pytest

from fewstep.demo.score import Score, score
from fewstep.demo.world import read_caption

ONE = read_caption("a red circle")
TWO = read_caption("a red circle above a small blue star on a gray background")


@pytest.mark.parametrize(
    ("right", "total", "low", "high"),
    [
        # Newcombe, Statistics in Medicine 17 (1998), table I, method 3
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_interval_is_the_published_one(right, total, low, high):
    assert Score(right, total).interval == pytest.approx((low, high), abs=5e-5)


def test_interval_keeps_a_width_inside_the_range_when_all_or_none_are_right():
    assert 1 - 1e-12 < Score(10, 10).interval[1] <= 1.0
    assert 0.0 <= Score(0, 10).interval[0] < 1e-12
    # z^2 / (n + z^2)
    assert Score(0, 10).interval[1] == pytest.approx(3.841459 / 13.841459, abs=1e-6)


def test_each_kind_counts_its_own_captions_and_all_counts_both():
    scores = score([True, False, True, True, False], [ONE, TWO, ONE, TWO, TWO])
    assert scores == {
        "single-object": Score(2, 2),
        "two-object": Score(1, 3),
        "all": Score(3, 5),
    }
    assert scores["all"].accuracy == 0.6


def test_a_kind_without_captions_has_no_score():
    assert score([False], [TWO]) == {"two-object": Score(0, 1), "all": Score(0, 1)}


@pytest.mark.parametrize(("verdicts", "wanted"), [([], []), ([True], [ONE, TWO])])
def test_verdicts_and_captions_must_match(verdicts, wanted):
    with pytest.raises(ValueError, match=rf"got {len(verdicts)} verdicts for {len(wanted)} capt"):
        score(verdicts, wanted)

"""Losses of steps compound, and a loss is a loss whichever way its metric is better."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fewstep.evaluate.ledger import Entry
from fewstep.evaluate.waterfall import Bar, notes, summary, waterfall

quick = settings(derandomize=True, deadline=None, max_examples=200)

NAMES = ("teacher", "fp8", "steps", "guidance")
# 0.98, 0.95 and 0.97 of the one before
COMPOUNDING = (100.0, 98.0, 93.1, 90.307)
CAUTION = (
    "within chance: the intervals before and after overlap. This is cautious: such a change may "
    "still be real, and more pictures would tell."
)


def entries(figures, metric="accuracy", golden_sets="aaaa"):
    """An entry by each figure, which is a value or a value with its limits."""
    return [
        Entry(name, {}, {metric: _estimate(figure)}, golden_set, "2026-01-31T12:00:00Z")
        for name, figure, golden_set in zip(NAMES, figures, golden_sets, strict=False)
    ]


def _estimate(figure):
    value, low, high = figure if isinstance(figure, tuple) else (figure, None, None)
    return value, low, high, 50


def exactly(*values):
    """Figures that chance has no part in."""
    return [(value, value, value) for value in values]


def test_losses_of_2_5_and_3_per_cent_are_9_7_together():
    found = waterfall(entries(COMPOUNDING), "accuracy")
    assert summary(found) == "fp8 -2.0 %, steps -5.0 %, guidance -3.0 %: together -9.7 %"
    assert [bar.change for bar in found.bars] == pytest.approx([-2.0, -5.0, -3.0])
    assert found.total.change == pytest.approx(100 * (0.98 * 0.95 * 0.97 - 1))


def test_a_fall_of_what_is_better_low_is_a_gain_and_a_rise_a_loss():
    found = waterfall(entries([10.0, 12.0, 9.0], "FID"), "FID")
    assert summary(found) == "fp8 -20.0 %, steps +25.0 %: together +10.0 %"


values = st.lists(st.floats(1e-3, 1e3), min_size=2, max_size=4)


@quick
@given(values=values)
@pytest.mark.parametrize(("metric", "sign"), [("accuracy", 1), ("FID", -1)])
def test_changes_compound_to_the_last_value_over_the_first(metric, sign, values):
    found = waterfall(entries(values, metric), metric)
    product = math.prod(1 + sign * bar.change / 100 for bar in found.bars)
    assert 1 + sign * found.total.change / 100 == pytest.approx(product, rel=1e-9)
    assert values[0] * product == pytest.approx(values[-1], rel=1e-9)
    # minus is a loss
    assert (found.total.change < 0) == (sign * values[-1] < sign * values[0])


@quick
@given(values=values)
def test_bars_join_the_first_value_to_the_last(values):
    bars = waterfall(entries(values), "accuracy").bars
    assert [bar.name for bar in bars] == list(NAMES[1 : len(values)])
    assert [bars[0].before, *(bar.after for bar in bars)] == values
    assert [*(bar.before for bar in bars), bars[-1].after] == values


def test_bars_hold_all_that_a_drawing_needs():
    given = entries([(50.0, 48.0, 52.0), (40.0, 38.0, 42.0), (41.0, 39.0, 43.0)])
    found = waterfall(given, "accuracy", step_tolerance=19.0, total_tolerance=17.0)
    assert found.bars == (
        Bar("fp8", 50.0, 40.0, pytest.approx(-20.0), False, True),
        Bar("steps", 40.0, 41.0, pytest.approx(2.5), True, False),
    )
    assert found.total == Bar("together", 50.0, 41.0, pytest.approx(-18.0), False, True)
    assert (found.metric, found.step_tolerance, found.total_tolerance) == ("accuracy", 19.0, 17.0)


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ((10.0, 9.0, 11.0), (8.0, 7.0, 8.9), False),
        ((10.0, 9.0, 11.0), (8.0, 7.0, 9.0), True),
        ((10.0, 9.0, 11.0), (12.0, 11.0, 13.0), True),
        ((10.0, 9.0, 11.0), (12.0, 11.1, 13.0), False),
        # one within the other
        ((10.0, 5.0, 15.0), (11.0, 10.5, 11.5), True),
        ((11.0, 10.5, 11.5), (10.0, 5.0, 15.0), True),
        ((10.0, 9.0, 11.0), 10.0, None),
        (10.0, (10.0, 9.0, 11.0), None),
    ],
)
def test_a_step_is_within_chance_where_intervals_overlap(before, after, expected):
    (bar,) = waterfall(entries([before, after]), "accuracy").bars
    assert bar.is_within_chance is expected


def test_chance_is_shown_at_the_step_and_said_to_be_cautious():
    found = waterfall(entries([(10.0, 9.5, 10.5), (9.8, 9.3, 10.3), (9.1, 8.8, 9.4)]), "accuracy")
    assert summary(
        found
    ) == "fp8 -2.0 % (within chance), steps -7.1 % (within chance): together " + ("-9.0 %")
    assert notes(found) == [CAUTION]


def test_steps_without_intervals_are_named():
    found = waterfall(entries([(10.0, 9.5, 10.5), (8.0, 7.3, 8.3), 9.0]), "accuracy")
    told = "without intervals, so chance is not ruled out: steps, together."
    assert notes(found) == [told]


def test_exact_figures_without_tolerances_leave_nothing_to_note():
    assert notes(waterfall(entries(exactly(*COMPOUNDING)), "accuracy")) == []


def test_a_loss_beyond_its_tolerance_is_named_with_both_numbers():
    found = waterfall(
        entries(exactly(*COMPOUNDING)), "accuracy", step_tolerance=4, total_tolerance=7.5
    )
    assert [bar.is_over_tolerance for bar in found.bars] == [False, True, False]
    assert notes(found) == [
        "steps: accuracy is 5.00 % worse, and 4 % is allowed for a step.",
        "all steps together: accuracy is 9.69 % worse, and 7.5 % is allowed for all together.",
    ]


def test_a_loss_beyond_its_tolerance_may_be_chance_and_a_gain_never_is_one():
    given = entries([(10.0, 9.0, 14.0), (13.0, 11.0, 15.0), (6.0, 4.0, 8.0)], "FID")
    found = waterfall(given, "FID", step_tolerance=1.0)
    assert notes(found) == [
        "fp8: FID is 30.00 % worse, and 1 % is allowed for a step, though within chance.",
        CAUTION,
    ]


# 100 * (0.95 / 1 - 1) and its like are not whole in floating point
@pytest.mark.parametrize("loss", range(1, 100))
def test_a_loss_of_just_its_tolerance_is_allowed(loss):
    exact = exactly(1.0, (100 - loss) / 100)
    for tolerance, is_over in [(loss, False), (loss - 1e-6, True)]:
        found = waterfall(
            entries(exact), "accuracy", step_tolerance=tolerance, total_tolerance=tolerance
        )
        assert found.bars[0].is_over_tolerance == found.total.is_over_tolerance == is_over


def test_no_loss_is_within_a_tolerance_of_0_and_any_is_beyond():
    found = waterfall(entries([1.0, 1.0, 0.99]), "accuracy", step_tolerance=0.0)
    assert [bar.is_over_tolerance for bar in found.bars] == [False, True]
    assert not found.total.is_over_tolerance


@pytest.mark.parametrize("metric", ["accuracy", "FID"])
def test_no_change_is_not_shown_as_a_loss(metric):
    found = waterfall(entries([1.0, 1.0, 1.0001, 1.0], metric), metric)
    assert summary(found) == "fp8 +0.0 %, steps +0.0 %, guidance +0.0 %: together +0.0 %"


def test_a_step_may_lose_everything():
    found = waterfall(entries([0.5, 0.0]), "accuracy")
    assert summary(found) == "fp8 -100.0 %: together -100.0 %"


@pytest.mark.parametrize(
    ("values", "name", "shown"),
    [
        ([0.0, 1.0], "teacher", "0"),
        ([1.0, 0.0, 0.5], "fp8", "0"),
        ([1.0, -0.25, 0.5], "fp8", "-0.25"),
        ([1.0, -0.25], "fp8", "-0.25"),
    ],
)
def test_a_value_of_which_nothing_is_a_per_cent_is_refused(values, name, shown):
    told = f"^KID x 1000 of {name} is {shown}, of which nothing can be a per cent. Choose another"
    with pytest.raises(ValueError, match=told):
        waterfall(entries(values, "KID x 1000"), "KID x 1000")


def test_entries_of_different_golden_sets_are_refused_by_both_names():
    told = "^teacher was measured on golden set a and steps on b; they cannot be compared. Measure"
    with pytest.raises(ValueError, match=told):
        waterfall(entries(COMPOUNDING, golden_sets="aaba"), "accuracy")


@pytest.mark.parametrize("count", [0, 1])
def test_fewer_than_two_entries_are_refused(count):
    with pytest.raises(ValueError, match=f"needs two entries, and there are {count}. Measure the"):
        waterfall(entries(COMPOUNDING)[:count], "accuracy")


def test_a_metric_that_not_all_have_is_refused_with_those_that_all_have():
    teacher, fp8 = entries([1.0, 2.0], "FID")
    teacher.figures["SSIM"] = fp8.figures["passes"] = _estimate(1.0)
    for metric, lacking in [("SSIM", "fp8"), ("KID x 1000", "teacher, fp8")]:
        told = (
            f"^metric is '{metric}', and these were measured without it: {lacking}. Metrics of all "
            "entries: FID. Choose one, or measure it.$"
        )
        with pytest.raises(ValueError, match=told):
            waterfall([teacher, fp8], metric)
    with pytest.raises(ValueError, match="Metrics of all entries: none. Choose"):
        waterfall([*entries([1.0]), fp8], "accuracy")


def test_a_metric_whose_direction_is_not_known_is_refused_with_those_that_are():
    told = "^metric is 'charm', and whether higher .* Choose one of accuracy, .*, memory.$"
    with pytest.raises(ValueError, match=told):
        waterfall(entries(COMPOUNDING, "charm"), "charm")


@pytest.mark.parametrize("tolerance", [-1.0, math.nan, math.inf])
@pytest.mark.parametrize("name", ["step_tolerance", "total_tolerance"])
def test_a_tolerance_that_is_no_per_cent_is_refused(name, tolerance):
    with pytest.raises(ValueError, match=f"^{name} is {tolerance}; allowed are 0 or more per cent"):
        waterfall(entries(COMPOUNDING), "accuracy", **{name: tolerance})

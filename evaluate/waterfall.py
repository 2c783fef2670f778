"""The waterfall of losses: what each step of a ledger costs, and what all cost together.

Per cent compound: steps that cost 2, 5 and 3 % leave 0.98 * 0.95 * 0.97 = 0.903 of the first value
and cost 9.7 % together. The product of the factors after / before is the last over the first value.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

from .bootstrap import Estimate
from .ledger import HIGHER_IS_BETTER, Entry

TOTAL = "together"
# per cent; 0.95 / 1 is a loss of 5.000000000000004 %, and a tolerance of 5 % allows it
ROUNDING = 1e-9


class Bar(NamedTuple):
    """A step of a waterfall.

    Attributes:
        name: of the step.
        before, after: values of the metric.
        change: per cent of the value before; minus is a loss, whether higher or lower is better.
        is_within_chance: whether the intervals before and after overlap. This is cautious: a change
            whose intervals overlap may be real, and one whose intervals do not seldom is chance.
            None where one of the two has no interval.
        is_over_tolerance: whether the loss is more than the user allows.
    """

    name: str
    before: float
    after: float
    change: float
    is_within_chance: bool | None
    is_over_tolerance: bool


class Waterfall(NamedTuple):
    """The steps after the first entry of a ledger, by one metric.

    Attributes:
        bars: in the order of the ledger; each begins where the one before ends.
        total: from the first value to the last, in which the changes of the bars compound.
        step_tolerance, total_tolerance: per cent; None where any loss is allowed.
    """

    metric: str
    bars: tuple[Bar, ...]
    total: Bar
    step_tolerance: float | None
    total_tolerance: float | None


def waterfall(
    entries: Sequence[Entry],
    metric: str,
    *,
    step_tolerance: float | None = None,
    total_tolerance: float | None = None,
) -> Waterfall:
    """What each entry changes against the one before it, and the last against the first.

    Args:
        entries: two or more, in the order of their steps; the first is what losses are of.
        metric: one of HIGHER_IS_BETTER that every entry has.
        step_tolerance: the loss in per cent that one step may cost.
        total_tolerance: the loss in per cent that all may cost together.

    Raises:
        ValueError: there are fewer than two entries, or of different golden sets; the metric is
            missing or its direction is not known; a tolerance is below 0 or not finite; a value is
            negative, or 0 before a step, which leaves nothing to take per cent of.
    """
    _check_tolerance("step_tolerance", step_tolerance)
    _check_tolerance("total_tolerance", total_tolerance)
    _check_entries(entries)
    _check_metric(entries, metric)
    figures = [Estimate(*entry.figures[metric]) for entry in entries]
    _check_values(entries, metric, figures)
    bars = [
        _bar(entry.name, metric, before, after, step_tolerance)
        for entry, before, after in zip(entries[1:], figures, figures[1:], strict=False)
    ]
    total = _bar(TOTAL, metric, figures[0], figures[-1], total_tolerance)
    return Waterfall(metric, tuple(bars), total, step_tolerance, total_tolerance)


def summary(of: Waterfall) -> str:
    """One line: "fp8 -2.0 %, steps -5.0 % (within chance), guidance -3.0 %: together -9.7 %"."""
    return f"{', '.join(map(_shown, of.bars))}: {_shown(of.total)}"


def notes(of: Waterfall) -> list[str]:
    """Sentences on losses beyond their tolerance, and on what the intervals tell; perhaps none."""
    found = [_warning(bar.name, bar, of, of.step_tolerance, "a step") for bar in of.bars]
    found.append(_warning("all steps together", of.total, of, of.total_tolerance, "all together"))
    found = [sentence for sentence in found if sentence]
    every = (*of.bars, of.total)
    if any(bar.is_within_chance for bar in every):
        found.append(
            "within chance: the intervals before and after overlap. This is cautious: such a "
            "change may still be real, and more pictures would tell."
        )
    if unknown := [bar.name for bar in every if bar.is_within_chance is None]:
        found.append(f"without intervals, so chance is not ruled out: {', '.join(unknown)}.")
    return found


def _bar(name, metric, before, after, tolerance):
    sign = 1 if HIGHER_IS_BETTER[metric] else -1
    change = sign * 100 * (after.value / before.value - 1)
    is_over = tolerance is not None and -change > tolerance + ROUNDING
    return Bar(name, before.value, after.value, change, _overlap(before, after), is_over)


def _overlap(a, b):
    if None in (a.low, a.high, b.low, b.high):
        return None
    return a.low <= b.high and b.low <= a.high


def _shown(bar):
    # + 0.0, since -0.0 would be shown as a loss
    text = f"{bar.name} {round(bar.change, 1) + 0.0:+.1f} %"
    return f"{text} (within chance)" if bar.is_within_chance else text


def _warning(who, bar, of, tolerance, what):
    if not bar.is_over_tolerance:
        return None
    doubt = ", though within chance" if bar.is_within_chance else ""
    return (
        f"{who}: {of.metric} is {-bar.change:.2f} % worse, and {tolerance:g} % is allowed for "
        f"{what}{doubt}."
    )


def _check_tolerance(name, tolerance):
    if tolerance is not None and not 0 <= tolerance < math.inf:
        raise ValueError(
            f"{name} is {tolerance}; allowed are 0 or more per cent. Choose a finite one, or None."
        )


def _check_entries(entries):
    if len(entries) < 2:
        raise ValueError(
            f"a waterfall needs two entries, and there are {len(entries)}. Measure the model before"
            " its first step, and after it."
        )
    first = entries[0]
    for entry in entries:
        if entry.golden_set != first.golden_set:
            raise ValueError(
                f"{first.name} was measured on golden set {first.golden_set} and {entry.name} on "
                f"{entry.golden_set}; they cannot be compared. Measure both on one of them."
            )


def _check_metric(entries, metric):
    if lacking := [entry.name for entry in entries if metric not in entry.figures]:
        shared = [name for name in entries[0].figures if all(name in e.figures for e in entries)]
        raise ValueError(
            f"metric is {metric!r}, and these were measured without it: {', '.join(lacking)}. "
            f"Metrics of all entries: {', '.join(shared) or 'none'}. Choose one, or measure it."
        )
    if metric not in HIGHER_IS_BETTER:
        raise ValueError(
            f"metric is {metric!r}, and whether higher is better is not known of it. Choose one of "
            f"{', '.join(HIGHER_IS_BETTER)}."
        )


def _check_values(entries, metric, figures):
    for k, (entry, figure) in enumerate(zip(entries, figures, strict=True)):
        is_last = k == len(entries) - 1
        if figure.value < 0 or (figure.value == 0 and not is_last):
            raise ValueError(
                f"{metric} of {entry.name} is {figure.value:g}, of which nothing can be a per "
                "cent. Choose another metric, or leave out the entries up to this one."
            )

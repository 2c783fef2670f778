"""What the figures of a contender come to, in words."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from .bootstrap import Estimate
from .table import Row, cell

# ends the name of a figure that is a difference to the reference, prompt by prompt
LESS = ", less the reference's"
# of the reference's: below it the seeds of a prompt are too much alike, above it pictures are
# different because they are broken
LEAST_DIVERSITY, MOST_DIVERSITY = 0.85, 1.2


class Verdict(NamedTuple):
    """Whether a contender has lost nothing that shows, and why; None where nothing tells."""

    is_as_good: bool | None
    text: str


def verdict(row: Row) -> Verdict:
    """A sentence for each thing that is measured as a difference, and for diversity.

    A loss counts once its whole interval is one; without intervals nothing is shown, and nothing is
    as good.
    """
    found = _judged(row)
    if not found:
        return Verdict(None, "Nothing was measured that makes a verdict.")
    return Verdict(all(one.is_as_good for one in found), " ".join(one.text for one in found))


def lead(rows: Sequence[Row]) -> str:
    """The one thing to know: which contender of fewest passes has lost nothing that shows.

    Args:
        rows: the reference first.
    """
    reference, *others = rows
    if not any(map(_judged, others)):
        return f"Nothing was measured that tells a loss against {reference.name}."
    good = [row for row in others if verdict(row).is_as_good]
    if not good:
        return f"Of {len(others)} none was shown to be as good as {reference.name}."
    best = min(good, key=lambda row: row.passes or math.inf)
    found = f"{_count(best)} prompts show no loss against {reference.name}."
    if best.passes is None or reference.passes is None:
        return f"{best.name}: {found}"
    return (
        f"{best.name} takes {_passes(best.passes)} a picture instead of {reference.passes}; {found}"
    )


def _judged(row):
    found = [_of_difference(figure) for figure in row.figures if figure.name.endswith(LESS)]
    found += [_of_diversity(figure) for figure in row.figures if figure.name == "diversity"]
    return found


def _of_difference(figure):
    name, estimate = figure.name.removesuffix(LESS), figure.estimate
    if estimate.low is None:
        return Verdict(False, f"Too few prompts to tell of a loss of {name}.")
    if estimate.high < 0:
        return Verdict(False, f"It loses {name}: {cell(figure)}.")
    if estimate.low > 0:
        return Verdict(True, f"It gains {name}: {cell(figure)}.")
    return Verdict(True, f"No loss of {name} shows: {cell(figure)}.")


def _of_diversity(figure):
    estimate: Estimate = figure.estimate
    if estimate.low is None:
        return Verdict(False, "Too few prompts to tell of diversity.")
    if estimate.high < LEAST_DIVERSITY:
        return Verdict(False, f"Its seeds are too much alike: diversity {cell(figure)}.")
    if estimate.low < LEAST_DIVERSITY:
        return Verdict(True, f"Its seeds may be too much alike: diversity {cell(figure)}.")
    if estimate.low > MOST_DIVERSITY:
        text = f"Its seeds differ more than they should, as broken pictures do: {cell(figure)}."
        return Verdict(False, text)
    return Verdict(True, f"Its seeds differ as they should: diversity {cell(figure)}.")


def _passes(count):
    return "1 network pass" if count == 1 else f"{count} network passes"


def _count(row):
    return row.figures[0].estimate.count

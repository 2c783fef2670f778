"""What an evaluation measured, as a table for people and as JSON for programs."""

from collections.abc import Sequence
from typing import NamedTuple

from .bootstrap import Estimate
from .figures import Figure

# decimal places of a figure; of any other 2
PLACES = {"FID": 2, "KID x 1000": 1}


class Row(NamedTuple):
    """A contender, the network passes of one of its pictures, and its figures.

    The reference has those alone that need no other set. passes is None where nobody counted.
    """

    name: str
    passes: int | None
    figures: Sequence[Figure]


def as_text(rows: Sequence[Row]) -> str:
    """A table with a figure and its interval in each cell, and what must be known to read it.

    Args:
        rows: the reference first.
    """
    names = figure_names(rows)
    header = ("", "passes", *names)
    cells = []
    for row in rows:
        known = {figure.name: cell(figure) for figure in row.figures}
        cells.append((row.name, passes(row), *(known.get(name, "-") for name in names)))
    return "\n".join([*aligned([header, *cells]), "", *notes(rows)]) + "\n"


def passes(row: Row) -> str:
    """As a cell of a table."""
    return "-" if row.passes is None else str(row.passes)


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """A line for each row, names to the left, numbers to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            text.rjust(width) if k else text.ljust(width)
            for k, (text, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def figure_names(rows: Sequence[Row]) -> list[str]:
    """Of all rows, in the order in which they come."""
    return list(dict.fromkeys(figure.name for row in rows for figure in row.figures))


def notes(rows: Sequence[Row]) -> list[str]:
    """Sentences about the figures, each once."""
    count = rows[0].figures[0].estimate.count
    found = [
        f"In brackets what chance leaves: 95 % intervals over {count} prompts, drawn anew with all "
        f"their seeds. Distances and diversity are to the pictures of {rows[0].name}, of the same "
        "noise."
    ]
    if rows[0].figures[0].estimate.low is None:
        found = [f"{count} prompts are too few for intervals; take 10 or more."]
    found += [figure.note for row in rows for figure in row.figures if figure.note]
    return list(dict.fromkeys(found))


def cell(figure: Figure) -> str:
    """0.94 (0.89-0.99): the figure and its interval."""
    value, low, high, _ = figure.estimate
    places = PLACES.get(figure.name, 2)
    # 0.0 makes of -0.0 a 0.0
    told = lambda number: f"{round(number, places) + 0.0:.{places}f}"
    return told(value) if low is None else f"{told(value)} ({told(low)} to {told(high)})"


def as_json(rows: Sequence[Row], told: dict) -> dict:
    """Everything that was measured.

    Args:
        told: what all rows have in common.
    """
    return {
        **told,
        "contenders": [
            {
                "name": row.name,
                "passes": row.passes,
                "figures": {
                    figure.name: _figure(figure.estimate, figure) for figure in row.figures
                },
            }
            for row in rows
        ],
    }


def _figure(estimate: Estimate, figure):
    return {**estimate._asdict(), "note": figure.note}

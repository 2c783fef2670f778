"""A step of a ledger, from what an evaluation measured."""

import json
from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, NamedTuple

from .bootstrap import Estimate
from .ledger import Entry, append, read


class Measured(NamedTuple):
    """What one set of pictures came to beside another.

    Attributes:
        name, reference: of both sets.
        golden_set: its fingerprint.
        change: settings of the set that are not the reference's, by the way to them.
        figures: of the set, by their names; of_reference: those that the reference has alone.
    """

    name: str
    reference: str
    golden_set: str
    change: Mapping[str, str | int | float | bool | None]
    figures: Mapping[str, Estimate]
    of_reference: Mapping[str, Estimate]


def keep(path: Path, step: str, measured: Measured) -> str:
    """Add a step to a ledger, behind the reference where it is the first; returns what was done.

    A step that is the last one already is not added again.

    Args:
        step: its name; "" takes that of the set.

    Raises:
        ValueError: the ledger is damaged, or of another golden set.
        OSError: the disk is full, or the folder cannot be written to.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    entries = read(path) if path.exists() else []
    steps = [_entry(step.strip() or measured.name, measured.change, measured.figures, measured)]
    if not entries:
        steps.insert(0, _entry(measured.reference, {}, measured.of_reference, measured))
    elif entries[0].golden_set != measured.golden_set:
        raise ValueError(
            f"the ledger {path.stem} is of golden set {entries[0].golden_set}, and figures are of "
            f"{measured.golden_set}; their losses cannot be compared. Choose another name."
        )
    elif entries[-1]._replace(when="") == steps[0]._replace(when=""):
        return f"{steps[0].name} is its last step already"
    for entry in steps:
        append(path, entry)
    return f"{steps[-1].name} was added"


def changed(reference: Mapping[str, Any], request: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of pictures that are not the reference's, by the way to them.

    Returns:
        values that a ledger keeps; None where the pictures have no such setting.
    """
    ways = [way for way in {**reference, **request} if reference.get(way) != request.get(way)]
    as_scalar = lambda value: json.dumps(value) if isinstance(value, dict | list) else value
    return {way: as_scalar(request.get(way)) for way in ways}


def _entry(name, change, figures, measured):
    when = datetime.now(timezone.utc).isoformat(timespec="seconds")
    return Entry(name, dict(change), dict(figures), measured.golden_set, when)

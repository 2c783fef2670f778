"""The losses of a training, as a table for other programs."""

import csv
from pathlib import Path

from ..distill.stages import Trained


def write_losses(path: Path, trained: list[Trained]) -> None:
    """A CSV file with a row for each iteration of each stage, and a column for each learner."""
    names = list(dict.fromkeys(name for part in trained for name in part.losses))
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["stage", "iteration", *names])
        for stage, _, losses in trained:
            rows = zip(*(losses.get(name, []) for name in names), strict=False)
            writer.writerows([stage.name, i, *row] for i, row in enumerate(rows, 1))

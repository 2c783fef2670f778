"""What is left of a training besides its LoRA: a report and the loss of every iteration."""

import csv
from collections.abc import Iterator
from pathlib import Path

from ..distill.meters import Meters
from ..distill.remedies import warnings
from ..distill.stages import Trained


def lines_of(trained: list[Trained]) -> Iterator[str]:
    """The stages, their validations, and what to do about them."""
    for stage, outcome, _ in trained:
        if len(trained) > 1:
            yield f"{stage.name}:"
        yield f"the student of iteration {outcome.iteration} is kept"
        if outcome.is_stopped:
            yield "stopped before its time, since the seeds of a prompt became one picture"
        for iteration, meters in outcome.meters.items():
            yield f"iteration {iteration}: {said(meters)}"
        if outcome.iteration in outcome.meters:
            yield from warnings(outcome.meters[outcome.iteration])


def said(meters: Meters) -> str:
    """Meters in a line."""
    varied = "-" if meters.diversity is None else f"{meters.diversity:.3f}"
    detail = "-" if meters.detail_ratio is None else f"{meters.detail_ratio:.3f}"
    return f"error {meters.paired_error:.4f}, detail {detail}, variety of seeds {varied}"


def write_losses(path: Path, trained: list[Trained]) -> None:
    """A CSV file with a row for each iteration of each stage, and a column for each learner."""
    names = list(dict.fromkeys(name for part in trained for name in part.losses))
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["stage", "iteration", *names])
        for stage, _, losses in trained:
            rows = zip(*(losses.get(name, []) for name in names), strict=False)
            writer.writerows([stage.name, i, *row] for i, row in enumerate(rows, 1))

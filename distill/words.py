"""What came of a training, in words for people."""

from collections.abc import Iterator

from .meters import Meters
from .names import EXPERIMENTAL
from .remedies import warnings
from .stages import Trained


def cautions(method: str) -> Iterator[str]:
    """What to know of a method before its student is used."""
    if method in EXPERIMENTAL:
        yield (
            f"method {method} is experimental: it changes the look and makes seeds alike if it is "
            "trained for long. Watch variety of seeds and the pictures, and stop early."
        )


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

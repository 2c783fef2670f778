"""What a demo run measured, and its numbers as the words that every output prints."""

from typing import NamedTuple

import numpy as np

from ..demo.score import KINDS, Score
from ..evaluate.table import aligned

# below it the covariance of 24 features means nothing
LEAST_FOR_DISTANCE = 48
HEADER = (
    "model",
    "steps",
    "cfg",
    "passes",
    "seconds",
    "ratio",
    "one object",
    "two objects",
    "all",
    "Frechet",
)


class Method(NamedTuple):
    """One way to sample: with guidance (cfg_scale other than 1) a step is two network passes.

    Attributes:
        sampler: "euler", "lcm" or "tcd".
        spacing: of the noise levels, "trailing" or "lcm".
        guidance: cfg_scale that the network is told; None for those that have no input for it.
        shift: of a flow model's levels; None for those of Stable Diffusion's kind.
    """

    model: str
    steps: int
    cfg_scale: float
    sampler: str = "euler"
    spacing: str = "trailing"
    guidance: float | None = None
    shift: float | None = None

    @property
    def passes(self) -> int:
        return self.steps * (1 if self.cfg_scale == 1.0 else 2)

    @property
    def title(self) -> str:
        """Model and steps, such as "teacher, 50 steps"; files that are named so have both."""
        name, steps = self.model.replace("_", " "), f"{self.steps} step" + "s" * (self.steps > 1)
        return name if name.endswith(steps) else f"{name}, {steps}"


class Result(NamedTuple):
    """What was measured of one method.

    seconds is sampling per picture, ratio the teacher's seconds over them, scores holds a Score for
    each kind of caption, distance is None where there were too few pictures. pictures [columns, H,
    W, 3] uint8 are the ones to show, verdicts whether each shows its caption.
    """

    method: Method
    seconds: float
    ratio: float
    scores: dict[str, Score]
    distance: float | None
    pictures: np.ndarray
    verdicts: tuple[bool, ...]


class Setting(NamedTuple):
    """Under what conditions; decode_seconds is per picture, versions by name."""

    captions: tuple[str, ...]  # of the pictures to show
    pictures: int
    seed: int
    batch: int
    threads: int
    decode_seconds: float
    machine: str
    versions: dict[str, str]


def cells(result: Result) -> tuple[str, ...]:
    """One row of the table, a text under each of HEADER."""
    method = result.method
    return (
        method.model,
        str(method.steps),
        f"{method.cfg_scale:g}",
        str(method.passes),
        f"{result.seconds:.3f}",
        f"{result.ratio:.1f}x",
        *(accuracy(result.scores.get(kind)) for kind in KINDS),
        "-" if result.distance is None else f"{result.distance:.2f}",
    )


def accuracy(score: Score | None) -> str:
    """97.9 % (89-100): the share, and the interval in whole percent."""
    if score is None:
        return "-"
    low, high = score.interval
    return f"{100 * score.accuracy:.1f} % ({100 * low:.0f}-{100 * high:.0f})"


def text_table(results: list[Result]) -> str:
    """The table for a terminal: models to the left, numbers to the right."""
    rows = [HEADER, *map(cells, results)]
    lines = aligned(rows)
    lines.insert(1, "-" * max(map(len, lines)))
    return "\n".join(lines)


def notes(setting: Setting) -> list[str]:
    """What a reader must know to read the table, a sentence or two each."""
    return [
        "seconds: network passes alone, per picture. Decoding costs every row the same, "
        f"{setting.decode_seconds:.3f} s per picture, and is not counted.",
        "ratio: seconds of the first row, or of the flow teacher for its students, over those of "
        f"this one, measured by turns in one run on {threads(setting)}, {setting.batch} pictures "
        "at a time.",
        f"accuracy: share of {setting.pictures} pictures in which the judge reads all that the "
        "caption says and nothing else; in brackets the 95 % interval (Wilson).",
        "Frechet: distance to the pictures of the same captions that the teacher, as in its first "
        "row, makes from other noise, in the judge's features; what that row has is chance. Not "
        f"measured for fewer than {LEAST_FOR_DISTANCE} pictures.",
    ]


def threads(setting: Setting) -> str:
    return f"{setting.threads} thread" + "s" * (setting.threads > 1)

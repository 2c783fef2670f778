"""What travels between the nodes that evaluate: golden sets, and the pictures made of them."""

from pathlib import Path
from typing import NamedTuple

from comfy_api.latest import io

from ..evaluate.figures import Figure
from ..evaluate.golden_set import Golden

GoldenSetSocket = io.Custom("FEWSTEP_GOLDEN_SET")
PictureSetSocket = io.Custom("FEWSTEP_PICTURES")
FiguresSocket = io.Custom("FEWSTEP_FIGURES")
WaysSocket = io.Custom("FEWSTEP_WAYS")
FOLDER = "evaluation"


class Pictures(NamedTuple):
    """A whole set of pictures: where they lie, and the golden set that they are of."""

    folder: Path
    golden_set: tuple[Golden, ...]


class Measured(NamedTuple):
    """What one set of pictures came to beside another.

    Attributes:
        name, reference: of both sets.
        golden_set: its fingerprint.
        change: settings of the set that are not the reference's, by the way to them.
        figures: of the set; of_reference: those that the reference has alone.
    """

    name: str
    reference: str
    golden_set: str
    change: dict[str, str | int | float | bool | None]
    figures: list[Figure]
    of_reference: list[Figure]

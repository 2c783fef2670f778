"""What travels between the nodes that evaluate: golden sets, and the pictures made of them."""

from pathlib import Path
from typing import NamedTuple

from comfy_api.latest import io

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

"""The pictures of a golden set, made by one contender after the other, each picture once."""

import gc
import re
from collections.abc import Callable, Sequence
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from ..evaluate.golden_set import Golden, fingerprint
from ..evaluate.picture_file import to_png
from ..evaluate.picture_set import PictureSet
from .processes import Processes

BAR = (
    "{percentage:3.0f} % |{bar}| {n_fmt} of {total_fmt} pictures, {elapsed} gone, {remaining} to go"
)

Maker = Callable[[Sequence[Golden]], np.ndarray]


class Contender(NamedTuple):
    """A way to make pictures that is compared with others.

    Attributes:
        name: of it in reports.
        passes: of the network, for one picture.
        request: everything that its pictures depend on besides the golden set, as JSON.
        load: () -> (rows of one size) -> [B, H, W, 3] uint8 pictures. The noise of a picture comes
            from its own seed, so that a picture is the same whatever it is made beside.
    """

    name: str
    passes: int
    request: dict
    load: Callable[[], Maker]

    @property
    def folder(self) -> str:
        return folder_name(self.name)


def folder_name(name: str) -> str:
    """A contender's name as that of a folder, on any system."""
    return re.sub("[^0-9a-z]+", "-", name.lower()).strip("-") or "contender"


def make_sets(
    contenders: Sequence[Contender],
    golden_set: Sequence[Golden],
    folder: Path,
    here: Processes,
    *,
    batch: int,
) -> list[PictureSet]:
    """The set of each contender, with a bar of progress; arguments and errors as `make_pictures`.

    Each is loaded where it has pictures to make, and gone before the next one is.
    """
    sets, total = [], len(contenders) * len(golden_set)
    with tqdm(total=total, bar_format=BAR, smoothing=0, disable=not here.is_main) as bar:
        on_made = lambda count: bar.update(count * here.of)
        for one in contenders:
            sets.append(make_pictures(one, golden_set, folder, here, batch=batch, on_made=on_made))
            # networks that diffusers has hooked into know themselves, and would stay for a while
            gc.collect()
    return sets


def make_pictures(
    contender: Contender,
    golden_set: Sequence[Golden],
    folder: Path,
    here: Processes,
    *,
    batch: int,
    on_made: Callable[[int], None] = lambda count: None,
) -> PictureSet:
    """Make those pictures that are not there yet.

    Args:
        folder: of all contenders' sets.
        batch: pictures at a time.
        on_made: called with how many pictures are there more, those of before included.

    Returns:
        the whole set.

    Raises:
        ValueError: the folder holds pictures of something else, or the contender refuses a row.
        OSError: the disk is full, or the folder cannot be written to.
    """
    request = {"golden set": fingerprint(golden_set), "batch": batch, **contender.request}
    opened = lambda: PictureSet(Path(folder) / contender.folder, request, len(golden_set))
    if here.is_main:
        opened()
    here.wait()
    made, maker = opened(), None
    missing = set(made.missing())
    for turn, rows in enumerate(batches(golden_set, batch)):
        if turn % here.of != here.index:
            continue
        left = [row for row in rows if row in missing]
        if left:
            maker = maker or contender.load()
            # the whole batch, since a picture's last bits depend on how many are made together
            pictures = maker([golden_set[row] for row in rows])
            for row in left:
                told = {**golden_set[row]._asdict(), **request}
                made.put(row, to_png(pictures[row - rows[0]], told))
        on_made(len(rows))
    here.wait()
    return made


def batches(golden_set: Sequence[Golden], batch: int) -> list[range]:
    """Rows that are made together: neighbours of one size, at most batch of them."""
    found, first = [], 0
    for _, same in groupby(golden_set, key=lambda golden: (golden.width, golden.height)):
        end = first + len(list(same))
        found += [range(i, min(i + batch, end)) for i in range(first, end, batch)]
        first = end
    return found

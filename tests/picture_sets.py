"""Sets of small pictures that say what they were made of, as Golden Pictures leaves them."""

import numpy

from fewstep.evaluate.golden_set import Golden, fingerprint
from fewstep.evaluate.picture_file import to_png
from fewstep.evaluate.picture_set import PictureSet

SIDE = 32  # pixels


def golden_set(count, tags=()):
    """Prompts of their own; every other one with tags."""
    return [
        Golden(f"prompt number {row}", None, row, tags if row % 2 else (), SIDE, SIDE)
        for row in range(count)
    ]


def grey(brightness, side=SIDE):
    """[side, side, 3] of one brightness, with a little noise, so that no two files are equal."""
    dice = numpy.random.default_rng(brightness)
    noise = dice.integers(0, 9, (side, side, 3))
    return (numpy.clip(brightness, 0, 246) + noise).astype(numpy.uint8)


def make_set(folder, name, rows, picture, **request):
    """A whole set in folder/pictures/name.

    Args:
        picture: row number -> [H, W, 3] uint8.
    """
    told = {"golden set": fingerprint(rows), "model": name, **request}
    made = PictureSet(folder / "pictures" / name, told, len(rows))
    for number, row in enumerate(rows):
        made.put(number, to_png(picture(number), {**row._asdict(), **told}))
    return made

"""Read a demo picture back: what stands in it, where, and before what background.

The judge knows the drawing rules but not the scene. It cuts the picture into things by colour, and
compares each outline with every shape of the world. Blurred, mixed or broken things read as
nothing, so a picture is right only if it shows clearly what its caption demands.
"""

from functools import cache
from typing import NamedTuple

import numpy as np
from scipy import ndimage

from .world import BACKGROUNDS, COLOURS, RELATIONS, SHAPES, TURN, Wanted, distance

FRAME = 3  # pixels at the edge that must show background
FOREGROUND = 48.0  # 0..255 RGB distance from the background at which a thing begins
COLOUR_TOLERANCE = 45.0  # 0..255 RGB distance a thing may be off its palette colour
ONE_COLOUR = 0.7  # share of a thing's inner pixels that must have its colour
SMALLEST_THING = 60  # pixels; less is a speck
SPECKS = 24  # pixels of specks a clean picture may have
SHAPE_MATCH = 0.75  # intersection over union with the best outline
SIZE_LIMITS = (18.5, 25.0)  # radius in pixels between small, medium and large
GRID = 64  # cells across an outline when it is compared
REACH = 2.4  # half width of that grid, in units of sqrt(area / pi)


class SeenThing(NamedTuple):
    """What the judge reads of one thing; None where it cannot tell. x, y in pixels."""

    shape: str | None
    colour: str | None
    size: str
    x: float
    y: float
    match: float


class Seen(NamedTuple):
    """What the judge reads in a picture; specks are pixels that belong to nothing."""

    things: tuple[SeenThing, ...]
    background: str | None
    specks: int


def read_picture(picture: np.ndarray) -> Seen:
    """Read a picture of the demo world.

    Args:
        picture: [H, W, 3] uint8.
    """
    rgb = picture.astype(np.float32)
    sides = (rgb[:FRAME], rgb[-FRAME:], rgb[:, :FRAME], rgb[:, -FRAME:])
    edge = np.concatenate([side.reshape(-1, 3) for side in sides])
    ground = np.median(edge, axis=0)
    labels, count = ndimage.label(np.linalg.norm(rgb - ground, axis=2) > FOREGROUND)
    areas = np.bincount(labels.ravel(), minlength=count + 1)[1:]
    large = [k + 1 for k in np.flatnonzero(areas >= SMALLEST_THING)]
    things = tuple(_read_thing(rgb, ground, labels == k) for k in large)
    specks = int(areas[areas < SMALLEST_THING].sum())
    return Seen(things, _nearest(ground, BACKGROUNDS), specks)


def satisfies(seen: Seen, wanted: Wanted) -> bool:
    """True if the picture shows exactly what the caption demands, and nothing besides."""
    if len(seen.things) != len(wanted.things) or seen.specks > SPECKS:
        return False
    if wanted.background not in (None, seen.background):
        return False
    orders = [seen.things, seen.things[::-1]]
    return any(_fits(order, wanted) for order in orders)


def _fits(things, wanted):
    named = all(
        (thing.shape, thing.colour) == (want.shape, want.colour) and want.size in (None, thing.size)
        for thing, want in zip(things, wanted.things, strict=True)
    )
    if not named or wanted.relation is None:
        return named
    dx, dy = things[0].x - things[1].x, things[0].y - things[1].y
    side = RELATIONS[wanted.relation]
    along, across = dx * side[0] + dy * side[1], abs(dx * side[1]) + abs(dy * side[0])
    return along > across


def _read_thing(rgb, ground, region):
    inside = ndimage.binary_erosion(region)
    pixels = rgb[inside if inside.any() else region]
    colour = _nearest(np.median(pixels, axis=0), COLOURS)
    if colour and np.mean(_far(pixels, COLOURS[colour]) <= COLOUR_TOLERANCE) < ONE_COLOUR:
        colour = None
    mask = _cover(rgb, ground, np.median(pixels, axis=0), region) > 0.5
    y, x = (float(c) for c in ndimage.center_of_mass(mask))
    scores = _matches(mask, x, y)
    shape = max(scores, key=scores.__getitem__)
    radius = np.sqrt(mask.sum() / _outlines()[1][shape])
    size = ("small", "medium", "large")[int(np.searchsorted(SIZE_LIMITS, radius))]
    whole = not (mask[0].any() or mask[-1].any() or mask[:, 0].any() or mask[:, -1].any())
    sure = whole and scores[shape] >= SHAPE_MATCH
    return SeenThing(shape if sure else None, colour, size, x, y, scores[shape])


def _cover(rgb, ground, colour, region):
    """How much of each pixel near the region has the colour and not the ground, 0..1."""
    way = colour - ground
    cover = (rgb - ground) @ way / (way @ way)
    return np.where(ndimage.binary_dilation(region), cover, 0.0)


def _far(pixels, colour):
    return np.linalg.norm(pixels - np.array(colour), axis=-1)


def _nearest(colour, palette):
    name = min(palette, key=lambda k: _far(colour, palette[k]))
    return name if _far(colour, palette[name]) <= COLOUR_TOLERANCE else None


def _matches(mask, x, y):
    scale = np.sqrt(mask.sum() / np.pi)
    ticks = (np.arange(GRID) + 0.5) / GRID * 2 - 1
    rows = y + ticks * REACH * scale
    columns = x + ticks * REACH * scale
    grid = np.meshgrid(rows, columns, indexing="ij")
    seen = ndimage.map_coordinates(mask.astype(np.float32), grid, order=1) > 0.5
    outlines, _ = _outlines()
    return {
        shape: float(((seen & masks).sum((1, 2)) / (seen | masks).sum((1, 2))).max())
        for shape, masks in outlines.items()
    }


@cache
def _outlines():
    """Outlines of every shape and turn on the comparison grid, and its area at radius 1."""
    radius, size = 40.0, 128
    centres = np.arange(size) + 0.5 - size / 2
    x, y = np.meshgrid(centres, centres)
    outlines, unit_areas = {}, {}
    for shape in SHAPES:
        turns = [distance(shape, x, y, radius, turn) < 0 for turn in np.linspace(-TURN, TURN, 13)]
        unit_areas[shape] = turns[6].sum() / radius**2
        outlines[shape] = np.stack([_on_grid(mask) for mask in turns])
    return outlines, unit_areas


def _on_grid(mask):
    y, x = ndimage.center_of_mass(mask)
    scale = np.sqrt(mask.sum() / np.pi)
    ticks = (np.arange(GRID) + 0.5) / GRID * 2 - 1
    grid = np.meshgrid(y + ticks * REACH * scale, x + ticks * REACH * scale, indexing="ij")
    return ndimage.map_coordinates(mask.astype(np.float32), grid, order=1) > 0.5

"""A small world of captioned pictures, drawn by code from a seed.

Every picture is a `Scene` of one or two plain shapes before a background. `caption` says what it
shows in plain words, `read_caption` turns such words back into what they demand, and `draw` renders
the scene. What a caption leaves out (place, exact size, turn, sometimes size or background) is
drawn at random, so that one caption has many right pictures.
"""

import math
import re
from typing import NamedTuple

import numpy as np

PICTURE_SIZE = 128  # pixels
SHAPES = ("circle", "square", "triangle", "star", "ring", "cross")
COLOURS = {  # 0..255 RGB of the things
    "red": (220, 40, 40),
    "orange": (245, 140, 20),
    "yellow": (250, 225, 40),
    "green": (40, 160, 60),
    "blue": (40, 80, 220),
    "purple": (140, 50, 180),
    "white": (245, 245, 245),
    "black": (20, 20, 20),
}
BACKGROUNDS = {  # 0..255 RGB
    "gray": (128, 128, 128),
    "pink": (250, 180, 200),
    "teal": (70, 160, 165),
    "brown": (130, 85, 50),
}
SIZES = {"small": (14.0, 17.0), "medium": (20.0, 23.0), "large": (27.0, 30.0)}  # radius in pixels
RELATIONS = {  # unit vector from the second thing to the first; y points down
    "left of": (-1, 0),
    "right of": (1, 0),
    "above": (0, -1),
    "below": (0, 1),
}
MARGIN = 4.0  # pixels between a thing and the edge, or between two things
TURN = 15.0  # degrees a thing may be turned to either side
COLOUR_JITTER = 8.0  # 0..255, uniform, per thing and channel
SHADE = 10.0  # 0..255, how far the background drifts from one edge to the other


class Thing(NamedTuple):
    """One shape; x, y and radius in pixels, turn in degrees, tint added to the colour."""

    shape: str
    colour: str
    size: str
    x: float
    y: float
    radius: float
    turn: float
    tint: tuple[float, float, float]


class Scene(NamedTuple):
    """One picture; the relation is that of things[0] to things[1], shade the drift in x and y."""

    things: tuple[Thing, ...]
    relation: str | None
    background: str
    shade: tuple[float, float]


class WantedThing(NamedTuple):
    """What a caption says of one thing; None where it says nothing."""

    size: str | None
    colour: str
    shape: str


class Wanted(NamedTuple):
    """What a caption demands of a picture; None where it says nothing."""

    things: tuple[WantedThing, ...]
    relation: str | None
    background: str | None


def random_scene(rng: np.random.Generator, things: int) -> Scene:
    """Draw a scene with one or two things.

    Args:
        rng: the only source of chance; equal generators give equal scenes.
        things: 1 or 2.
    """
    background = _pick(rng, BACKGROUNDS)
    shade = tuple(rng.uniform(-SHADE, SHADE, 2))
    if things == 1:
        size, radius = _random_size(rng)
        x, y = rng.uniform(_reach(radius), PICTURE_SIZE - _reach(radius), 2)
        return Scene((_random_thing(rng, size, radius, x, y),), None, background, shade)
    relation = _pick(rng, RELATIONS)
    while True:
        sizes = [_random_size(rng) for _ in range(2)]
        places = _random_places(rng, sizes[0][1], sizes[1][1], RELATIONS[relation])
        if places is not None:
            break
    pair = [_random_thing(rng, *size, *place) for size, place in zip(sizes, places, strict=True)]
    while (pair[1].shape, pair[1].colour) == (pair[0].shape, pair[0].colour):
        pair[1] = _random_thing(rng, *sizes[1], *places[1])
    return Scene(tuple(pair), relation, background, shade)


def caption(scene: Scene, rng: np.random.Generator) -> str:
    """Say in words what the scene shows; sizes and background are sometimes left unsaid."""
    words = [_name(scene.things[0], rng)]
    if scene.relation:
        words += [scene.relation, _name(scene.things[1], rng)]
    if rng.random() < 0.75:
        words.append(f"on a {scene.background} background")
    return " ".join(words)


def read_caption(text: str) -> Wanted:
    """Turn a caption of this world back into what it demands.

    Raises:
        ValueError: the words are not of this world.
    """
    thing = rf"a (?:(small|large) )?({'|'.join(COLOURS)}) ({'|'.join(SHAPES)})"
    match = re.fullmatch(
        rf"{thing}(?: ({'|'.join(RELATIONS)}) {thing})?"
        rf"(?: on a ({'|'.join(BACKGROUNDS)}) background)?",
        text.strip().lower(),
    )
    if match is None:
        raise ValueError(
            f"caption {text!r} is not of the demo world; it reads like 'a red circle left of a "
            f"small blue square on a gray background' (shapes: {', '.join(SHAPES)}; colours: "
            f"{', '.join(COLOURS)}; backgrounds: {', '.join(BACKGROUNDS)})"
        )
    first, relation, second, background = (
        match.group(1, 2, 3),
        match.group(4),
        match.group(5, 6, 7),
        match.group(8),
    )
    things = [WantedThing(*first)] + ([WantedThing(*second)] if relation else [])
    return Wanted(tuple(things), relation, background)


def draw(scene: Scene, size: int = PICTURE_SIZE) -> np.ndarray:
    """Render a scene with smooth edges.

    Returns:
        [size, size, 3] uint8.
    """
    centres = (np.arange(size, dtype=np.float32) + 0.5) * (PICTURE_SIZE / size)
    x, y = np.meshgrid(centres, centres)
    drift = (x * scene.shade[0] + y * scene.shade[1]) / PICTURE_SIZE - sum(scene.shade) / 2
    picture = np.array(BACKGROUNDS[scene.background], np.float32) + drift[..., None]
    for thing in scene.things:
        outside = distance(thing.shape, x - thing.x, y - thing.y, thing.radius, thing.turn)
        cover = np.clip(0.5 - outside * (size / PICTURE_SIZE), 0, 1)[..., None]
        colour = np.array(COLOURS[thing.colour], np.float32) + np.array(thing.tint, np.float32)
        picture = picture * (1 - cover) + colour * cover
    return np.clip(np.rint(picture), 0, 255).astype(np.uint8)


def distance(shape: str, x: np.ndarray, y: np.ndarray, radius: float, turn: float) -> np.ndarray:
    """Signed distance in pixels to the edge of a shape at the origin, negative inside."""
    angle = math.radians(turn)
    x, y = math.cos(angle) * x + math.sin(angle) * y, math.cos(angle) * y - math.sin(angle) * x
    match shape:
        case "circle":
            return np.hypot(x, y) - radius
        case "ring":
            return np.abs(np.hypot(x, y) - 0.7 * radius) - 0.3 * radius
        case "square":
            return np.maximum(np.abs(x), np.abs(y)) - 0.85 * radius
        case "cross":
            long, short = np.maximum(np.abs(x), np.abs(y)), np.minimum(np.abs(x), np.abs(y))
            return np.maximum(long - radius, short - radius / 3)
        case "triangle":
            slope = math.sqrt(3) / 2
            return np.maximum(y, np.abs(x) * slope - y / 2) - 0.55 * radius
        case "star":
            return _star_distance(x, y, 1.1 * radius)
    raise ValueError(f"shape {shape!r} is not one of {', '.join(SHAPES)}")


def _star_distance(x, y, tip):
    # Fold the plane into the sector between one of five tips and the notch beside it, where the
    # edge is a single straight line.
    sector = math.pi / 5
    angle = np.abs((np.arctan2(x, -y) + sector) % (2 * sector) - sector)
    along, across = np.hypot(x, y) * np.cos(angle), np.hypot(x, y) * np.sin(angle)
    notch = 0.5 * tip
    edge = np.array([notch * math.cos(sector) - tip, notch * math.sin(sector)])
    normal = np.array([edge[1], -edge[0]]) / np.linalg.norm(edge)
    return (along - tip) * normal[0] + across * normal[1]


def _reach(radius):
    return 1.1 * radius + MARGIN


def _random_size(rng):
    size = _pick(rng, SIZES)
    return size, rng.uniform(*SIZES[size])


def _random_places(rng, first, second, direction):
    """Centres of two things, the first in `direction` of the second; None if they do not fit."""
    apart = 1.1 * (first + second) + MARGIN
    low = [_reach(radius) for radius in (first, second)]
    high = [PICTURE_SIZE - least for least in low]
    along = [rng.uniform(low[k], high[k]) for k in range(2)]
    sideways = [rng.uniform(low[k], high[k]) for k in range(2)]
    gap = (along[0] - along[1]) * sum(direction)
    if gap < apart or abs(sideways[0] - sideways[1]) > 0.5 * gap:
        return None
    pairs = zip(along, sideways, strict=True)
    return [(a, s) if direction[0] else (s, a) for a, s in pairs]


def _random_thing(rng, size, radius, x, y):
    tint = tuple(rng.uniform(-COLOUR_JITTER, COLOUR_JITTER, 3))
    turn = rng.uniform(-TURN, TURN)
    return Thing(_pick(rng, SHAPES), _pick(rng, COLOURS), size, x, y, radius, turn, tint)


def _name(thing, rng):
    size = f"{thing.size} " if thing.size != "medium" and rng.random() < 0.75 else ""
    return f"a {size}{thing.colour} {thing.shape}"


def _pick(rng, options):
    return list(options)[rng.integers(len(options))]

import itertools
import re

import numpy as np
import pytest

from fewstep.demo.world import (
    BACKGROUNDS,
    COLOURS,
    MARGIN,
    PICTURE_SIZE,
    RELATIONS,
    SHAPES,
    SIZES,
    Scene,
    Thing,
    Wanted,
    WantedThing,
    caption,
    distance,
    draw,
    random_scene,
    read_caption,
)


def scenes(seed, count=1000):
    rng = np.random.default_rng(seed)
    return [random_scene(rng, 1 + i % 2) for i in range(count)]


def scene(shape="circle", *, radius=30.0, turn=0.0):
    thing = Thing(shape, "red", "large", 64.0, 64.0, radius, turn, (0.0, 0.0, 0.0))
    return Scene((thing,), None, "gray", (0.0, 0.0))


@pytest.mark.parametrize("things", [1, 2])
def test_equal_seeds_give_equal_scenes_captions_and_pictures(things):
    made = []
    for _ in range(2):
        rng = np.random.default_rng(11)
        first = [random_scene(rng, things) for _ in range(20)]
        made.append((first, [caption(s, rng) for s in first], [draw(s).tobytes() for s in first]))
    assert made[0] == made[1]
    assert scenes(1, 4) != scenes(2, 4)


def test_a_caption_says_nothing_that_the_scene_does_not_show():
    rng = np.random.default_rng(0)
    for shown in scenes(1, 500):
        wanted = read_caption(caption(shown, rng))
        assert wanted.relation == shown.relation
        assert wanted.background in (None, shown.background)
        for want, thing in zip(wanted.things, shown.things, strict=True):
            assert (want.colour, want.shape) == (thing.colour, thing.shape)
            assert want.size in (None, thing.size)


def test_every_caption_the_world_allows_is_read_back():
    names = [
        (size, colour, shape)
        for size in (None, "small", "large")
        for colour, shape in itertools.product(COLOURS, SHAPES)
    ]
    grounds = [None, *BACKGROUNDS]
    for k, name in enumerate(names):
        other, background = names[(7 * k + 3) % len(names)], grounds[k % len(grounds)]
        for relation in (None, *RELATIONS):
            things = [name] if relation is None else [name, other]
            words = [" ".join(["a", *filter(None, thing)]) for thing in things]
            text = f" {relation} ".join(words) + (
                f" on a {background} background" if background else ""
            )
            wanted = Wanted(tuple(WantedThing(*t) for t in things), relation, background)
            assert read_caption(text) == wanted


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a circle",
        "red circle",
        "a medium red circle",
        "a red hexagon",
        "a mauve circle",
        "a red circle near a blue star",
        "a red circle left of",
        "a red circle on a red background",
        "a red circle above a blue star below a green ring",
        "a red circle. and more",
        "xa red circle",
    ],
)
def test_other_words_are_refused_with_an_example(text):
    with pytest.raises(ValueError, match=re.escape(f"caption {text!r} is not of the demo world")):
        read_caption(text)


def test_case_and_space_around_a_caption_do_not_matter():
    assert read_caption("  A Red CIRCLE\n") == read_caption("a red circle")


def test_things_keep_their_distance_from_the_edge_and_from_each_other():
    inside = np.s_[3:-3, 3:-3]
    for shown in scenes(2, 300):
        alone = [draw(shown._replace(things=(thing,))) for thing in shown.things]
        empty = draw(shown._replace(things=()))
        covers = [(picture != empty).any(axis=2) for picture in alone]
        for cover in covers:
            assert cover.sum() == cover[inside].sum() > 0
        if len(covers) == 2:
            assert not (covers[0] & covers[1]).any()


def test_the_relation_holds_by_far_in_every_scene():
    for shown in scenes(3):
        if shown.relation:
            first, second = shown.things
            side = RELATIONS[shown.relation]
            gap = (first.x - second.x) * side[0] + (first.y - second.y) * side[1]
            across = abs((first.x - second.x) * side[1]) + abs((first.y - second.y) * side[0])
            assert gap >= 1.1 * (first.radius + second.radius) + MARGIN
            assert across <= 0.5 * gap
            assert (first.shape, first.colour) != (second.shape, second.colour)


def test_every_word_of_the_world_turns_up():
    shown = scenes(4)
    things = [thing for s in shown for thing in s.things]
    assert {t.shape for t in things} == set(SHAPES)
    assert {t.colour for t in things} == set(COLOURS)
    assert {t.size for t in things} == set(SIZES)
    assert {s.relation for s in shown} == {None, *RELATIONS}
    assert {s.background for s in shown} == set(BACKGROUNDS)


@pytest.mark.parametrize(
    ("shape", "area"),
    [
        # of radius 1, by geometry
        ("circle", np.pi),
        ("ring", np.pi * (1 - 0.4**2)),
        ("square", 1.7**2),
        ("cross", 2 * 2 * (2 / 3) - (2 / 3) ** 2),
        # inradius 0.55: 3 sqrt(3) r^2
        ("triangle", 3 * 3**0.5 * 0.55**2),
        # ten triangles between the tips at 1.1 and the notches at half of that, 36 degrees apart
        ("star", 10 * 0.5 * 1.1 * 0.55 * np.sin(np.pi / 5)),
    ],
)
@pytest.mark.parametrize("turn", [0.0, 13.0])
def test_shapes_have_the_area_of_their_geometry(shape, area, turn):
    cover = (draw(scene(shape, turn=turn)).astype(float)[..., 0] - 128) / (220 - 128)
    assert cover.sum() == pytest.approx(area * 30**2, rel=0.02)


def test_distances_are_those_of_a_ruler():
    at = lambda shape, x, y: float(distance(shape, np.float64(x), np.float64(y), 10.0, 0.0))
    assert at("circle", 13, 0) == pytest.approx(3)
    assert at("square", 0, 0) == pytest.approx(-8.5)
    assert at("ring", 0, 0) == pytest.approx(4)
    assert at("cross", 0, 12) == pytest.approx(2)
    assert at("triangle", 0, 7.5) == pytest.approx(2)
    assert at("star", 0, -11) == pytest.approx(0)


def test_a_quarter_turn_carries_the_right_side_to_the_bottom():
    points = np.array([3.0, 9.0]), np.array([1.0, -4.0])
    turned = distance("triangle", -points[1], points[0], 10.0, 90.0)
    np.testing.assert_allclose(turned, distance("triangle", *points, 10.0, 0.0), atol=1e-12)


def test_a_plain_scene_has_exactly_its_colours():
    picture = draw(scene())
    assert tuple(picture[0, 0]) == BACKGROUNDS["gray"]
    assert tuple(picture[64, 64]) == COLOURS["red"]
    assert picture.shape == (PICTURE_SIZE, PICTURE_SIZE, 3)


def test_a_larger_picture_shows_the_same_scene():
    small, large = draw(scene("star")).astype(float), draw(scene("star"), 256).astype(float)
    average = large.reshape(128, 2, 128, 2, 3).mean(axis=(1, 3))
    assert np.abs(average - small).mean() < 0.5


def test_an_unknown_shape_is_refused():
    with pytest.raises(ValueError, match="shape 'hexagon' is not one of circle, square"):
        distance("hexagon", np.zeros(1), np.zeros(1), 1.0, 0.0)

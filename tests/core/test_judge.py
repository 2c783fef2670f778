import itertools

import numpy as np
import pytest
from scipy import ndimage

from fewstep.demo.judge import read_picture, satisfies
from fewstep.demo.world import (
    BACKGROUNDS,
    COLOURS,
    SHAPES,
    Scene,
    Thing,
    caption,
    draw,
    random_scene,
    read_caption,
)

RADIUS = {"small": 15.5, "medium": 21.5, "large": 28.5}


def thing(shape="circle", colour="red", size="medium", x=64.0, y=64.0, turn=0.0):
    return Thing(shape, colour, size, x, y, RADIUS[size], turn, (0.0, 0.0, 0.0))


def picture(*things, background="gray"):
    return draw(Scene(things, None, background, (0.0, 0.0)))


def says(shown, text):
    return satisfies(read_picture(shown), read_caption(text))


def test_every_drawn_scene_is_read_right():
    wrong = []
    for seed in range(4):
        rng = np.random.default_rng(seed)
        for i in range(1000):
            scene = random_scene(rng, 1 + i % 2)
            text = caption(scene, rng)
            if not says(draw(scene), text):
                wrong.append((seed, i, text))
    assert wrong == []


def test_everything_about_a_drawn_thing_is_read():
    for shape, colour, size in itertools.product(SHAPES, COLOURS, RADIUS):
        for background in BACKGROUNDS:
            shown = picture(thing(shape, colour, size, 50.0, 71.0), background=background)
            seen = read_picture(shown)
            (only,) = seen.things
            assert (only.shape, only.colour, only.size) == (shape, colour, size)
            assert (only.x, only.y) == pytest.approx((49.5, 70.5), abs=1.0)
            assert seen.background == background


def test_a_caption_of_another_scene_is_not_satisfied():
    rng = np.random.default_rng(9)
    scenes = [random_scene(rng, 1 + i % 2) for i in range(300)]
    texts = [caption(scene, rng) for scene in scenes]
    for scene, text in zip(scenes, texts[2:] + texts[:2], strict=True):
        one, other = read_caption(caption(scene, rng)), read_caption(text)
        names = [{(t.colour, t.shape) for t in w.things} for w in (one, other)]
        if names[0] != names[1]:
            assert not says(draw(scene), text)


def test_two_things_must_stand_as_the_caption_says():
    shown = picture(thing(x=30.0), thing("star", "blue", x=95.0))
    assert says(shown, "a red circle left of a blue star")
    assert says(shown, "a blue star right of a red circle")
    for text in (
        "a blue star left of a red circle",
        "a red circle right of a blue star",
        "a red circle above a blue star",
        "a red circle below a blue star",
        "a blue circle left of a red star",
        "a red star left of a blue circle",
    ):
        assert not says(shown, text), text


def test_above_is_towards_the_top():
    shown = picture(thing(y=30.0), thing("star", "blue", y=95.0))
    assert says(shown, "a red circle above a blue star")
    assert says(shown, "a blue star below a red circle")
    assert not says(shown, "a blue star above a red circle")


def test_a_diagonal_is_no_relation():
    shown = picture(thing(x=35.0, y=35.0), thing("star", "blue", x=92.0, y=92.0))
    one, two = read_picture(shown).things
    assert abs(abs(one.x - two.x) - abs(one.y - two.y)) < 1.0
    told = [
        says(shown, f"a red circle {r} a blue star")
        for r in ("left of", "above", "right of", "below")
    ]
    assert sum(told) <= 1
    assert not any(told[2:])


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("a red circle", True),
        ("a small red circle", False),
        ("a large red circle", False),
        ("a blue circle", False),
        ("a red ring", False),
        ("a red circle on a gray background", True),
        ("a red circle on a teal background", False),
    ],
)
def test_each_word_counts(text, right):
    assert says(picture(thing()), text) == right


def test_a_missing_or_an_extra_thing_is_wrong():
    one, two = thing(x=30.0), thing("star", "blue", x=95.0)
    assert not says(picture(one), "a red circle left of a blue star")
    assert not says(picture(one, two), "a red circle")
    third = thing("cross", "green", "small", 64.0, 104.0)
    assert not says(picture(one, two, third), "a red circle left of a blue star")
    assert not says(picture(), "a red circle")


def test_specks_are_wrong_when_there_are_many():
    shown = picture(thing())
    shown[4:8, 4:8] = COLOURS["blue"]
    assert says(shown, "a red circle")
    shown[4:8, 40:44] = COLOURS["blue"]
    assert not says(shown, "a red circle")


def test_touching_things_are_not_two_things():
    shown = picture(thing(x=45.0), thing("star", "blue", x=84.0))
    assert len(read_picture(shown).things) == 1
    assert not says(shown, "a red circle left of a blue star")


@pytest.mark.parametrize("shape", SHAPES)
def test_a_recoloured_thing_is_wrong(shape):
    assert says(picture(thing(shape, "red")), f"a red {shape}")
    between = (np.array(COLOURS["red"]) + np.array(COLOURS["blue"])) // 2
    shown = picture(thing(shape, "red"))
    near = np.linalg.norm(shown.astype(float) - COLOURS["red"], axis=2) < 40
    shown[near] = between
    assert not says(shown, f"a red {shape}")
    assert not says(shown, f"a blue {shape}")


@pytest.mark.parametrize("column", [58, 64, 70])
def test_a_thing_of_two_colours_has_none(column):
    shown, other = picture(thing(size="large")), picture(thing(colour="blue", size="large"))
    shown[:, column:] = other[:, column:]
    assert not says(shown, "a red circle")
    assert not says(shown, "a blue circle")


@pytest.mark.parametrize("x", [4.0, 10.0, 118.0, 124.0])
def test_a_thing_cut_off_by_the_edge_is_wrong(x):
    assert not says(picture(thing("circle", size="large", x=x)), "a red circle")


def test_a_broken_thing_is_wrong():
    shown = picture(thing(size="large"))
    shown[44:64, 50:70] = BACKGROUNDS["gray"]
    assert not says(shown, "a red circle")
    halved = picture(thing(size="large"))
    halved[:, 62:67] = BACKGROUNDS["gray"]
    assert not says(halved, "a red circle")


@pytest.fixture(scope="module")
def drawn():
    rng = np.random.default_rng(21)
    scenes = [random_scene(rng, 1 + i % 2) for i in range(100)]
    return [draw(scene).astype(np.float32) for scene in scenes], [caption(s, rng) for s in scenes]


def share(pictures, captions):
    shown = [np.clip(p, 0, 255).astype(np.uint8) for p in pictures]
    return np.mean([says(p, text) for p, text in zip(shown, captions, strict=True)])


def test_slight_noise_is_forgiven_and_blur_is_not(drawn):
    pictures, captions = drawn
    rng = np.random.default_rng(0)
    assert share([p + rng.normal(0, 5, p.shape) for p in pictures], captions) == 1.0
    shares = [
        share([ndimage.gaussian_filter(p, (b, b, 0)) for p in pictures], captions)
        for b in (0, 1, 3, 8)
    ]
    assert shares[0] == 1.0
    assert shares[1] > 0.85
    assert shares[0] > shares[2] > shares[3]
    assert shares[3] < 0.1


def test_faded_pictures_and_mixtures_of_two_are_wrong(drawn):
    pictures, captions = drawn
    assert share([0.5 * p + 64 for p in pictures], captions) == 0.0
    mixed = [0.5 * p + 0.5 * q for p, q in zip(pictures, pictures[1:] + pictures[:1], strict=True)]
    assert share(mixed, captions) < 0.05


@pytest.mark.parametrize("value", [0, 128, 255])
def test_an_empty_picture_shows_no_caption(value):
    seen = read_picture(np.full((128, 128, 3), value, np.uint8))
    assert seen.things == ()
    assert not satisfies(seen, read_caption("a red circle"))


def test_static_shows_no_caption():
    shown = np.random.default_rng(0).integers(0, 256, (128, 128, 3)).astype(np.uint8)
    assert not any(says(shown, f"a {c} {s}") for c in COLOURS for s in SHAPES)


def test_a_picture_is_not_changed_by_reading_it():
    shown = picture(thing())
    before = shown.copy()
    read_picture(shown)
    np.testing.assert_array_equal(shown, before)

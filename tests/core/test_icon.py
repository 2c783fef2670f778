"""The icon and the banner are those that docs/draw_icon.py draws, in the registry's sizes."""

import random
from pathlib import Path

import numpy
from PIL import Image

from fewstep.docs.draw_icon import BANNER, icon, tile

DOCS = Path(__file__).resolve().parents[2] / "docs"


def test_the_icon_is_what_the_script_draws_and_no_larger_than_the_registry_takes():
    with Image.open(DOCS / "icon.png") as kept:
        assert kept.size == (400, 400)
        numpy.testing.assert_array_equal(numpy.asarray(kept), numpy.asarray(icon()))


def test_the_banner_has_the_registrys_shape():
    with Image.open(DOCS / "banner.png") as kept:
        width, height = kept.size
    assert (width, height) == BANNER and width * 9 == height * 21


def test_less_noise_is_nearer_to_the_star():
    clean = numpy.asarray(tile(96, 0.0, random.Random(0)), dtype=float)
    far = [
        abs(numpy.asarray(tile(96, noise, random.Random(0)), dtype=float) - clean).mean()
        for noise in (1.0, 0.45, 0.15)
    ]
    assert far == sorted(far, reverse=True)

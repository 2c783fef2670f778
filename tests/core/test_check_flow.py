"""The shift and the stage of a flow model are read from its noise levels."""

import pytest
from verdicts import of, says

from fewstep.recipes.check_levels import solved_shift
from fewstep.recipes.read import read_all

RECIPES = read_all()[0]
LIGHTNING = RECIPES["sdxl-lightning-4step-lora"]
WAN = RECIPES["wan2.1-t2v-lightx2v"]
HIGH = RECIPES["wan2.2-t2v-lightx2v-high"]
LOW = RECIPES["wan2.2-t2v-lightx2v-low"]
QWEN = RECIPES["qwen-image-lightning-4step"]
DREAMLITE = RECIPES["dreamlite-mobile"]

# timesteps 999, 749, 499, 249 of SD 1.5 and SDXL
TRAILING = (14.6146, 4.0817, 1.6129, 0.6932, 0.0)
# 4 steps of flow: 5 u / (1 + 4 u) and 8 u / (1 + 7 u) at u = 1, 0.75, 0.5, 0.25
SHIFT_5 = (1.0, 0.9375, 0.8333, 0.625, 0.0)
SHIFT_8 = (1.0, 0.96, 0.8889, 0.7273, 0.0)


def test_levels_of_another_shift_are_named_where_the_model_has_the_right_one():
    found = of("schedule", WAN, sigmas=SHIFT_8, needed=SHIFT_5, shift=5.0)
    assert (found.verdict, found.found, found.needed) == (
        "does not fit",
        "levels of shift 8",
        "of shift 5",
    )
    found = of("schedule", DREAMLITE, sigmas=SHIFT_8, needed=SHIFT_5)
    assert found.found == "levels of shift 8"


def test_right_levels_fit_a_model_of_the_wrong_shift_which_is_told_besides():
    run = {"sigmas": SHIFT_5, "needed": SHIFT_8, "shift": 8.0}
    assert of("schedule", WAN, **run)[1:3] == ("fits", "levels of shift 5")
    assert says("shift", WAN, **run) == "does not fit"
    run |= {"sigmas": (1.0, 0.9474, 0.8571, 0.6667, 0.0)}
    found = of("schedule", WAN, **run)
    assert (found.found, found.needed) == ("levels of shift 6", "of shift 5")


@pytest.mark.parametrize("shift", [8.0, None])
def test_one_wrong_shift_is_one_verdict(shift):
    run = {"sigmas": SHIFT_8, "needed": SHIFT_5, "shift": shift}
    assert of("schedule", WAN, **run) is None
    found = of("shift", WAN, **run)
    assert (found.verdict, found.found[:4].rstrip("0."), found.needed) == ("does not fit", "8", "5")


@pytest.mark.parametrize(
    ("recipe", "shift", "verdict", "symptom"),
    [
        (WAN, 5.0, "fits", ""),
        (WAN, 8.0, "does not fit", "burnt"),
        (WAN, 1.0, "does not fit", "unsteady"),
        (QWEN, 3.0, "fits", ""),
        (QWEN, 3.02, "fits", ""),
        (QWEN, 2.98, "fits", ""),
        (QWEN, 3.1, "does not fit", "a slightly different"),
        (QWEN, 2.9, "does not fit", "a slightly different"),
        (QWEN, 3.158193, "does not fit", "a slightly different"),
        (WAN, None, "cannot know", ""),
    ],
)
def test_shift_is_the_trained_one_to_a_hundredth(recipe, shift, verdict, symptom):
    found = of("shift", recipe, shift=shift)
    assert found.verdict == verdict and found.symptom.startswith(symptom)
    assert bool(found.symptom) == (verdict == "does not fit")


def test_the_shift_of_a_model_goes_before_that_of_the_levels():
    assert says("shift", WAN, shift=5.0, sigmas=SHIFT_8) == "fits"
    assert says("shift", WAN, sigmas=SHIFT_5) == "fits"
    assert of("shift", LIGHTNING, shift=5.0) is None


@pytest.mark.parametrize(
    ("sigmas", "shift"),
    [
        (SHIFT_5, 5.0),
        (SHIFT_8, 8.0),
        ((1.0, 0.75, 0.5, 0.25, 0.0), 1.0),
        ((1.0, 0.5, 0.0), 1.0),
        # 1000, 778, 556, 334, 112 out of the 9 steps of a table of 1000, 3 u / (1 + 2 u)
        ((1.0, 0.91315, 0.78977, 0.60072, 0.27451, 0.0), None),
        # all but the last at shift 1, and that 1.4 % from their mean
        ((1.0, 0.875, 0.75, 0.625, 0.5, 0.375, 0.25, 0.1268, 0.0), None),
        # sgm_uniform at shift 5
        ((1.0, 0.93793, 0.83472, 0.6296, 0.0), None),
        (TRAILING, None),
        (SHIFT_5[1:], None),
        (SHIFT_5[:-1], None),
        ((1.0, 1.0, 0.5, 0.0), None),
        ((1.0, 0.0), None),
        ((0.0,), None),
        ((), None),
    ],
)
def test_the_shift_is_solved_for_from_levels_that_have_a_single_one(sigmas, shift):
    found = solved_shift(sigmas)
    assert found is None if shift is None else found == pytest.approx(shift, rel=1e-3)


@pytest.mark.parametrize(
    ("recipe", "sigmas", "needed", "verdict"),
    [
        (HIGH, SHIFT_5[:3], SHIFT_5, "fits"),
        (HIGH, SHIFT_5, SHIFT_5, "does not fit"),
        (HIGH, SHIFT_5[:3], None, "fits"),
        (HIGH, None, SHIFT_5, "cannot know"),
        (LOW, SHIFT_5[2:], SHIFT_5, "fits"),
        (LOW, SHIFT_5, SHIFT_5, "does not fit"),
        (LOW, SHIFT_5[2:], None, "cannot know"),
        (WAN, SHIFT_5, SHIFT_5, None),
    ],
)
def test_a_stage_keeps_to_its_part_of_the_levels(recipe, sigmas, needed, verdict):
    assert says("stage", recipe, sigmas=sigmas, needed=needed) == verdict


def test_the_levels_of_a_stage_are_the_head_or_the_tail_of_the_whole_run():
    for recipe, mine, others in [(HIGH, SHIFT_5[:3], SHIFT_8[:3]), (LOW, SHIFT_5[2:], SHIFT_8[2:])]:
        assert says("schedule", recipe, sigmas=mine, needed=SHIFT_5) == "fits"
        assert says("schedule", recipe, sigmas=others, needed=SHIFT_5) == "does not fit"
        assert says("schedule", recipe, sigmas=mine) == "cannot know"
        assert of("img2img", recipe, sigmas=mine, needed=SHIFT_5, grid=SHIFT_5) is None

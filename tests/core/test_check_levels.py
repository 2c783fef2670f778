"""Wrong noise levels are told from right ones, and whose they are is named where that is known."""

import pytest
from verdicts import of, says

from fewstep.recipes.read import read_all

RECIPES = read_all()[0]
LIGHTNING = RECIPES["sdxl-lightning-4step-lora"]
DMD2 = RECIPES["dmd2-sdxl-4step-lora"]
LCM = RECIPES["lcm-lora-sd15"]
HYPER_8 = RECIPES["hyper-sd15-8step"]
HYPER_12 = RECIPES["hyper-sd15-12step-cfg"]
WAN = RECIPES["wan2.1-t2v-lightx2v"]
HIGH = RECIPES["wan2.2-t2v-lightx2v-high"]
HIDREAM = RECIPES["hidream-i1-fast"]
Z_IMAGE_BASE = RECIPES["z-image"]
LTX = RECIPES["ltx-2-19b-distilled"]

# measured in ComfyUI 0.29 on SD 1.5 and SDXL: timesteps 999, 749, 499, 249, and sgm_uniform
TRAILING = (14.6146, 4.0817, 1.6129, 0.6932, 0.0)
SGM_UNIFORM = (14.6146, 4.0861, 1.6156, 0.6951, 0.0)
# timesteps 999, 759, 499, 259 of diffusers' LCMScheduler; sgm_uniform on a model patched as LCM
LCM_GRID = (14.6146, 4.2606, 1.6129, 0.7194, 0.0)
LCM_SGM_UNIFORM = (14.6146, 4.1708, 1.6679, 0.7325, 0.0)
# 4 steps of flow: 5 u / (1 + 4 u) at u = 1, 0.75, 0.5, 0.25
SHIFT_5 = (1.0, 0.9375, 0.8333, 0.625, 0.0)


@pytest.mark.parametrize(
    ("recipe", "count", "verdict", "symptom"),
    [
        (LIGHTNING, 4, "fits", ""),
        (LIGHTNING, 3, "does not fit", "blurred"),
        (LIGHTNING, 5, "does not fit", "burnt"),
        (LIGHTNING, 0, "does not fit", "blurred"),
        (LCM, 2, "fits", ""),
        (LCM, 8, "fits", ""),
        (LCM, 9, "does not fit", "burnt"),
        (Z_IMAGE_BASE, 8, "does not fit", "blurred"),
        (Z_IMAGE_BASE, 60, "does not fit", "nothing better"),
    ],
)
def test_steps_are_the_levels_less_one(recipe, count, verdict, symptom):
    sigmas = tuple(float(count - i) for i in range(count + 1))
    found = of("steps", recipe, sigmas=sigmas)
    assert (found.verdict, found.found) == (verdict, f"{count}")
    assert found.symptom.startswith(symptom)


def test_steps_of_no_levels_are_none_and_of_unknown_levels_unknown():
    assert of("steps", LIGHTNING, sigmas=())[1:3] == ("does not fit", "0")
    assert says("steps", LIGHTNING) == "cannot know"


def test_steps_of_a_stage_are_those_of_the_whole_run():
    assert of("steps", HIGH, sigmas=SHIFT_5[:3], needed=SHIFT_5)[1:3] == ("fits", "4")
    assert says("steps", HIGH, sigmas=SHIFT_5[:3], needed=SHIFT_5[1:]) == "does not fit"
    assert says("steps", HIGH, sigmas=SHIFT_5[:3]) == "cannot know"


def test_a_run_from_a_picture_may_be_shorter_than_trained_and_not_longer():
    run = {"sigmas": TRAILING[2:], "grid": TRAILING, "empty_latent": False}
    assert says("steps", LIGHTNING, **run) == "fits"
    assert says("steps", LIGHTNING, **run | {"empty_latent": True}) == "does not fit"
    assert says("steps", LIGHTNING, **run | {"sigmas": (0.0,)}) == "does not fit"
    long = (4.0817, 3.0, 2.0, 1.6129, 0.6932, 0.0)
    assert says("steps", LIGHTNING, **run | {"sigmas": long}) == "does not fit"


@pytest.mark.parametrize(
    ("recipe", "sigmas"),
    [(LIGHTNING, TRAILING), (DMD2, TRAILING), (LCM, LCM_GRID), (WAN, SHIFT_5)],
)
def test_the_recipes_own_levels_fit_to_a_ten_thousandth(recipe, sigmas):
    near = tuple(sigma * 1.00009 for sigma in sigmas)
    assert says("schedule", recipe, sigmas=sigmas, needed=sigmas) == "fits"
    assert says("schedule", recipe, sigmas=near, needed=sigmas) == "fits"
    third = (*sigmas[:2], sigmas[2] * 0.9998, *sigmas[3:])
    found = of("schedule", recipe, sigmas=third, needed=sigmas)
    assert found.verdict == "does not fit" and found.found.startswith("level 3 is ")


def test_sgm_uniform_is_known_by_its_distance_from_trailing():
    found = of("schedule", LIGHTNING, sigmas=SGM_UNIFORM, needed=TRAILING)
    # 0.6951 / 0.6932 - 1 = 0.00274
    assert found.verdict == "does not fit"
    assert found.found == "level 4 is 0.6951, 0.27% off, as by sgm_uniform"
    assert found.needed == "0.6932, of trailing"
    assert (found.symptom, found.fix) == (
        "softer pictures, fine artefacts",
        "FewStep Sigmas with trailing",
    )
    found = of("schedule", DMD2, sigmas=SGM_UNIFORM, needed=TRAILING)
    assert found.found.endswith("as by sgm_uniform")
    assert found.fix == "FewStep Sigmas with timesteps 999, 749, 499, 249"


def test_where_steps_do_not_divide_1000_simple_may_be_the_cause_as_well():
    for recipe, count, origin in [
        (HYPER_12, 12, "sgm_uniform or simple"),
        (HYPER_8, 8, "sgm_uniform"),
    ]:
        needed = (*(float(i) for i in range(count, 0, -1)), 0.0)
        off = (needed[0], needed[1] * 1.006, *needed[2:])
        found = of("schedule", recipe, sigmas=off, needed=needed)
        assert found.found.endswith(f" 0.60% off, as by {origin}")


def test_sgm_uniform_on_an_lcm_model_is_known_by_its_distance():
    found = of("schedule", LCM, sigmas=LCM_SGM_UNIFORM, needed=LCM_GRID)
    # 1.6679 / 1.6129 - 1 = 0.0341
    assert found.found == "level 3 is 1.668, 3.41% off, as by sgm_uniform"
    assert found.symptom == "soft, washed out or burnt pictures"


def test_levels_of_an_unpatched_model_are_known_by_their_distance_from_lcms():
    found = of("schedule", LCM, sigmas=TRAILING, needed=LCM_GRID)
    # 4.0817 / 4.2606 - 1 = -0.0420
    assert found.found == (
        "level 2 is 4.082, 4.20% off, as by simple without ModelSamplingDiscrete lcm"
    )


@pytest.mark.parametrize("part", [0.5, 0.98, 0.9995, 1.02, 1.2])
def test_levels_of_nobody_known_are_only_said_to_be_off(part):
    for recipe, levels in [(LIGHTNING, TRAILING), (LCM, LCM_GRID)]:
        off = (levels[0], levels[1] * part, *levels[2:])
        found = of("schedule", recipe, sigmas=off, needed=levels)
        assert found.verdict == "does not fit" and found.found.endswith("% off")


def test_a_list_or_a_scheduler_of_comfyuis_is_asked_for_by_name():
    off = (1.0, 0.99, *LTX.schedule.sigmas[2:])
    found = of("schedule", LTX, sigmas=off, needed=LTX.schedule.sigmas)
    assert found.fix == "sigmas 1, 0.99375, 0.9875, 0.98125, 0.975, 0.909375, 0.725, 0.421875, 0"
    off = (1.0, 0.9, 0.8, 0.7, 0.0)
    found = of("schedule", HIDREAM, sigmas=off, needed=SHIFT_5)
    assert found.fix == "ComfyUI's normal"
    found = of("schedule", HIDREAM, sigmas=(1.0, 0.942, *SHIFT_5[2:]), needed=SHIFT_5)
    assert found.found == "level 2 is 0.942, 0.48% off"


def test_noise_that_is_left_in_does_not_fit():
    found = of("schedule", LIGHTNING, sigmas=(*TRAILING[:-1], 0.05), needed=TRAILING)
    assert (found.verdict, found.found) == ("does not fit", "ends at level 0.05")


def test_levels_cannot_be_judged_without_both_lists_at_one_length():
    assert says("schedule", LIGHTNING, sigmas=TRAILING) == "cannot know"
    assert says("schedule", LIGHTNING, needed=TRAILING) == "cannot know"
    assert says("schedule", LIGHTNING, sigmas=TRAILING[:3], needed=TRAILING) == "cannot know"


# what a picture is painted over with: the rest of the trained levels, or ComfyUI's denoise 0.5,
# timesteps 499, 374, 249, 124
REST = (1.6129, 0.6932, 0.0)
HALF = (1.6129, 1.069, 0.6932, 0.3977, 0.0)


@pytest.mark.parametrize(
    ("sigmas", "grid", "empty", "verdict"),
    [
        (REST, TRAILING, False, "fits"),
        (REST, TRAILING, None, "cannot know"),
        (REST, TRAILING, True, "does not fit"),
        (REST, None, False, "cannot know"),
        (HALF, TRAILING, False, "does not fit"),
        (HALF, TRAILING, None, "does not fit"),
        (tuple(sigma * 1.00009 for sigma in REST), TRAILING, False, "fits"),
        (tuple(sigma * 1.0002 for sigma in REST), TRAILING, False, "does not fit"),
        (TRAILING, TRAILING, False, None),
        ((14.5, *TRAILING[1:]), TRAILING, False, None),
    ],
)
def test_a_run_from_a_picture_stays_on_trained_levels(sigmas, grid, empty, verdict):
    run = {"sigmas": sigmas, "needed": TRAILING, "grid": grid, "empty_latent": empty}
    assert says("img2img", LIGHTNING, **run) == verdict
    if verdict is not None:
        assert of("schedule", LIGHTNING, **run) is None


def test_off_grid_img2img_says_which_level_and_how_far():
    found = of("img2img", LIGHTNING, sigmas=HALF, grid=TRAILING, empty_latent=False)
    # 0.3977 / 0.6932 - 1 = -0.4263
    assert found.found == "off-grid: level 0.3977 is 42.63% from the nearest trained one"


def test_a_low_start_from_an_empty_latent_is_no_img2img():
    found = of("img2img", LIGHTNING, sigmas=REST, needed=TRAILING, empty_latent=True)
    assert (found.found, found.needed) == ("starts at 1.613, from an empty latent", "14.61")


def test_without_any_known_top_no_start_is_low():
    assert of("img2img", LIGHTNING, sigmas=REST, empty_latent=False) is None

"""A sampler is judged by the steps it makes, and a network by how it is read and asked."""

import pytest
from verdicts import of, says

from fewstep.recipes.read import read_all

RECIPES = read_all()[0]
LIGHTNING = RECIPES["sdxl-lightning-4step-lora"]
LIGHTNING_1 = RECIPES["sdxl-lightning-1step-unet"]
LCM = RECIPES["lcm-lora-sd15"]
DMD2 = RECIPES["dmd2-sdxl-4step-lora"]
DMD2_1 = RECIPES["dmd2-sdxl-1step-unet"]
TCD = RECIPES["tcd-sd15"]
SCHNELL = RECIPES["flux1-schnell"]
Z_IMAGE = RECIPES["z-image-turbo"]

# the levels of timesteps 999, 749, 499, 249 in SD 1.5 and SDXL
TRAILING = (14.6146, 4.0817, 1.6129, 0.6932, 0.0)


@pytest.mark.parametrize(
    ("recipe", "sampler", "verdict"),
    [
        (LIGHTNING, "euler", "fits"),
        (LIGHTNING, "comfyui:euler", "fits"),
        (LIGHTNING, "lcm", "does not fit"),
        (LIGHTNING, "comfyui:dpmpp_2m", "does not fit"),
        (LIGHTNING, None, "cannot know"),
        (LCM, "comfyui:lcm", "fits"),
        (LCM, "comfyui:euler", "does not fit"),
        (TCD, "tcd", "fits"),
        (TCD, "comfyui:tcd", "does not fit"),
        (TCD, "lcm", "does not fit"),
        (Z_IMAGE, "comfyui:res_multistep", "fits"),
        (Z_IMAGE, "euler", "does not fit"),
    ],
)
def test_a_sampler_fits_by_the_steps_it_makes(recipe, sampler, verdict):
    assert says("sampler", recipe, sampler=sampler, sigmas=TRAILING) == verdict


@pytest.mark.parametrize(
    ("sampler", "sigmas", "verdict"),
    [
        ("comfyui:lcm", (14.6146, 0.0), "fits"),
        ("comfyui:euler_ancestral", (14.6146, 0.0), "fits"),
        ("tcd", (14.6146, 0.0), "fits"),
        ("comfyui:heun", (14.6146, 0.0), "does not fit"),
        ("comfyui:lcm", (14.6146, 1.6129), "does not fit"),
        ("comfyui:lcm", (14.6146, 1.6129, 0.0), "does not fit"),
        ("comfyui:lcm", None, "does not fit"),
    ],
)
def test_one_step_down_to_0_is_the_same_with_samplers_of_one_pass(sampler, sigmas, verdict):
    assert says("sampler", LIGHTNING_1, sampler=sampler, sigmas=sigmas) == verdict


def test_a_sampler_is_asked_from_who_has_it():
    fixes = {
        recipe.id: of("sampler", recipe, sampler="comfyui:heun").fix for recipe in (TCD, Z_IMAGE)
    }
    assert fixes == {"tcd-sd15": "FewStep's tcd", "z-image-turbo": "ComfyUI's res_multistep"}


@pytest.mark.parametrize(
    ("eta", "verdict", "symptom"),
    [
        (0.3, "fits", ""),
        (0.5, "fits", ""),
        (0.55, "does not fit", "rough"),
        (1.0, "does not fit", "rough"),
        (0.1, "fits", ""),
        (0.0, "does not fit", "smooth"),
        (None, "cannot know", ""),
    ],
)
def test_eta_of_tcd_is_judged_at_the_step_count_of_the_card(eta, verdict, symptom):
    found = of("eta", TCD, eta=eta, sigmas=TRAILING)
    assert found.verdict == verdict and found.symptom.startswith(symptom)


def test_eta_is_left_open_at_other_counts_at_one_step_and_for_other_samplers():
    assert of("eta", TCD, eta=1.0, sigmas=(14.6146, *TRAILING)) is None
    assert of("eta", TCD, eta=1.0) is None
    unified = RECIPES["hyper-sd15-unified"]
    assert of("eta", unified, eta=0.0, sigmas=(14.6146, 0.0)) is None
    assert of("eta", unified.with_steps(4), eta=0.3, sigmas=TRAILING) is None
    assert of("eta", LIGHTNING, eta=1.0, sigmas=TRAILING) is None


def test_comfyui_starts_a_low_timestep_with_a_quarter_of_the_noise_missing():
    low = {"sigmas": (1.16058, 0.0), "empty_latent": True}
    found = of("first noise", DMD2_1, sampler="comfyui:lcm", **low)
    # 1 - 1.16058 / sqrt(1 + 1.16058 ** 2) = 0.2424
    assert (found.verdict, found.found) == ("does not fit", "24% too weak")
    assert found.fix == "FewStep's lcm, which scales it as in training"
    hyper = RECIPES["hyper-sdxl-1step-unet"]
    found = of("first noise", hyper, sampler="comfyui:lcm", sigmas=(5.11103, 0), empty_latent=True)
    assert found.found == "2% too weak"


def test_the_first_noise_is_right_with_our_samplers_at_the_top_and_on_a_picture():
    low = {"sigmas": (1.16058, 0.0), "empty_latent": True}
    assert [of("first noise", DMD2_1, sampler=ours, **low) for ours in ("lcm", "tcd")] == [None] * 2
    assert of("first noise", DMD2_1, **low) is None
    assert of("first noise", DMD2_1, sampler="comfyui:lcm", **low | {"empty_latent": False}) is None
    assert of("first noise", DMD2_1, sampler="comfyui:lcm", **low | {"sigmas": None}) is None
    at_top = {"sigmas": TRAILING, "empty_latent": True}
    assert of("first noise", DMD2_1, sampler="comfyui:lcm", **at_top) is None
    assert of("first noise", DMD2, sampler="comfyui:lcm", **low) is None
    assert of("first noise", LIGHTNING, sampler="comfyui:lcm", **low) is None


@pytest.mark.parametrize(
    ("recipe", "prediction", "verdict"),
    [
        (LIGHTNING_1, "x0", "fits"),
        (LIGHTNING_1, "eps", "does not fit"),
        (LIGHTNING, "eps", "fits"),
        (LIGHTNING, "v", "cannot know"),
        (LIGHTNING, "x0", "does not fit"),
        (DMD2_1, "v", "does not fit"),
        (SCHNELL, "flow", "fits"),
        (SCHNELL, "eps", "does not fit"),
        (LIGHTNING, None, "cannot know"),
    ],
)
def test_a_model_is_read_as_what_it_predicts(recipe, prediction, verdict):
    assert says("prediction", recipe, prediction=prediction) == verdict


def test_the_x0_patch_is_asked_for_by_its_name():
    found = of("prediction", LIGHTNING_1, prediction="eps")
    assert (found.found, found.needed) == ("read as eps", "x0")
    assert found.fix == "read the model with ModelSamplingDiscrete as x0"
    assert of("prediction", SCHNELL, prediction="eps").fix == "read the model as flow"


@pytest.mark.parametrize(
    ("recipe", "boundary", "verdict"),
    [
        (DMD2, True, "does not fit"),
        (LIGHTNING, True, "does not fit"),
        (SCHNELL, True, "does not fit"),
        (DMD2, False, "fits"),
        (DMD2, None, "cannot know"),
        (SCHNELL, False, None),
        (SCHNELL, None, None),
        (LCM, True, "fits"),
        (LCM, False, "fits"),
        (LCM, None, None),
    ],
)
def test_the_lcm_patch_is_for_the_lcm_spacing_alone(recipe, boundary, verdict):
    assert says("LCM patch", recipe, boundary=boundary) == verdict

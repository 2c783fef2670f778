"""The shipped recipes: enough of them, each told by its files' names and by no other's."""

import pytest

from fewstep.diffusion import timesteps
from fewstep.recipes.identify import judge
from fewstep.recipes.names import named
from fewstep.recipes.read import read_all
from fewstep.recipes.structure import Structure

RECIPES = read_all()[0]
ALL = list(RECIPES.values())


def structure(recipe):
    """What the tensors of a recipe's own file tell."""
    return Structure(recipe.base, recipe.kind, frozenset(recipe.structure), ())


def test_there_are_eighty_or_more():
    assert len(ALL) >= 80


@pytest.mark.parametrize("recipe", ALL, ids=lambda recipe: recipe.id)
def test_every_example_is_told_as_its_recipe(recipe):
    for name in recipe.examples:
        found = judge(structure(recipe), {}, name, ALL)
        assert (found.recipe and found.recipe.id, found.confidence) == (recipe.id, "likely")


@pytest.mark.parametrize("recipe", ALL, ids=lambda recipe: recipe.id)
def test_a_renamed_file_is_told_by_its_structure_or_honestly_not(recipe):
    found = judge(structure(recipe), {}, "pytorch_lora_weights.safetensors", ALL)
    if found.recipe is not None:
        assert found.recipe is recipe and recipe.structure
    else:
        assert found.confidence in ("none", "unsure")


@pytest.mark.parametrize(
    ("name", "base", "kind"),
    [
        ("sd_xl_base_1.0.safetensors", "sdxl", "checkpoint"),
        ("sd_xl_refiner_1.0.safetensors", "sdxl", "checkpoint"),
        ("juggernautXL_v9Rundiffusion.safetensors", "sdxl", "checkpoint"),
        ("v1-5-pruned-emaonly.safetensors", "sd15", "checkpoint"),
        ("dreamshaper_8.safetensors", "sd15", "checkpoint"),
        ("v2-1_768-ema-pruned.safetensors", "sd21", "checkpoint"),
        ("sd3.5_large.safetensors", "sd3", "checkpoint"),
        ("sd3_medium.safetensors", "sd3", "checkpoint"),
        ("qwen_image_fp8_e4m3fn.safetensors", "qwen-image", "unet"),
        ("qwen_image_edit_2511_bf16.safetensors", "qwen-image", "unet"),
        ("wan2.2_t2v_high_noise_14B_fp8_scaled.safetensors", "wan", "unet"),
        ("add-detail-xl.safetensors", "sdxl", "lora"),
        ("pixel-art-xl.safetensors", "sdxl", "lora"),
    ],
)
def test_an_ordinary_model_is_not_taken_for_a_distilled_one(name, base, kind):
    found = judge(Structure(base, kind, frozenset(), ()), {}, name, ALL)
    assert (found.recipe, found.confidence) == (None, "none")


def test_flux_dev_is_not_taken_for_schnell():
    dev = Structure("flux", "unet", frozenset({"guidance embedding"}), ())
    assert judge(dev, {}, "flux1-dev.safetensors", ALL).recipe is None


@pytest.mark.parametrize(
    ("name", "base", "kind", "recipe"),
    [
        ("SDXL_Lightning_8step_LoRA", "sdxl", "lora", "sdxl-lightning-8step-lora"),
        ("sdxl_lightning_2step_unet", "sdxl", "unet", "sdxl-lightning-2step-unet"),
        ("DreamShaperXL_Lightning", "sdxl", "checkpoint", "sdxl-lightning-merge"),
        ("Hyper-SD15-4steps-lora", "sd15", "lora", "hyper-sd15-4step"),
        ("Hyper-SDXL-12steps-CFG-lora", "sdxl", "lora", "hyper-sdxl-12step-cfg"),
        ("LCM_LoRA_SDXL", "sdxl", "lora", "lcm-lora-sdxl"),
        ("lcm-lora-ssd-1b", "ssd-1b", "lora", "lcm-lora-ssd-1b"),
        ("TCD-SD15-LoRA", "sd15", "lora", "tcd-sd15"),
        ("DMD2-SDXL-4step-LoRA", "sdxl", "lora", "dmd2-sdxl-4step-lora"),
        ("sd_turbo", "sd21", "checkpoint", "sd-turbo"),
        ("FLUX.2-klein-9B-fp8", "flux2", "unet", "flux2-klein-9b"),
        ("flux-2-klein-base-9b", "flux2", "unet", "flux2-klein-base-9b"),
        ("Z-Image-Turbo_fp8_scaled", "z-image", "unet", "z-image-turbo"),
        ("Qwen-Image-Lightning-4steps-V1.0", "qwen-image", "lora", "qwen-image-lightning-4step"),
        ("z_image_bf16", "z-image", "unet", "z-image"),
    ],
)
def test_names_as_people_write_them_are_told(name, base, kind, recipe):
    found = judge(Structure(base, kind, frozenset(), ()), {}, name + ".safetensors", ALL)
    assert found.recipe is RECIPES[recipe]


def test_all_names_that_tell_a_recipe_are_told_by_the_pattern_alone_once_base_and_kind_are_known():
    for recipe in ALL:
        rivals = [r for r in ALL if (r.base, r.kind) == (recipe.base, recipe.kind)]
        for name in recipe.examples:
            assert named(rivals, name) == [recipe], name


def test_trained_grids_are_what_their_spacing_says_for_the_trained_steps():
    grids = {"trailing": timesteps.trailing, "lcm": timesteps.lcm_grid, "turbo": timesteps.turbo}
    for recipe in ALL:
        spacing = recipe.schedule.spacing
        if spacing is not None and recipe.prediction != "flow":
            for steps in recipe.steps.trained:
                assert len(grids[spacing](steps)) == steps, recipe.id


def test_as_many_levels_as_steps_where_a_table_fixes_them():
    for recipe in ALL:
        if recipe.schedule.sigmas is not None:
            assert len(recipe.schedule.sigmas) == recipe.steps.default + 1, recipe.id
        if recipe.schedule.timesteps is not None:
            assert len(recipe.schedule.timesteps) == recipe.steps.default, recipe.id


def test_what_is_unverified_says_what_is_open():
    for recipe in ALL:
        assert recipe.verified or len(recipe.how_verified) > 20, recipe.id

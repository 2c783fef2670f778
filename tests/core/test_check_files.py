"""What the files on a model do to a distillation is told from their recipes and metadata."""

import dataclasses

import pytest

from fewstep.recipes.check import check
from fewstep.recipes.pieces import Applied, Pieces
from fewstep.recipes.read import read_all

RECIPES = read_all()[0]
LIGHTNING = RECIPES["sdxl-lightning-4step-lora"]
DMD2 = RECIPES["dmd2-sdxl-4step-lora"]
DMD2_MERGE = RECIPES["dmd2-sdxl-merge"]
HYPER_FLUX = RECIPES["hyper-flux-dev-8step"]
ANIMA, ANIMA_BASE = RECIPES["anima-turbo-lora"], RECIPES["anima-base"]
HIGH, LOW = RECIPES["wan2.2-t2v-lightx2v-high"], RECIPES["wan2.2-t2v-lightx2v-low"]
Z_IMAGE_TURBO, Z_IMAGE = RECIPES["z-image-turbo"], RECIPES["z-image"]
QWEN = RECIPES["qwen-image-lightning-4step"]
QWEN_FP8 = RECIPES["qwen-image-fp8-lightning-4step"]


def lora(recipe=None, name="a.safetensors", strength=1.0, **more):
    return Applied(name, "lora", recipe, strength, **more)


def network(recipe, name="network.safetensors"):
    return Applied(name, recipe.kind, recipe)


def on(subject, recipe, *applied, recipes=None):
    """The verdicts on a subject with these files on the model."""
    verdicts = check(Pieces(applied=applied), recipe, recipes)
    return [verdict for verdict in verdicts if verdict.subject == subject]


def says(subject, recipe, *applied):
    return [verdict.verdict for verdict in on(subject, recipe, *applied)]


@pytest.mark.parametrize(
    ("recipe", "strength", "verdict", "symptom"),
    [
        (LIGHTNING, 1.0, "fits", ""),
        (LIGHTNING, 0.75, "fits", ""),
        (LIGHTNING, 1.25, "fits", ""),
        (LIGHTNING, 1.3, "does not fit", "fried"),
        (LIGHTNING, 0.5, "does not fit", "blurred, unfinished pictures"),
        (LIGHTNING, 0.0, "does not fit", "blurred, unfinished pictures: the LoRA does nothing"),
        (LIGHTNING, -1.0, "does not fit", "noise"),
        (LIGHTNING, None, "cannot know", ""),
        (DMD2, 0.7, "cannot know", ""),
        (DMD2, 0.6, "cannot know", ""),
        (DMD2, 0.59, "does not fit", "blurred"),
        (HYPER_FLUX, 0.125, "fits", ""),
        (HYPER_FLUX, 0.15, "fits", ""),
        (HYPER_FLUX, 0.16, "does not fit", "fried"),
        (HYPER_FLUX, 1.0, "does not fit", "fried"),
    ],
)
def test_strength_is_the_recipes_within_a_quarter(recipe, strength, verdict, symptom):
    (found,) = on("strength", recipe, lora(recipe, strength=strength))
    assert found.verdict == verdict and found.symptom.startswith(symptom)
    assert bool(found.symptom) == (verdict == "does not fit")


def test_the_right_strength_is_named():
    (found,) = on("strength", HYPER_FLUX, lora(HYPER_FLUX))
    assert (found.found, found.needed, found.fix) == ("1", "0.125", "strength 0.125")


def test_only_the_recipes_own_lora_is_held_against_its_strength():
    others = lora(strength=-3.0), lora(DMD2, strength=-3.0)
    assert says("strength", LIGHTNING, *others, lora(LIGHTNING)) == ["fits"]
    assert says("strength", LIGHTNING, *others) == ["cannot know"]
    assert says("strength", Z_IMAGE_TURBO, lora()) == []


def test_a_recipe_at_another_step_count_is_still_that_of_its_file():
    changed = RECIPES["lcm-lora-sd15"].with_steps(6)
    assert says("strength", changed, lora(RECIPES["lcm-lora-sd15"])) == ["fits"]


def test_nothing_known_of_the_files_is_said_so():
    verdicts = {found.subject: found.verdict for found in check(Pieces(), LIGHTNING)}
    assert verdicts["strength"] == verdicts["distillations"] == "cannot know"
    assert "coverage" not in verdicts and "LoRA training" not in verdicts
    assert [found.subject for found in check(Pieces(), None)] == ["recipe"]


@pytest.mark.parametrize(
    ("recipe", "applied", "verdict"),
    [
        (LIGHTNING, [lora(LIGHTNING)], "fits"),
        (LIGHTNING, [lora(LIGHTNING), lora()], "fits"),
        (LIGHTNING, [], "fits"),
        (LIGHTNING, [lora(LIGHTNING), lora(DMD2)], "does not fit"),
        (LIGHTNING, [lora(LIGHTNING), lora(LIGHTNING)], "does not fit"),
        (LIGHTNING, [lora(LIGHTNING), lora(DMD2, strength=0.0)], "fits"),
        (LIGHTNING, [lora(LIGHTNING), lora(DMD2, strength=None)], "does not fit"),
        (DMD2, [network(DMD2_MERGE), lora(DMD2)], "does not fit"),
        (DMD2_MERGE, [network(DMD2_MERGE)], "fits"),
        (DMD2_MERGE, [lora(DMD2)], "does not fit"),
        (DMD2_MERGE, [network(DMD2_MERGE), lora()], "fits"),
        (ANIMA, [network(ANIMA_BASE), lora(ANIMA)], "fits"),
        (ANIMA_BASE, [lora(ANIMA)], "fits"),
        (HIGH, [lora(HIGH), lora(LOW)], "does not fit"),
        (None, [lora(LIGHTNING), lora(DMD2)], "does not fit"),
    ],
)
def test_one_distillation_at_a_time(recipe, applied, verdict):
    assert says("distillations", recipe, *applied) == [verdict]


def test_the_two_distillations_are_named():
    (found,) = on("distillations", DMD2_MERGE, lora(DMD2, "dmd2.safetensors"))
    assert found.found == "DMD2 merge SDXL and dmd2.safetensors"
    (found,) = on("distillations", None, lora(DMD2, "a"), lora(LIGHTNING, "b"))
    assert found.found == "a and b"
    assert on("distillations", None, lora(DMD2)) == []


@pytest.mark.parametrize(
    ("recipe", "coverage", "verdict", "symptom"),
    [
        (LIGHTNING, "whole", ["fits"], ""),
        (LIGHTNING, "partial", ["does not fit"], "blurred pictures: half of the distillation"),
        (LIGHTNING, "none", ["does not fit"], "the picture of the model without it"),
        (LIGHTNING, "other network", ["does not fit"], "the picture of the model without it"),
        (LIGHTNING, None, [], ""),
        (None, "whole", ["fits"], ""),
        (None, "partial", ["cannot know"], ""),
        (None, "none", ["does not fit"], "the picture of the model without it"),
    ],
)
def test_a_lora_fits_as_far_as_it_covers_the_model(recipe, coverage, verdict, symptom):
    found = on("coverage", LIGHTNING, lora(recipe, coverage=coverage))
    assert [each.verdict for each in found] == verdict
    assert all(each.symptom.startswith(symptom) for each in found)


TURBO_NAMES = ["Tongyi-MAI/Z-Image-Turbo", "z_image_turbo_bf16.safetensors"]


@pytest.mark.parametrize(
    ("recipe", "trained_on", "verdict"),
    [
        *((Z_IMAGE_TURBO, name, ["does not fit"]) for name in TURBO_NAMES),
        (Z_IMAGE_TURBO, "z_image_bf16.safetensors", ["fits"]),
        (Z_IMAGE_TURBO, None, ["cannot know"]),
        # trained on a distilled model and used with another that is not
        (Z_IMAGE, "Tongyi-MAI/Z-Image-Turbo", []),
        (LIGHTNING, "sd_xl_turbo_1.0_fp16.safetensors", ["does not fit"]),
        (LIGHTNING, "dreamshaperXL_lightningDPMSDE.safetensors", ["does not fit"]),
        (LIGHTNING, "sd_xl_base_1.0.safetensors", ["fits"]),
        # of another architecture, so that the name means something else
        (LIGHTNING, "z_image_turbo_bf16.safetensors", ["fits"]),
        (None, "sd_xl_turbo_1.0_fp16.safetensors", []),
    ],
)
def test_a_lora_trained_on_a_distilled_model_is_told_by_that_models_name(
    recipe, trained_on, verdict
):
    assert says("LoRA training", recipe, lora(trained_on=trained_on)) == verdict


def test_the_training_matters_with_a_speed_lora_on_a_model_without_recipe():
    style = lora(name="style", trained_on="sd_xl_turbo_1.0.safetensors")
    (found,) = on("LoRA training", None, lora(LIGHTNING), style)
    assert found.verdict == "does not fit"
    assert found.found == "style on sd_xl_turbo_1.0.safetensors"
    assert on("LoRA training", None, lora(LIGHTNING, strength=0.0), style) == []


def test_the_training_of_networks_and_speed_loras_is_not_asked_for():
    assert on("LoRA training", LIGHTNING, network(ANIMA_BASE), lora(LIGHTNING)) == []
    unnamed = Applied("finetune.safetensors", "checkpoint", trained_on="sd_xl_turbo_1.0")
    assert on("LoRA training", LIGHTNING, unnamed) == []


def test_what_a_lora_was_trained_on_is_told_by_the_recipes_given():
    mine = dataclasses.replace(DMD2_MERGE, id="mine", names=("^my-quick-model",))
    style = lora(trained_on="my_quick_model.safetensors")
    (found,) = on("LoRA training", LIGHTNING, style, recipes=[mine])
    assert found.verdict == "does not fit"
    assert says("LoRA training", LIGHTNING, style) == ["fits"]


def test_changes_by_other_nodes_cannot_be_known():
    def verdicts(count, recipe):
        found = check(Pieces(other_patches=count), recipe)
        return [each for each in found if each.subject == "other changes"]

    for recipe in (LIGHTNING, None):
        (found,) = verdicts(794, recipe)
        assert (found.verdict, found.found) == ("cannot know", "794 weights changed by other nodes")
        assert verdicts(0, recipe) == verdicts(None, recipe) == []


@pytest.mark.parametrize(
    ("recipe", "dtype", "scaled", "verdict"),
    [
        (QWEN, "float8_e4m3fn", False, ["does not fit"]),
        (QWEN, "float8_e5m2", False, ["does not fit"]),
        (QWEN, "float8_e4m3fn", True, ["fits"]),
        (QWEN, "float8_e4m3fn", None, ["cannot know"]),
        (QWEN, "bfloat16", None, ["fits"]),
        (QWEN, None, None, ["cannot know"]),
        (QWEN_FP8, "float8_e4m3fn", False, ["fits"]),
        (QWEN_FP8, "float8_e4m3fn", None, ["fits"]),
        (QWEN_FP8, "bfloat16", None, ["does not fit"]),
        (QWEN_FP8, None, None, ["cannot know"]),
        (LIGHTNING, "float8_e4m3fn", False, []),
        (RECIPES["qwen-image-distill-full"], "float8_e4m3fn", False, []),
    ],
)
def test_lightning_for_qwen_wants_the_weights_it_was_made_for(recipe, dtype, scaled, verdict):
    found = check(Pieces(weight_dtype=dtype, scaled=scaled), recipe)
    assert [each.verdict for each in found if each.subject == "weights"] == verdict


def test_plain_float8_under_lightning_is_told_by_its_grid():
    pieces = Pieces(weight_dtype="float8_e4m3fn", scaled=False)
    (found,) = (each for each in check(pieces, QWEN) if each.subject == "weights")
    assert found.found == "float8_e4m3fn without scales"
    assert found.symptom == "a grid of fine lines over the picture"

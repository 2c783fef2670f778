"""A file's recipe is told from hash, structure, metadata and name, and never guessed in silence."""

import dataclasses

import pytest

from fewstep.recipes.identify import judge
from fewstep.recipes.names import normalised
from fewstep.recipes.recipe import Guidance, Recipe, Sampler, Schedule, Steps
from fewstep.recipes.structure import Structure

LIGHTNING = Recipe(
    id="lightning-4",
    family="lightning",
    title="Lightning 4",
    base="sdxl",
    kind="lora",
    names=("lightning.*4-?step",),
    examples=("sdxl_lightning_4step_lora.safetensors",),
    sha256=("4" * 64,),
    metadata={},
    structure=(),
    steps=Steps(4, (4,), 4, 4),
    guidance=Guidance("cfg", 1.0, 1.0, 1.0),
    negative_works=False,
    prediction="eps",
    sampler=Sampler("euler"),
    schedule=Schedule(spacing="trailing"),
    shift=None,
    start="unit variance",
    strength=1.0,
    stage=None,
    bad=(),
    licence="open",
    sources=("https://example.org",),
    verified=True,
    how_verified="by the card",
)


def like(**changes):
    return dataclasses.replace(LIGHTNING, sha256=(), **changes)


EIGHT = like(id="lightning-8", title="Lightning 8", names=("lightning.*8-?step",))
UNET = like(id="lightning-4-unet", title="Lightning 4 UNet", kind="unet")
TURBO = like(
    id="turbo",
    family="turbo",
    title="Turbo",
    kind="checkpoint",
    names=("turbo",),
    metadata={"modelspec.architecture": "^sdxl-turbo"},
    verified=False,
    how_verified="nobody has.",
)
LCM = like(
    id="lcm", family="lcm", title="LCM", kind="unet", names=("lcm",), structure=("w embedding",)
)
SCHNELL = like(
    id="schnell",
    family="schnell",
    title="schnell",
    base="flux",
    kind="unet",
    names=("schnell",),
    structure=("no guidance embedding",),
)
RECIPES = [LIGHTNING, EIGHT, UNET, TURBO, LCM, SCHNELL]


def tensors(base="sdxl", kind="lora", *features):
    return Structure(base, kind, frozenset(features), (f"It is {kind} of {base}.",))


def found(structure, name="model.safetensors", metadata=None, sha256=None):
    return judge(structure, metadata or {}, name, RECIPES, sha256)


def test_a_known_hash_is_certain_whatever_the_name():
    result = found(tensors(), "whatever.safetensors", sha256="4" * 64)
    assert (result.recipe, result.confidence) == (LIGHTNING, "certain")
    assert "SHA-256" in result.reasons[0]


def test_a_name_that_the_tensors_agree_with_is_likely():
    result = found(tensors(), "sdxl_lightning_8step_lora.safetensors")
    assert (result.recipe, result.confidence) == (EIGHT, "likely")
    assert result.reasons == (
        "It is lora of sdxl.",
        "Its name, sdxl_lightning_8step_lora.safetensors, is among those of Lightning 8.",
    )


def test_a_name_alone_is_unsure():
    result = found(tensors(None, None), "my-lightning-8step.safetensors")
    assert (result.recipe, result.confidence) == (EIGHT, "unsure")


def test_a_name_that_the_tensors_rule_out_is_said_and_not_followed():
    result = found(tensors("sd15"), "sdxl_lightning_4step_lora.safetensors")
    assert (result.recipe, result.confidence) == (None, "unsure")
    assert "speaks of Lightning 4, Lightning 4 UNet, which is a LoRA for sdxl" in result.reasons[-1]


def test_a_file_that_nothing_tells_has_no_recipe():
    result = found(tensors(), "pytorch_lora_weights.safetensors")
    assert (result.recipe, result.confidence, result.base) == (None, "none", "sdxl")
    assert "Nothing in it tells a distilled model" in result.reasons[-1]


def test_several_possible_recipes_are_none():
    result = found(tensors(), "lightning-4step-and-8step.safetensors")
    assert (result.recipe, result.confidence) == (None, "unsure")
    assert "Lightning 4, Lightning 8" in result.reasons[1]
    assert "nothing tells which" in result.reasons[-1]


def test_the_kind_decides_between_a_lora_and_a_network_of_one_name():
    assert found(tensors(kind="unet"), "lightning_4step.safetensors").recipe is UNET
    assert found(tensors(kind="lora"), "lightning_4step.safetensors").recipe is LIGHTNING


def test_a_network_stands_in_for_a_checkpoint_where_the_family_has_no_network():
    assert found(tensors(kind="unet"), "xl-turbo.safetensors").recipe is TURBO
    assert found(tensors(kind="checkpoint"), "lightning_4step.safetensors").recipe is UNET
    assert found(tensors(kind="lora"), "xl-turbo.safetensors").recipe is None


def test_a_w_embedding_tells_an_lcm_without_any_name_and_rules_the_others_out():
    result = found(tensors("sdxl", "unet", "w embedding"))
    assert (result.recipe, result.confidence) == (LCM, "likely")
    assert found(tensors("sdxl", "unet", "w embedding"), "lcm.safetensors").confidence == "likely"
    assert found(tensors("sdxl", "unet"), "lcm.safetensors").recipe is None


def test_a_name_that_disagrees_with_telling_tensors_is_said_and_makes_it_unsure():
    result = found(tensors("sdxl", "unet", "w embedding"), "lightning-4step.safetensors")
    assert (result.recipe, result.confidence) == (LCM, "unsure")
    assert "Its name, lightning-4step.safetensors, speaks of Lightning 4" in result.reasons[-1]


def test_braces_in_a_name_are_letters_like_others():
    result = found(tensors(), "lightning_4step{0}{x}.safetensors")
    assert (result.recipe, result.confidence) == (LIGHTNING, "likely")
    assert "lightning_4step{0}{x}.safetensors" in result.reasons[-1]


def test_a_missing_guidance_embedding_tells_schnell_but_not_for_sure():
    found_alone = found(tensors("flux", "unet", "no guidance embedding"))
    assert (found_alone.recipe, found_alone.confidence) == (SCHNELL, "unsure")
    assert "may be one" in found_alone.reasons[-1]
    named = found(tensors("flux", "unet", "no guidance embedding"), "flux1-schnell.safetensors")
    assert (named.recipe, named.confidence) == (SCHNELL, "likely")
    assert found(tensors("flux", "unet", "guidance embedding"), "schnell").recipe is None


def test_metadata_tell_where_the_name_does_not():
    entry = {"modelspec.architecture": "sdxl-turbo-v1"}
    result = found(tensors(kind="checkpoint"), "mine.safetensors", entry)
    assert (result.recipe, result.confidence) == (TURBO, "likely")


def test_metadata_and_a_name_that_do_not_go_together_choose_nothing():
    entry = {"modelspec.architecture": "sdxl-turbo-v1"}
    result = found(tensors(kind="checkpoint"), "lightning_4step.safetensors", entry)
    assert (result.recipe, result.confidence) == (None, "unsure")
    assert "does not go together" in result.reasons[-1]


def test_unverified_settings_are_a_warning():
    result = found(tensors(kind="checkpoint"), "xl-turbo.safetensors")
    assert result.warnings == ("The settings of Turbo are unverified: nobody has.",)


def test_the_json_has_the_promised_keys_and_values():
    assert found(tensors(), "lightning-4step.safetensors").as_json() == {
        "recipe": "lightning-4",
        "family": "lightning",
        "base": "sdxl",
        "kind": "lora",
        "steps": [4],
        "cfg": [1.0, 1.0],
        "confidence": "likely",
        "reasons": [
            "It is lora of sdxl.",
            "Its name, lightning-4step.safetensors, is among those of Lightning 4.",
        ],
        "warnings": [],
    }
    nothing = found(tensors(None, None)).as_json()
    assert (nothing["recipe"], nothing["family"], nothing["steps"], nothing["cfg"]) == (
        None,
        None,
        [],
        [],
    )


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Hyper-SDXL-8steps_lora.safetensors", "hyper-sdxl-8steps-lora"),
        ("juggernautXL_v9Rdphoto2Lightning.safetensors", "juggernaut-xl-v9-rdphoto2-lightning"),
        ("RealVisXL_V5.0_Lightning", "real-vis-xl-v5.0-lightning"),
        ("folder\\My LoRA (4 Step).SFT", "my-lo-ra-4-step"),
        ("wan2.2_t2v_high.safetensors", "wan2.2-t2v-high"),
        ("", ""),
    ],
)
def test_names_are_compared_without_case_folder_and_ending(name, expected):
    assert normalised(name) == expected

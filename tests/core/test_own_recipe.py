"""What FewStep wrote into a file is read back, and a broken entry is told and left out."""

import json

import pytest

from fewstep.lora.save import file_metadata
from fewstep.recipes.identify import judge
from fewstep.recipes.own import describe, read_own
from fewstep.recipes.read import read_all
from fewstep.recipes.recipe import Guidance, Sampler, Schedule, Steps
from fewstep.recipes.structure import Structure

RECIPES = read_all()[0]
ALL = list(RECIPES.values())
# written by hand from the description of the format
ENTRY = {
    "version": 1,
    "id": None,
    "title": "My LCM",
    "family": "lcm",
    "base": "sdxl",
    "kind": "lora",
    "steps": [4, 8],
    "default_steps": 6,
    "guidance": {"kind": "cfg", "default": 1.5, "low": 1, "high": 2},
    "sampler": {"name": "tcd", "eta": 0.3},
    "schedule": {"timesteps": [999, 749, 499, 249, 124, 62]},
    "shift": 3,
    "prediction": "eps",
    "start": "sigma",
    "strength": 0.5,
    "stage": "high",
    "negative_works": True,
    "teacher": "sd_xl_base_1.0",
}
LORA = Structure("sdxl", "lora", frozenset(), ("It is a LoRA for sdxl.",))


def read(entry):
    return read_own({"fewstep.recipe": entry if isinstance(entry, str) else json.dumps(entry)})


def found(entry, structure=LORA, name="whatever.safetensors", **more):
    return judge(structure, {"fewstep.recipe": json.dumps(entry)}, name, ALL, **more)


def test_every_field_of_an_entry_arrives_as_what_it_means():
    recipe = read(ENTRY)
    assert (recipe.id, recipe.title, recipe.family) == ("in-the-file", "My LCM", "lcm")
    assert (recipe.base, recipe.kind, recipe.prediction) == ("sdxl", "lora", "eps")
    assert recipe.steps == Steps(default=6, trained=(4, 8), low=4, high=8)
    assert recipe.guidance == Guidance("cfg", 1.5, 1.0, 2.0)
    assert recipe.sampler == Sampler("tcd", 0.3)
    assert recipe.schedule == Schedule(timesteps=(999, 749, 499, 249, 124, 62))
    assert (recipe.shift, recipe.start, recipe.strength) == (3.0, "sigma", 0.5)
    assert (recipe.stage, recipe.negative_works) == ("high", True)
    assert recipe.verified and recipe.how_verified.endswith("distilled from sd_xl_base_1.0.")
    assert recipe.sources and not recipe.names


def test_a_file_without_an_entry_has_none():
    assert read_own({"modelspec.title": "mine"}) is None


def test_what_may_be_null_may_be_left_out_and_has_its_default():
    optional = ("id", "shift", "start", "strength", "stage", "teacher")
    recipe = read({key: value for key, value in ENTRY.items() if key not in optional})
    assert (recipe.id, recipe.shift, recipe.stage) == ("in-the-file", None, None)
    assert (recipe.start, recipe.strength) == ("unit variance", 1.0)
    assert recipe.how_verified == "Its own entry says so."


@pytest.mark.parametrize("recipe", ALL, ids=lambda recipe: recipe.id)
def test_what_is_described_is_read_back_for_every_shipped_recipe(recipe):
    entry = json.loads(json.dumps(describe(recipe, "a teacher")))
    assert entry.keys() == ENTRY.keys()
    again = read(entry)
    for field in ("id", "title", "family", "base", "kind", "guidance", "sampler", "schedule"):
        assert getattr(again, field) == getattr(recipe, field), field
    for field in ("shift", "prediction", "start", "strength", "stage", "negative_works"):
        assert getattr(again, field) == getattr(recipe, field), field
    assert (again.steps.default, again.steps.trained) == recipe.steps[:2]
    assert recipe.steps.low <= again.steps.low and again.steps.high <= recipe.steps.high
    assert describe(again, "a teacher") == entry


def test_an_entry_with_no_id_is_described_with_no_id():
    assert describe(read(ENTRY), "sd_xl_base_1.0") == {**ENTRY, "shift": 3.0}


def test_what_a_saved_lora_says_is_a_description():
    recipe = RECIPES["lcm-lora-sdxl"]
    written = file_metadata(describe(recipe), [])
    assert read_own(written).id == "lcm-lora-sdxl"
    # modelspec entries that are written beside it do not contradict it
    result = judge(LORA, written, "pytorch_lora_weights.safetensors", ALL)
    assert (result.recipe.id, result.confidence) == ("lcm-lora-sdxl", "certain")


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"version": 2}, "fewstep.recipe is of version 2, and this FewStep reads version 1. Upd"),
        ({"id": "My LCM"}, r'fewstep.recipe.id is "My LCM"; allowed is lower case letters'),
        ({"title": ""}, r'fewstep.recipe.title is ""; allowed is a text'),
        ({"title": "a\x1b[2J"}, r"fewstep.recipe.title is .*without control characters"),
        ({"title": "a\ud800"}, r"fewstep.recipe.title is .*without control characters"),
        ({"family": None}, "fewstep.recipe.family is null; allowed is lower case"),
        ({"base": 15}, "fewstep.recipe.base is 15; allowed is lower case"),
        ({"kind": "model"}, "fewstep.recipe.kind is .*one of lora, unet, checkpoint"),
        ({"steps": []}, r"fewstep.recipe.steps is \[\]; allowed is a list of 1 or more"),
        ({"steps": [0]}, "fewstep.recipe.steps.0 is 0; allowed is a whole number from 1 to 1000"),
        ({"default_steps": 1.5}, "fewstep.recipe.default_steps is 1.5; allowed is a whole"),
        ({"guidance": 1}, "fewstep.recipe.guidance is 1; allowed is an object with kind"),
        (
            {"guidance": {"kind": "cfg", "default": 3, "low": 1, "high": 2}},
            "fewstep.recipe.guidance.default is 3.0; allowed is within allowed, 1 to 2",
        ),
        (
            {"guidance": {"kind": "w", "default": 1, "low": 1, "high": 2}},
            "fewstep.recipe.guidance.kind is .*one of cfg, embedded",
        ),
        ({"sampler": "euler"}, 'fewstep.recipe.sampler is "euler"; allowed is an object'),
        ({"sampler": {"name": "tcd", "eta": 2}}, "fewstep.recipe.sampler.eta is 2; allowed"),
        ({"sampler": {"name": "tcd", "eta": None}}, "fewstep.recipe.sampler is .*eta for tcd"),
        ({"sampler": {"name": "a", "x": 1}}, "fewstep.recipe.sampler.x is"),
        ({"schedule": {}}, "fewstep.recipe.schedule is .*exactly one of"),
        ({"shift": float("nan")}, "fewstep.recipe.shift is NaN; allowed is a number above 0"),
        ({"prediction": "epsilon"}, "fewstep.recipe.prediction is .*eps, v, x0, flow"),
        ({"start": "high"}, "fewstep.recipe.start is .*unit variance, sigma"),
        ({"strength": 0}, "fewstep.recipe.strength is 0; allowed is a number above 0"),
        ({"stage": "middle"}, "fewstep.recipe.stage is .*high, low"),
        ({"negative_works": 1}, "fewstep.recipe.negative_works is 1; allowed is true or false"),
        ({"teacher": 7}, "fewstep.recipe.teacher is 7; allowed is a text"),
        ({"colour": "red"}, r'fewstep.recipe.colour is "colour"; allowed is one of version'),
    ],
)
def test_a_broken_field_is_named_with_what_is_allowed(change, complaint):
    with pytest.raises(ValueError, match=complaint):
        read(ENTRY | change)


@pytest.mark.parametrize(
    ("entry", "complaint"),
    [
        ("{", "fewstep.recipe is no JSON: "),
        ("[]", r"fewstep.recipe is \[\]; allowed is an object with version"),
        ('{"version": 1}', "fewstep.recipe is .* is missing"),
        ("[" * 9000, "fewstep.recipe has 9000 brackets; allowed are 100."),
        (" " * 100_001, "fewstep.recipe has 100001 characters; allowed are 100000."),
        ('{"steps": [' + "9" * 5000 + "]}", "fewstep.recipe is no JSON: "),
    ],
)
def test_an_entry_of_no_sense_is_refused(entry, complaint):
    with pytest.raises(ValueError, match=complaint):
        read(entry)


def test_an_entry_is_certain_whatever_the_name_says():
    result = found(ENTRY, name="sdxl_lightning_4step_lora.safetensors")
    assert (result.recipe.title, result.confidence, result.warnings) == ("My LCM", "certain", ())
    assert result.reasons == (
        "It is a LoRA for sdxl.",
        "FewStep wrote into it that it is My LCM (fewstep.recipe).",
    )


def test_an_entry_is_certain_where_the_tensors_tell_nothing():
    assert found(ENTRY, Structure(None, None, frozenset(), ())).confidence == "certain"


def test_an_entry_may_be_of_a_network_with_inputs_of_its_own():
    unet = Structure("sdxl", "unet", frozenset({"w embedding"}), ())
    result = found(ENTRY | {"kind": "unet"}, unet)
    assert (result.recipe.title, result.confidence) == ("My LCM", "certain")


@pytest.mark.parametrize(("base", "kind"), [("sd15", "lora"), ("sdxl", "unet")])
def test_an_entry_that_the_tensors_contradict_is_unsure(base, kind):
    result = found(ENTRY, Structure(base, kind, frozenset(), ()))
    assert (result.recipe.title, result.confidence) == ("My LCM", "unsure")
    assert (result.base, result.kind) == (base, kind)
    assert "That entry is for a LoRA for sdxl; its tensors are not that." in result.reasons


def test_a_known_hash_goes_before_an_entry():
    recipe = next(recipe for recipe in ALL if recipe.sha256)
    tensors = Structure(recipe.base, recipe.kind, frozenset(), ())
    result = found(ENTRY, tensors, sha256=recipe.sha256[0])
    assert (result.recipe, result.confidence) == (recipe, "certain")


def test_a_broken_entry_is_a_warning_and_the_file_is_told_without_it():
    broken = ENTRY | {"shift": -1}
    result = found(broken, name="sdxl_lightning_4step_lora.safetensors")
    assert (result.recipe.id, result.confidence) == ("sdxl-lightning-4step-lora", "likely")
    assert result.warnings == (
        "fewstep.recipe.shift is -1; allowed is a number above 0. This entry is left out.",
    )

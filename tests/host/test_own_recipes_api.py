"""What the user writes and chooses: recipes of one's own, and choices that no list offers."""

import importlib
import json
import shutil

import pytest
from host.client import PromptError
from host.test_lora_dialects import shipped
from host.test_recipe_api import node, text

MINE = {
    "family": "mine",
    "recipes": [
        {
            "id": "my-student",
            "title": "My student, 6 steps",
            "base": "sd15",
            "kind": "lora",
            "names": ["my-student"],
            "examples": ["my-student.safetensors"],
            "steps": {"default": 6, "trained": [6], "allowed": [6, 6]},
            "guidance": {"kind": "cfg", "default": 1, "allowed": [1, 1]},
            "negative_works": False,
            "prediction": "eps",
            "sampler": {"name": "lcm"},
            "schedule": {"spacing": "lcm"},
            "licence": "mine",
            "sources": ["https://example.org"],
            "verified": True,
            "how_verified": "By eye.",
        }
    ],
}


@pytest.fixture
def own_recipes(server):
    folder = server.folder / "user" / "default" / "fewstep" / "recipes"
    folder.mkdir(parents=True)
    yield folder
    shutil.rmtree(folder)


def listed(server):
    info = server.client.get_json("/object_info/FewStepRecipe")
    kind, options = info["FewStepRecipe"]["input"]["required"]["recipe_id"]
    return options["options"] if kind == "COMBO" else kind


def test_a_recipe_of_the_users_is_listed_and_a_broken_one_is_left_out(server, own_recipes):
    shipped_ids = listed(server)
    (own_recipes / "mine.json").write_text(json.dumps(MINE), encoding="utf-8")
    (own_recipes / "broken.json").write_text('{"family": "broken"', encoding="utf-8")
    assert sorted(listed(server)) == sorted([*shipped_ids, "my-student"])
    assert "FewStep leaves out recipes of yours: broken.json, line 1: no JSON" in server.log()
    told = {
        "recipe": node("FewStepRecipe", recipe_id="my-student", steps=0),
        "report": text(["recipe", 1]),
    }
    report = server.client.run(told)["report"]["text"][0]
    assert "recipe        my-student: My student, 6 steps\nsteps         6\n" in report


# --- what no drop-down offers ---------------------------------------------------------------------

CHOICES = [
    ("FewStepRecipe", {"recipe_id": "no-such-recipe", "steps": 0}),
    ("FewStepDemoModel", {"variant": "no-such-variant"}),
    ("FewStepIdentify", {"file": "no-such-file"}),
]


@pytest.mark.parametrize(("kind", "inputs"), CHOICES)
def test_a_choice_that_is_not_offered_is_refused_through_the_interface(server, kind, inputs):
    # ComfyUI 0.3.64 leaves this to the node
    (wrong,) = (value for value in inputs.values() if value)
    with pytest.raises(PromptError, match=wrong):
        server.client.run({"asked": node(kind, **inputs), "text": text(["asked", 1])})


@pytest.mark.parametrize(
    ("kind", "inputs", "complaint"),
    [
        ("FewStepRecipe", ("mine", 0), "recipe_id is 'mine', and no recipe is called so. Choose"),
        ("FewStepDemoModel", ("best",), "variant is 'best'; allowed is one of teacher, teacher "),
        (
            "FewStepModelLoader",
            ("a.safetensors", "int8", 0, "warn"),
            "weight_dtype is 'int8'; allowed is one of default, fp8_e4m3fn, ",
        ),
        (
            "FewStepLoraLoader",
            (None, "speed.safetensors", 1.0, 0, "maybe"),
            "if_unsure is 'maybe'; allowed is one of stop, warn",
        ),
    ],
)
def test_a_choice_that_is_not_offered_is_refused_by_the_node(
    host, tmp_path, monkeypatch, kind, inputs, complaint
):
    shelves = importlib.import_module("host.shelves")
    shelves.shelf("loras", tmp_path, monkeypatch).put("speed.safetensors", shipped())
    with pytest.raises(ValueError, match=complaint):
        getattr(importlib.import_module("fewstep.nodes"), kind).execute(*inputs)

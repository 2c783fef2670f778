"""Recipe files are read whole or refused with file, line and field."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fewstep.recipes.fields import OPTIONAL, REQUIRED
from fewstep.recipes.read import RecipeError, read_all, read_file, shipped_ids
from fewstep.recipes.recipe import Bad, Guidance, Sampler, Schedule, Steps

ENTRY = {
    "id": "my-model-4step",
    "title": "My model, 4 steps",
    "base": "sdxl",
    "kind": "lora",
    "names": ["my-model.*4-?step"],
    "examples": ["my_model_4step_lora.safetensors"],
    "sha256": ["0" * 64],
    "metadata": {"modelspec.title": "My model"},
    "structure": ["w embedding"],
    "steps": {"default": 4, "trained": [4, 8], "allowed": [2, 8]},
    "guidance": {"kind": "cfg", "default": 1, "allowed": [1, 2.5]},
    "negative_works": False,
    "prediction": "eps",
    "sampler": {"name": "tcd", "eta": 0.3},
    "schedule": {"timesteps": [999, 749, 499, 249]},
    "shift": 3.0,
    "start": "sigma",
    "strength": 0.125,
    "stage": "high",
    "bad": [{"with": "cfg 0", "symptom": "no prompt", "fix": "cfg 1"}],
    "licence": "MIT",
    "sources": ["https://example.org/card"],
    "verified": True,
    "how_verified": "by hand",
}


def write(folder, *entries, family="mine", name="mine.json", common=None):
    path = folder / name
    content = {"family": family, "common": common or {}, "recipes": list(entries)}
    path.write_text(json.dumps(content, indent=1), encoding="utf-8")
    return path


def test_every_field_arrives_as_what_it_means(tmp_path):
    (recipe,) = read_file(write(tmp_path, ENTRY))
    assert (recipe.id, recipe.family, recipe.base, recipe.kind) == (
        "my-model-4step",
        "mine",
        "sdxl",
        "lora",
    )
    assert recipe.steps == Steps(4, (4, 8), 2, 8)
    assert recipe.guidance == Guidance("cfg", 1.0, 1.0, 2.5)
    assert recipe.sampler == Sampler("tcd", 0.3)
    assert recipe.schedule == Schedule(timesteps=(999, 749, 499, 249))
    assert recipe.bad == (Bad("cfg 0", "no prompt", "cfg 1"),)
    assert (recipe.shift, recipe.strength, recipe.stage, recipe.start) == (
        3.0,
        0.125,
        "high",
        "sigma",
    )
    assert recipe.metadata == {"modelspec.title": "My model"}
    assert set(REQUIRED) | set(OPTIONAL) == set(ENTRY)


def test_what_may_be_left_out_has_its_default(tmp_path):
    short = {name: value for name, value in ENTRY.items() if name in REQUIRED}
    (recipe,) = read_file(write(tmp_path, short))
    assert (recipe.sha256, recipe.structure, recipe.bad, recipe.metadata) == ((), (), (), {})
    assert (recipe.shift, recipe.stage, recipe.strength) == (None, None, 1.0)
    assert recipe.start == "unit variance"


@pytest.mark.parametrize("name", REQUIRED)
def test_a_field_that_is_missing_is_named(tmp_path, name):
    path = write(tmp_path, {key: value for key, value in ENTRY.items() if key != name})
    with pytest.raises(RecipeError, match=rf"mine.json, line 5, 0: .*{name} is missing"):
        read_file(path)


def test_common_fields_hold_where_a_recipe_has_none_of_its_own(tmp_path):
    common = {name: value for name, value in ENTRY.items() if name not in ("id", "title")}
    own = {
        "id": "own",
        "title": "Own",
        "shift": 5.0,
        "bad": [{"with": "a", "symptom": "b", "fix": "c"}],
    }
    first, second = read_file(write(tmp_path, {"id": "x", "title": "X"}, own, common=common))
    assert (first.steps, first.shift) == (Steps(4, (4, 8), 2, 8), 3.0)
    assert (second.id, second.steps, second.shift) == ("own", first.steps, 5.0)
    assert first.bad == (Bad("cfg 0", "no prompt", "cfg 1"),)
    assert second.bad == (*first.bad, Bad("a", "b", "c"))


def test_a_wrong_common_field_is_told_once_and_where_it_stands(tmp_path):
    path = write(tmp_path, ENTRY, common={"shift": -1})
    with pytest.raises(RecipeError, match=r"^mine.json, line 4, common.shift: is -1; allowed"):
        read_file(path)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"id": "My Model"}, r'0.id: is "My Model"; allowed is lower case letters'),
        ({"base": 15}, r"0.base: is 15; allowed is lower case"),
        ({"title": " "}, r'0.title: is " "; allowed is a text'),
        ({"kind": "model"}, r'0.kind: is "model"; allowed is one of lora, unet, checkpoint'),
        ({"names": ["("]}, r"0.names.0: is \"\(\"; allowed is a regular expression"),
        ({"names": "x"}, r'0.names: is "x"; allowed is a list'),
        ({"examples": []}, r"0.examples: is \[\]; allowed is a list of 1 or more"),
        ({"sha256": ["0" * 63]}, r"0.sha256.0: .*64 lower case hex digits"),
        ({"sources": ["http://a.b"]}, r"0.sources.0: .*begins with https"),
        ({"metadata": ["x"]}, r'0.metadata: is \["x"\]; allowed is an object'),
        ({"metadata": {"a": "("}}, r"0.metadata.a: .*regular expression"),
        ({"structure": ["ears"]}, r'0.structure.0: is "ears"; allowed is one of w embedding'),
        ({"verified": "yes"}, r'0.verified: is "yes"; allowed is true or false'),
        ({"shift": 0}, r"0.shift: is 0; allowed is a number above 0"),
        ({"strength": -1}, r"0.strength: is -1; allowed is a number above 0"),
        ({"strength": True}, r"0.strength: is true; allowed is a number"),
        ({"shift": 10**400}, r"0.shift: is 10+\.\.\.; allowed is a number above 0"),
        ({"names": ["a{99999999999999999999}"]}, r"0.names.0: .*a regular expression"),
        ({"names": ["(" * 5000 + ")" * 5000]}, r"0.names.0: .*a regular expression"),
        ({"shift": 1e400}, r"0.shift: is Infinity; allowed is a number above 0"),
        ({"prediction": "epsilon"}, r"0.prediction: .*eps, v, x0, flow"),
        ({"start": "max"}, r"0.start: .*unit variance, sigma"),
        ({"stage": "middle"}, r"0.stage: .*high, low"),
        ({"steps": 4}, r"0.steps: is 4; allowed is an object with default, trained, allowed"),
        (
            {"steps": {"default": 0, "trained": [4], "allowed": [1, 8]}},
            r"0.steps.default: is 0; allowed is a whole number from 1 to 1000",
        ),
        (
            {"steps": {"default": 4, "trained": [16], "allowed": [1, 8]}},
            r"0.steps.trained: is 16; allowed is within allowed, 1 to 8",
        ),
        (
            {"steps": {"default": 9, "trained": [4], "allowed": [1, 8]}},
            r"0.steps.default: is 9; allowed is within allowed, 1 to 8",
        ),
        (
            {"steps": {"default": 4, "trained": [4], "allowed": [8, 1]}},
            r"0.steps.allowed: .*\[lowest, highest\]",
        ),
        (
            {"guidance": {"kind": "cfg", "default": 3, "allowed": [1, 2]}},
            r"0.guidance.default: is 3.0; allowed is within allowed, 1 to 2",
        ),
        (
            {"guidance": {"kind": "cgf", "default": 1, "allowed": [1, 2]}},
            r"0.guidance.kind: .*cfg, embedded",
        ),
        ({"sampler": {"name": "tcd"}}, r"0.sampler: .*eta for tcd, and for no other"),
        ({"sampler": {"name": "lcm", "eta": 1}}, r"0.sampler: .*eta for tcd, and for no other"),
        (
            {"sampler": {"name": "tcd", "eta": 2}},
            r"0.sampler.eta: is 2; allowed is a number from 0 to 1",
        ),
        ({"schedule": {}}, r"0.schedule: .*exactly one of spacing, timesteps, sigmas, scheduler"),
        ({"schedule": {"spacing": "simple"}}, r"0.schedule.spacing: .*trailing, lcm, turbo"),
        (
            {"schedule": {"timesteps": [499, 999]}},
            r"0.schedule.timesteps.1: is 999; allowed is a number below 499",
        ),
        ({"schedule": {"timesteps": [1000]}}, r"0.schedule.timesteps.0: .*from 0 to 999"),
        ({"schedule": {"sigmas": [1, 0.5]}}, r"0.schedule.sigmas: .*a list that ends in 0"),
        ({"bad": [{"with": "x"}]}, r"0.bad.0: .*symptom is missing"),
        ({"colour": "red"}, r'0.colour: is "colour"; allowed is one of id, title'),
    ],
)
def test_a_wrong_value_is_told_with_file_line_and_field(tmp_path, change, complaint):
    path = write(tmp_path, ENTRY | change)
    with pytest.raises(RecipeError, match=r"^mine.json, line \d+, " + complaint):
        read_file(path)


def test_the_line_is_that_of_the_value(tmp_path):
    path = write(tmp_path, ENTRY, ENTRY | {"id": "other", "schedule": {"sigmas": [1, 0.5, 0.6]}})
    line = 1 + path.read_text().splitlines().index("     0.6")
    with pytest.raises(RecipeError, match=rf"line {line}, 1.schedule.sigmas.2: is 0.6"):
        read_file(path)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "line 1: no JSON"),
        ('{"family": "x",\n "recipes": [}', "line 2: no JSON"),
        ("[]", "allowed is .*family.*recipes"),
        ('{"family": "x", "recipes": {}}', "recipes: allowed is a list"),
        ('{"family": "x", "common": [], "recipes": []}', "common: allowed is an object"),
        ('{"family": "x", "recipes": [], "more": 1}', "common may be left out"),
        ('{"family": "X!", "recipes": []}', 'line 1, family: is "X!"'),
        ('{"family": "x", "family": "y", "recipes": []}', "family: stands twice"),
        ("[" * 100_000, "nested too deeply"),
        ('{"family": ' + "9" * 5000 + "}", "holds a number that cannot be read"),
    ],
)
def test_a_file_that_holds_no_recipes_is_refused(tmp_path, text, complaint):
    path = tmp_path / "mine.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(RecipeError, match=f"^mine.json.*{complaint}"):
        read_file(path)


def test_a_file_in_another_encoding_or_of_a_models_size_is_refused(tmp_path):
    path = tmp_path / "mine.json"
    path.write_bytes(b'{"family": "\xff"}')
    with pytest.raises(RecipeError, match="mine.json: no UTF-8"):
        read_file(path)
    with path.open("wb") as file:
        file.truncate(5_000_000)
    with pytest.raises(RecipeError, match="larger than 4000000 bytes"):
        read_file(path)


def test_an_id_that_stands_twice_is_refused(tmp_path):
    with pytest.raises(RecipeError, match="'my-model-4step' stands twice"):
        read_file(write(tmp_path, ENTRY, ENTRY))


def test_a_users_recipes_join_ours_and_a_bad_file_costs_only_itself(tmp_path):
    shipped, _ = read_all()
    write(tmp_path, ENTRY, name="good.json")
    write(tmp_path, ENTRY | {"id": "x", "kind": "model"}, name="bad.json")
    write(tmp_path, ENTRY, name="twice.json")
    recipes, refused = read_all([tmp_path])
    assert recipes.keys() - shipped.keys() == {"my-model-4step"}
    assert [sentence.split(",")[0] for sentence in refused] == ["bad.json", "twice.json"]
    assert "is the id of a recipe that is there already" in refused[1]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(name=st.sampled_from(sorted(ENTRY)), value=JSON)
def test_no_value_of_a_field_does_anything_but_pass_or_be_told(tmp_path_factory, name, value):
    path = write(tmp_path_factory.mktemp("recipes"), ENTRY | {name: value})
    try:
        (recipe,) = read_file(path)
    except RecipeError as error:
        assert str(error).startswith("mine.json, line ") and name in str(error)
    else:
        assert recipe.family == "mine"


def test_the_shipped_ids_are_those_of_the_shipped_recipes():
    assert list(shipped_ids()) == sorted(read_all()[0])

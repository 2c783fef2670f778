"""ComfyUI's own templates sample each model we know as its recipe says, or a reason is stated.

The templates are those of the PyPI package comfyui-workflow-templates-json.
"""

import importlib.resources
import json

import pytest
from template_deviations import UNREAD, deviations
from workflow_graph import State, every_file, scope_of
from workflow_runs import runs

from fewstep.recipes.names import named
from fewstep.recipes.read import read_all

PACKAGE = "comfyui_workflow_templates_json"
pytest.importorskip(PACKAGE, reason="the test extra is not installed")

ALL = list(read_all()[0].values())
FOLDER = importlib.resources.files(PACKAGE) / "templates"
LOADS = {"UNETLoader": "unet", "CheckpointLoaderSimple": "checkpoint"}
# the first in which a file is used counts: as saved, with a switch turned, with all groups on
STATES = [State(switch, is_all) for is_all in (False, True) for switch in (None, True, False)]
OURS = {"SamplerEulerAncestral": "euler_ancestral", "SamplerLCM": "lcm", "Flux2Scheduler": "flux2"}
SPACINGS = {"trailing": "simple", "turbo": "SDTurboScheduler"}
# flow shift of the core's models where no node sets another (comfy/supported_models.py)
CORE_SHIFT = {
    "ace-step": 3.0,
    "anima": 3.0,
    "boogu-image": 3.16,
    "ernie-image": 3.0,
    "flux": 1.0,
    "hidream-i1": 3.0,
    "hidream-o1": 3.0,
    # exp(1.15), the core's mu
    "krea2": 3.158193,
    "qwen-image": 3.158193,
    "mage-flow": 6.0,
    "seedvr2": 1.0,
    "wan": 8.0,
    "z-image": 3.0,
    # the distilled SR network alone
    "hunyuan-video": 2.0,
}
SLACK = 1e-3


def recipe_of(loader, name):
    """The recipe a loader's file has by its name; None where it has none."""
    kind = LOADS.get(loader, "lora")
    found = named(ALL, name) if isinstance(name, str) else []
    found = [recipe for recipe in found if (recipe.kind == "lora") == (kind == "lora")]
    return next(iter([recipe for recipe in found if recipe.kind == kind] or found), None)


def runs_of(scope, loader, name):
    """The runs that this file decides: the first on the way from the sampler that has a recipe."""
    for state in STATES:
        found = []
        for run in runs(scope, state):
            known = [file for file in run.files if recipe_of(file.loader, file.name)]
            if known and known[0][:2] == (loader, name):
                found.append((run, known[0].strength))
        if found:
            return found
    return []


def differences(recipe, run, strength):
    """(field, the template's value) of all in which it is not as the recipe says."""
    given = {
        "steps": run.steps,
        "cfg": run.cfg,
        "sampler": OURS.get(run.sampler, run.sampler),
        "levels": OURS.get(run.levels, run.levels) if isinstance(run.levels, str) else run.levels,
        "shift": CORE_SHIFT.get(recipe.base) if run.shift is None else run.shift,
        "strength": strength,
    }
    if recipe.guidance.kind == "embedded":
        given["guidance"] = run.guidance
    if isinstance(run.levels, tuple):
        # a list of levels says how many steps there are
        del given["steps"]
    for field, value in given.items():
        if not FITS[field](recipe, value):
            yield field, round(value, 6) if isinstance(value, float) else value


def cfg_fits(recipe, cfg):
    low, high = (recipe.guidance.low, recipe.guidance.high)
    low, high = (low, high) if recipe.guidance.kind == "cfg" else (1.0, 1.0)
    return cfg is not None and low <= cfg <= high


def steps_fit(recipe, steps):
    return steps in (recipe.steps.default, *recipe.steps.trained)


def levels_fit(recipe, levels):
    """A second pass, over what the first made, goes through the last of the levels."""
    schedule = recipe.schedule
    if schedule.sigmas is None:
        return levels == (schedule.scheduler or SPACINGS.get(schedule.spacing))
    if not isinstance(levels, tuple):
        return False
    last = schedule.sigmas[-len(levels) :]
    return all(abs(a - b) <= SLACK for a, b in zip(last, levels, strict=True))


def shift_fits(recipe, shift):
    if recipe.shift is None or shift is None:
        return recipe.shift is None
    return abs(recipe.shift - shift) <= SLACK


def strength_fits(recipe, strength):
    return recipe.kind != "lora" or abs(recipe.strength - strength) <= SLACK


FITS = {
    "steps": steps_fit,
    "cfg": cfg_fits,
    "guidance": lambda recipe, w: recipe.guidance.low <= (w or 0) <= recipe.guidance.high,
    "sampler": lambda recipe, name: name == recipe.sampler.name,
    "levels": levels_fit,
    "shift": shift_fits,
    "strength": strength_fits,
}


def templates():
    for path in sorted(FOLDER.iterdir(), key=lambda path: path.name):
        workflow = json.loads(path.read_text(encoding="utf-8")) if path.suffix == ".json" else None
        if isinstance(workflow, dict) and "nodes" in workflow:
            yield path.name.removesuffix(".json"), scope_of(workflow)


def compared():
    """(templates by recipe, field and odd values; files that no sampler uses; recipes)"""
    differing, unread, recipes = {}, set(), set()
    for template, scope in templates():
        for loader, name in sorted(set(every_file(scope)), key=str):
            recipe = recipe_of(loader, name)
            found = runs_of(scope, loader, name) if recipe else []
            if recipe and not found:
                unread.add((template, name))
            values = {}
            for run, strength in found:
                recipes.add(recipe.id)
                for field, value in differences(recipe, run, strength):
                    values.setdefault(field, set()).add(value)
            for field, odd in values.items():
                key = (recipe.id, field, frozenset(odd))
                differing.setdefault(key, set()).add(template)
    return differing, unread, recipes


@pytest.fixture(scope="module")
def comparison():
    return compared()


def test_every_template_is_as_the_recipe_says_or_a_reason_is_stated(comparison):
    stated = {key: found for key, (_, found) in deviations().items()}
    assert comparison[0] == stated


def test_every_file_that_no_sampler_uses_is_stated(comparison):
    assert comparison[1] == set(UNREAD)


def test_most_recipes_of_the_host_are_compared(comparison):
    assert len(comparison[2]) >= 65


def test_every_deviation_has_a_reason():
    reasons = [*(reason for reason, _ in deviations().values()), *UNREAD.values()]
    assert all(len(reason.split()) > 3 for reason in reasons)


def workflow(name):
    return scope_of(json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8")))


def test_a_plain_workflow_is_read_as_its_nodes_say():
    (run,) = runs(workflow("flux_schnell"), State())
    assert [file.name for file in run.files] == ["flux1-schnell-fp8.safetensors"]
    assert (run.steps, run.cfg, run.sampler, run.levels) == (4, 1, "euler", "simple")


def test_a_switch_inside_a_subgraph_takes_steps_cfg_and_lora_along():
    scope = workflow("image_qwen_image_edit_2511")
    ((off,), (on,)) = (list(runs(scope, State(switch))) for switch in (None, True))
    assert (off.steps, off.cfg, len(off.files)) == (40, 4, 1)
    assert (on.steps, on.cfg, on.shift) == (4, 1, 3.1)
    assert [(file.name, file.strength) for file in on.files] == [
        ("Qwen-Image-Edit-2511-Lightning-4steps-V1.0-bf16.safetensors", 1),
        ("qwen_image_edit_2511_fp8mixed.safetensors", None),
    ]

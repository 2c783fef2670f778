"""A graph set as its recipe says fits; with one piece spoilt, that piece alone does not."""

import pytest

from fewstep.diffusion import sigmas as levels
from fewstep.diffusion import timesteps as grids
from fewstep.recipes.check import check, fits
from fewstep.recipes.pieces import Applied, Pieces
from fewstep.recipes.read import read_all

RECIPES = list(read_all()[0].values())
SECOND = next(recipe for recipe in RECIPES if recipe.id == "lcm-lora-sdxl")
SPACINGS = {"trailing": grids.trailing, "lcm": grids.lcm_grid, "turbo": grids.turbo}


def whole_run(recipe, steps):
    """The levels of a recipe; for ComfyUI's own schedulers any that fall will do."""
    if recipe.schedule.sigmas:
        return recipe.schedule.sigmas
    if recipe.prediction == "flow":
        return tuple(levels.flow_trailing(steps, recipe.shift or 1.15))
    spacing = SPACINGS[recipe.schedule.spacing or "trailing"]
    timesteps = recipe.schedule.timesteps or spacing(steps)
    return tuple(levels.from_timesteps(timesteps, levels.sigma_table()))


def as_told(recipe):
    """The pieces of a graph that follows its recipe in everything."""
    needed = whole_run(recipe, recipe.steps.default)
    parts = {None: needed, "high": needed[:3], "low": needed[2:]}
    is_lora, is_embedded = recipe.kind == "lora", recipe.guidance.kind == "embedded"
    is_ours = recipe.sampler.name in ("euler", "lcm", "tcd")
    file = Applied("file", recipe.kind, recipe, recipe.strength if is_lora else None, "whole")
    return Pieces(
        base=recipe.base,
        cfg=1.0 if is_embedded else recipe.guidance.default,
        sampler=recipe.sampler.name if is_ours else f"comfyui:{recipe.sampler.name}",
        eta=recipe.sampler.eta,
        sigmas=parts[recipe.stage],
        needed=needed,
        grid=needed,
        prediction=recipe.prediction,
        shift=recipe.shift or 1.15,
        boundary=False,
        guidance=recipe.guidance.default if is_embedded else None,
        takes_guidance=is_embedded,
        weight_dtype="float8_e4m3fn",
        scaled="fp8" not in recipe.id,
        applied=(file,),
        other_patches=0,
        has_negative=recipe.negative_works,
        empty_latent=True,
    )


def faults(recipe):
    """(subject, what to change so that this subject alone does not fit), of every recipe."""
    told, count = as_told(recipe), recipe.steps.high + 1
    (file,), needed = told.applied, told.needed
    at = 0 if told.steps == 1 else 1
    more = tuple((count - i) / count for i in range(count + 1))
    part = {None: more, "high": more[:2], "low": more[1:]}[recipe.stage]
    style = Applied("style", "lora", None, 1.0, "whole", recipe.examples[0])
    yield "architecture", {"base": "another"}
    yield "cfg", {"cfg": 0.0}
    yield "embedded guidance", {"guidance": recipe.guidance.high + 1.0}
    yield "steps", {"sigmas": part, "needed": more}
    off = (s * 1.05 if i == at else s for i, s in enumerate(told.sigmas))
    yield "schedule", {"sigmas": tuple(off)}
    yield "prediction", {"prediction": "eps" if recipe.prediction == "x0" else "x0"}
    yield "coverage", {"applied": (file._replace(coverage="none"),)}
    if recipe.is_distilled:
        second = Applied("second", "lora", SECOND, 1.0, "whole")
        yield "distillations", {"applied": (file, second)}
        yield "LoRA training", {"applied": (file, style)}
    yield from faults_of_some(recipe, told, file, needed)


def faults_of_some(recipe, told, file, needed):
    """The same for subjects that only some recipes have something to say on."""
    if told.cfg == 1.0:
        yield "negative prompt", {"has_negative": True}
    if recipe.shift is not None:
        yield "shift", {"shift": 2.0 * recipe.shift}
    if recipe.sampler.eta is not None and told.steps > 1:
        yield "eta", {"eta": 1.0}
    if recipe.stage is None:
        yield "img2img", {"sigmas": (0.777 * needed[0], 0.0), "empty_latent": False}
    else:
        yield "stage", {"sigmas": needed}
    if recipe.schedule.spacing != "lcm":
        yield "LCM patch", {"boundary": True}
    if (recipe.schedule.timesteps or (999,))[0] < 999:
        # where a sampler that is not ours has the wrong noise whatever its steps
        yield "first noise", {"sampler": f"comfyui:{recipe.sampler.name}"}
    else:
        yield "sampler", {"sampler": "comfyui:heun"}
    if recipe.kind == "lora":
        yield "strength", {"applied": (file._replace(strength=-1.0),)}
        if recipe.family == "qwen-lightning":
            yield "weights", {"scaled": False} if told.scaled else {"weight_dtype": "bfloat16"}


def unfit(pieces, recipe):
    verdicts = check(pieces, recipe, RECIPES)
    return [found.subject for found in verdicts if found.verdict == "does not fit"]


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.id)
def test_a_graph_that_follows_its_recipe_fits(recipe):
    verdicts = check(as_told(recipe), recipe, RECIPES)
    assert fits(verdicts) and unfit(as_told(recipe), recipe) == []
    assert [found for found in verdicts if found.verdict == "cannot know"] == []


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.id)
def test_one_spoilt_piece_is_one_subject_that_does_not_fit(recipe):
    told = as_told(recipe)
    found = {subject: unfit(told._replace(**fault), recipe) for subject, fault in faults(recipe)}
    assert found == {subject: [subject] for subject in found}


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.id)
def test_nothing_known_of_a_graph_is_never_called_unfit(recipe):
    verdicts = check(Pieces(), recipe, RECIPES)
    assert {found.verdict for found in verdicts} == {"cannot know"}
    subjects = {found.subject for found in verdicts}
    assert {"cfg", "steps", "schedule", "sampler", "prediction", "distillations"} <= subjects


def test_every_subject_is_spoilt_in_some_recipe():
    assert {subject for recipe in RECIPES for subject, _ in faults(recipe)} == {
        "architecture",
        "cfg",
        "embedded guidance",
        "negative prompt",
        "steps",
        "schedule",
        "img2img",
        "stage",
        "shift",
        "sampler",
        "eta",
        "first noise",
        "prediction",
        "LCM patch",
        "strength",
        "distillations",
        "coverage",
        "LoRA training",
        "weights",
    }

"""What FewStepGuider says of a graph, and what it refuses."""

import importlib
import math

import pytest
from host.guided_runs import FIRST, FLUX, LCM, LIGHTNING, PCM, guided, guider, sampled
from host.test_recipe_runs import RECIPES, told


@pytest.fixture(scope="module")
def runs(host):
    return importlib.import_module("host.runs")


def report_of(host, recipe, negative=True, **inputs):
    recipe = recipe and RECIPES[recipe]
    model = host.tiny_model("flow" if recipe and recipe.prediction == "flow" else "eps")
    model = told(model, recipe) if recipe else model
    words = {"negative": host.conditioning(2)} if negative else {}
    return guided(model, host.conditioning(1), recipe=recipe, **words, **inputs)[1]


NEGATIVE_HELPS = {
    LCM: "cfg above 1, up to 2, or Negative (FewStep)",
    LIGHTNING: "say it in the prompt, or connect it to Negative (FewStep)",
    None: "say it in the prompt, or connect it to Negative (FewStep)",
}


@pytest.mark.parametrize("recipe", NEGATIVE_HELPS)
def test_a_negative_prompt_that_cannot_act_is_told_with_what_helps(host, caplog, recipe):
    report = report_of(host, recipe)
    wrong = "does not fit: negative prompt: one at cfg 1; needed: none"
    assert wrong in report and f"what to do: {NEGATIVE_HELPS[recipe]}" in report
    assert f"negative prompt: one at cfg 1; {NEGATIVE_HELPS[recipe]}" in caplog.text
    assert "negative prompt" not in report_of(host, recipe, negative=False)


def test_a_negative_prompt_acts_in_the_interval(host, runs):
    inputs = {"cfg": 2.0, **FIRST}
    assert "fits: negative prompt: one inside the interval" in report_of(host, LCM, **inputs)
    model, made = host.tiny_model(), []
    for seed in (2, 9):
        ours = guider(host, model, negative=host.conditioning(seed), **inputs)
        made.append(sampled(ours, runs.euler(), runs.sigmas(model), runs.empty()))
    assert runs.difference(*made) > 1e-3


TITLES = [
    (LCM, {}, "LCM-LoRA SD 1.5, cfg 1"),
    (LCM, {"guidance": 2.0}, "LCM-LoRA SD 1.5, cfg 2"),
    (LCM, {"cfg": 2.0}, "LCM-LoRA SD 1.5, cfg 2"),
    (LCM, {"cfg": 2.0, **FIRST}, "LCM-LoRA SD 1.5, cfg 2 from 0 to 0.2, else 1"),
    (LCM, {"guidance": 2.0, "cfg": 2.0, **FIRST}, "LCM-LoRA SD 1.5, cfg 2"),
    (None, {"guidance": 2.0, "cfg": 1.0, **FIRST}, "no recipe, cfg 1 from 0 to 0.2, else 2"),
    (FLUX, {}, "FLUX.1-Turbo-Alpha 8 steps, guidance 3.5, cfg 1"),
]


@pytest.mark.parametrize(("recipe", "inputs", "title"), TITLES)
def test_the_report_begins_with_how_it_is_guided(host, recipe, inputs, title):
    assert report_of(host, recipe, **inputs).splitlines()[0] == title


RANGES = [
    (LCM, {}, "fits: cfg: 1; needed: 1 (1 to 2)"),
    (LCM, {"cfg": 2.0, **FIRST}, "fits: cfg: 2 inside the interval; needed: 1 (1 to 2)"),
    (LCM, {"cfg": 7.5, **FIRST}, "does not fit: cfg: 7.5 inside the interval; needed: 1 (1 to 2)"),
    (LCM, {"guidance": 7.5}, "does not fit: cfg: 7.5; needed: 1 (1 to 2)"),
    (LIGHTNING, {"cfg": 2.0}, "does not fit: cfg: 2; needed: 1"),
    (FLUX, {"cfg": 2.0, **FIRST}, "does not fit: cfg: 2 inside the interval; needed: 1"),
    (FLUX, {"guidance": 9.0}, "does not fit: embedded guidance: 9; needed: 3.5 (2.5 to 4)"),
    (None, {"cfg": 7.5}, "cannot know: recipe: none is known for this model"),
]


@pytest.mark.parametrize(("recipe", "inputs", "line"), RANGES)
def test_what_is_out_of_the_recipes_range_is_told_and_not_refused(host, recipe, inputs, line):
    assert line in report_of(host, recipe, **inputs).splitlines()


def test_what_a_guider_is_not_given_is_not_in_its_report(host):
    subjects = {
        line.split(": ")[1] for line in report_of(host, LCM).splitlines()[1:] if line[0] != " "
    }
    assert "cfg" in subjects
    assert not subjects & {"steps", "schedule", "sampler", "eta"}


def test_a_recipe_comes_from_the_file_that_fewstep_has_put_on_the_model(host):
    applied = importlib.import_module("fewstep.nodes.host.applied")
    pieces = importlib.import_module("fewstep.recipes.pieces")
    model = host.tiny_model()
    applied.note(model, pieces.Applied("speed", "lora", RECIPES[PCM], 1.0, "whole"))
    words = host.conditioning(1), host.conditioning(2)
    ours, report = guided(model, *words)
    assert report.startswith(f"{RECIPES[PCM].title}, cfg 7.5\n") and ours.cfg == 7.5
    # that which is connected goes before
    assert guided(model, *words, recipe=LCM)[1].startswith("LCM-LoRA SD 1.5, cfg 1\n")


# --- what it refuses ------------------------------------------------------------------------------

REFUSED = [
    (
        LCM,
        {"guidance": 0.5},
        r"guidance is 0\.5; allowed is 0 for the recipe's own, which is 1, or",
    ),
    (
        None,
        {"guidance": -1.0},
        "guidance is -1; allowed is 0 for what the model is told, else none",
    ),
    (LCM, {"guidance": math.nan}, "guidance is nan; allowed is 0"),
    (LCM, {"guidance": math.inf}, "guidance is inf; allowed is 0"),
    (LCM, {"cfg": 0.5}, r"cfg is 0\.5; allowed is 0 for guidance alone, or 1 and above"),
    (LCM, {"cfg": -2.0}, "cfg is -2; allowed is 0"),
    (LCM, {"cfg": math.nan}, "cfg is nan; allowed is 0"),
    (LCM, {"cfg": math.inf}, "cfg is inf; allowed is 0"),
    (
        LCM,
        {"start_percent": 0.6, "end_percent": 0.4},
        r"start_percent is 0\.6 and end_percent 0\.4",
    ),
    (LCM, {"start_percent": -0.1}, r"start_percent is -0\.1 and .* allowed is 0 to 1"),
    (LCM, {"end_percent": 1.1}, r"end_percent 1\.1; allowed is 0 to 1"),
    (LCM, {"start_percent": math.nan}, "start_percent is nan"),
    (LCM, {"end_percent": math.nan}, "end_percent nan"),
    (FLUX, {}, r"guidance is 3\.5, but the network of model has no input for it"),
]


@pytest.mark.parametrize(("recipe", "inputs", "complaint"), REFUSED)
def test_what_is_out_of_range_is_refused(host, recipe, inputs, complaint):
    with pytest.raises(ValueError, match=complaint):
        guider(host, host.tiny_model(), recipe=recipe, **inputs)


LACKS_NEGATIVE = [
    (LCM, {"cfg": 2.0, **FIRST}, "cfg is 2, .* an empty one will do, or set cfg to 0"),
    (None, {"cfg": 7.5}, r"cfg is 7\.5, .* or set cfg to 0"),
    (LCM, {"guidance": 2.0}, "cfg is 2, which compares positive with it.* or set guidance to 1"),
    (PCM, {}, r"cfg is 7\.5, .* or set guidance to 1"),
]


@pytest.mark.parametrize(("recipe", "inputs", "complaint"), LACKS_NEGATIVE)
def test_cfg_without_a_negative_prompt_is_refused(host, recipe, inputs, complaint):
    with pytest.raises(ValueError, match=f"negative is not connected, and {complaint}"):
        guider(host, host.tiny_model(), recipe=recipe, negative=None, **inputs)

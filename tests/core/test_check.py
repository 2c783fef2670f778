"""Guidance and prompts are told to fit, not to fit or not to be known, and all that as text."""

import pytest
from verdicts import of, says

from fewstep.recipes.check import as_text, check, fits, headline
from fewstep.recipes.pieces import Applied, Pieces, Verdict
from fewstep.recipes.read import read_all

RECIPES = read_all()[0]
LIGHTNING = RECIPES["sdxl-lightning-4step-lora"]
LCM = RECIPES["lcm-lora-sd15"]
LCM_UNET = RECIPES["lcm-dreamshaper-v7"]
PCM_CFG = RECIPES["pcm-sd15-normalcfg-8step"]
FLUX = RECIPES["hyper-flux-dev-8step"]
SCHNELL = RECIPES["flux1-schnell"]

# the levels of timesteps 999, 749, 499, 249 in SD 1.5 and SDXL
TRAILING = (14.6146, 4.0817, 1.6129, 0.6932, 0.0)


def test_a_model_without_recipe_is_told_so_and_judged_on_little():
    (found,) = check(Pieces(cfg=7.0, sampler="comfyui:euler", sigmas=TRAILING), None)
    assert found == Verdict(
        "recipe",
        "cannot know",
        "none is known for this model",
        "",
        "",
        "choose the recipe by hand if the model is distilled",
    )
    assert of("recipe", LIGHTNING) is None


def test_cfg_0_draws_only_the_negative_prompt_on_any_model():
    for recipe, needed, fix in [(LIGHTNING, "1", "cfg 1;"), (PCM_CFG, "7.5 (5 to 8)", "cfg 7.5;")]:
        found = of("cfg", recipe, cfg=0.0)
        assert (found.verdict, found.found, found.needed) == ("does not fit", "0", needed)
        assert "only the negative prompt" in found.symptom and found.fix.startswith(fix)
    found = of("cfg", None, cfg=0.0)
    assert (found.verdict, found.needed) == ("does not fit", "above 0")
    assert found.fix == "cfg 1; guidance 0 on a model card is cfg 1 here"


@pytest.mark.parametrize(
    ("recipe", "cfg", "verdict", "symptom"),
    [
        (LIGHTNING, 1.0, "fits", ""),
        (LIGHTNING, 1.5, "does not fit", "burnt"),
        (LIGHTNING, 0.5, "does not fit", "flat"),
        (LCM, 2.0, "fits", ""),
        (LCM, 2.1, "does not fit", "burnt"),
        (PCM_CFG, 1.0, "does not fit", "flat"),
        (PCM_CFG, 5.0, "fits", ""),
        (FLUX, 1.0, "fits", ""),
        (FLUX, 3.5, "does not fit", "doubled guidance"),
        (FLUX, None, "cannot know", ""),
        (LIGHTNING, None, "cannot know", ""),
    ],
)
def test_cfg_is_held_against_the_range_and_against_1_where_guidance_is_embedded(
    recipe, cfg, verdict, symptom
):
    found = of("cfg", recipe, cfg=cfg)
    assert found.verdict == verdict and found.symptom.startswith(symptom)
    assert bool(found.symptom) == (verdict == "does not fit")


def test_cfg_in_range_says_what_was_found_and_needed():
    assert of("cfg", LCM, cfg=1.5)[1:4] == ("fits", "1.5", "1 (1 to 2)")


@pytest.mark.parametrize(
    ("recipe", "guidance", "takes", "verdict"),
    [
        (FLUX, 3.5, True, "fits"),
        (FLUX, 3.5, None, "fits"),
        (FLUX, 4.5, True, "does not fit"),
        (FLUX, 1.0, True, "does not fit"),
        (FLUX, None, True, "cannot know"),
        (LCM_UNET, 8.0, False, "does not fit"),
        (LCM_UNET, None, False, "does not fit"),
        (SCHNELL, 3.5, False, "does not fit"),
        (SCHNELL, None, False, None),
        (SCHNELL, 3.5, None, None),
    ],
)
def test_embedded_guidance_needs_a_network_that_takes_it(recipe, guidance, takes, verdict):
    found = says("embedded guidance", recipe, guidance=guidance, takes_guidance=takes)
    assert found == verdict


def test_embedded_guidance_tells_too_little_too_much_and_no_input_apart():
    symptoms = [
        of("embedded guidance", FLUX, guidance=guidance, takes_guidance=takes).symptom
        for guidance, takes in [(1.0, True), (9.0, True), (3.5, False)]
    ]
    assert [symptom.split()[0] for symptom in symptoms] == ["flat,", "burnt,", "flat"]
    unheard = of("embedded guidance", SCHNELL, guidance=3.5, takes_guidance=False)
    assert unheard.found == "3.5" and unheard.symptom.startswith("no effect")


@pytest.mark.parametrize(
    ("recipe", "has_negative", "cfg", "verdict"),
    [
        (LIGHTNING, True, 1.0, "does not fit"),
        (LIGHTNING, True, None, "does not fit"),
        (LIGHTNING, False, 1.0, None),
        (LIGHTNING, None, 1.0, "cannot know"),
        (LCM, True, 1.5, "fits"),
        (PCM_CFG, True, 7.5, "fits"),
        (PCM_CFG, True, None, "fits"),
        (PCM_CFG, True, 1.0, "does not fit"),
        (PCM_CFG, None, 7.5, None),
        (None, True, 1.0, "does not fit"),
        (None, True, None, None),
        (None, None, 1.0, None),
    ],
)
def test_a_negative_prompt_does_nothing_at_cfg_1(recipe, has_negative, cfg, verdict):
    assert says("negative prompt", recipe, has_negative=has_negative, cfg=cfg) == verdict


def test_the_way_to_a_negative_prompt_is_cfg_only_where_the_model_allows_it():
    fixes = [
        of("negative prompt", recipe, has_negative=True, cfg=1.0).fix
        for recipe in (LIGHTNING, LCM, FLUX)
    ]
    assert fixes == [
        "say it in the prompt, or connect it to Negative (FewStep)",
        "cfg above 1, up to 2, or Negative (FewStep)",
        "say it in the prompt, or connect it to Negative (FewStep)",
    ]


@pytest.mark.parametrize(
    ("recipe", "inside", "negative", "found"),
    [
        (LIGHTNING, 1.5, True, "one inside the interval"),
        (None, 1.5, True, "one inside the interval"),
        (LIGHTNING, 1.0, True, "one at cfg 1"),
        (LIGHTNING, None, True, "one at cfg 1"),
    ],
)
def test_a_negative_prompt_acts_where_cfg_is_not_1(recipe, inside, negative, found):
    pieces = {"cfg": 1.0, "cfg_inside": inside, "has_negative": negative}
    assert of("negative prompt", recipe, **pieces).found == found


def test_no_negative_prompt_is_nothing_to_say_where_cfg_acts_in_an_interval():
    for has_negative in (False, None):
        pieces = {"cfg": 1.0, "cfg_inside": 2.0, "has_negative": has_negative}
        assert says("negative prompt", LCM, **pieces) is None


def test_cfg_in_an_interval_is_held_against_the_same_range():
    def found(recipe, cfg, inside):
        verdicts = check(Pieces(cfg=cfg, cfg_inside=inside), recipe)
        return [(v.verdict, v.found, v.fix) for v in verdicts if v.subject == "cfg"]

    good = ("fits", "1", "")
    assert found(LCM, 1.0, 2.0) == [good, ("fits", "2 inside the interval", "")]
    assert found(LCM, 1.0, 7.5)[1] == (
        *("does not fit", "7.5 inside the interval"),
        "cfg 1 (1 to 2)",
    )
    assert found(FLUX, 1.0, 2.0)[1] == ("does not fit", "2 inside the interval", "cfg 1")
    assert found(LCM, 1.0, None) == [good]
    assert found(None, 1.0, 7.5) == []


def test_only_what_does_not_fit_makes_a_graph_unfit():
    assert fits(check(Pieces(), LIGHTNING)) and fits([])
    assert not fits(check(Pieces(cfg=7.0), LIGHTNING))


def test_the_text_begins_with_what_does_not_fit_and_ends_with_what_does():
    pieces = Pieces(sampler="euler", cfg=7.0, has_negative=False, boundary=False, prediction="eps")
    told = as_text(check(pieces, LIGHTNING))
    paragraph = (
        "does not fit: cfg: 7; needed: 1\n"
        "    what you see: burnt, over-saturated pictures\n"
        "    what to do: cfg 1\n"
    )
    assert told.startswith(paragraph + "cannot know: ")
    assert told.endswith(
        "fits: sampler: euler; needed: euler\n"
        "fits: prediction: eps; needed: eps\n"
        "fits: LCM patch: off; needed: off\n"
    )
    assert as_text(check(Pieces(), None)) == (
        "cannot know: recipe: none is known for this model\n"
        "    what to do: choose the recipe by hand if the model is distilled\n"
    )
    assert as_text([]) == ""


def test_every_verdict_that_does_not_fit_has_a_symptom_and_a_fix():
    file = Applied("a.safetensors", "lora", LCM, -1.0, "partial")
    pieces = Pieces(
        cfg=9.0,
        sampler="comfyui:heun",
        sigmas=(*TRAILING[:3], 0.5, 0.4, 0.3, 0.2, 0.1, 0.05, 0.02),
        needed=(*TRAILING[:3], 0.4, 0.3, 0.2, 0.1, 0.05, 0.02, 0.0),
        prediction="x0",
        applied=(file, file),
        guidance=3.0,
        takes_guidance=False,
    )
    wrong = [found for found in check(pieces, LCM) if found.verdict == "does not fit"]
    assert [found.subject for found in wrong] == [
        "cfg",
        "distillations",
        "coverage",
        "coverage",
        "embedded guidance",
        "steps",
        "schedule",
        "sampler",
        "prediction",
        "strength",
        "strength",
    ]
    assert all(found.found and found.needed and found.symptom and found.fix for found in wrong)


def test_the_headline_names_what_does_not_fit_and_nothing_else():
    burnt = check(Pieces(cfg=7.0, sampler="euler"), LCM)
    assert headline(burnt) == (
        "does not fit: cfg: 7; cfg 1 (1 to 2)\ndoes not fit: sampler: euler; FewStep's lcm"
    )
    assert headline(check(Pieces(cfg=1.0), LCM)) == "nothing is known not to fit"


def test_a_recipe_for_another_architecture_does_not_fit():
    found = of("architecture", LCM, base="sdxl")
    assert (found.verdict, found.found, found.needed) == ("does not fit", "sdxl", "sd15")
    assert found.fix == "load a sd15 model, or the file made for sdxl"
    assert says("architecture", LCM, base="sd15") == "fits"
    assert says("architecture", LCM) is None

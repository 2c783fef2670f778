"""Say of each piece of a graph whether it fits a distilled model, in words for people.

A rule takes the pieces and the recipe. It yields verdicts without their subject, and none where
the recipe leaves the subject open.
"""

import math
from collections.abc import Iterable

from . import check_files, check_levels
from .pieces import (
    CANNOT_KNOW,
    DOES_NOT_FIT,
    FITS,
    Pieces,
    Verdict,
    fit,
    unknown,
    within,
    wrong,
)
from .recipe import Recipe
from .words import span

OURS = ("euler", "lcm", "tcd")
# samplers of one network pass a step whose last one ends at the network's estimate
ONE_PASS = (*OURS, "euler_ancestral")
# model cards move eta by about this much between step counts
ETA_SLACK = 0.2
TOP_TIMESTEP = 999
# relative; below it is not seen
NOISE_SLACK = 0.01
INSIDE = " inside the interval"
# the node for negative prompts at cfg 1
NEGATIVE = "Negative (FewStep)"


def check(
    pieces: Pieces, recipe: Recipe | None, recipes: Iterable[Recipe] | None = None
) -> list[Verdict]:
    """Hold a graph's pieces against what its model needs.

    Args:
        recipe: of the model; without one only what is wrong with every model is found.
        recipes: to tell by its name what a LoRA was trained on; the shipped ones where None.
    """
    rules = OF_ANY_MODEL | (OF_A_RECIPE if recipe else {})
    found = [(name, answer) for name, rule in rules.items() for answer in rule(pieces, recipe)]
    training = check_files.training(pieces, recipe, recipes)
    found += [("LoRA training", answer) for answer in training]
    return [Verdict(subject, *answer) for subject, answer in found]


def fits(verdicts: Iterable[Verdict]) -> bool:
    """Whether nothing was found that does not fit."""
    return all(verdict.verdict != DOES_NOT_FIT for verdict in verdicts)


def headline(verdicts: Iterable[Verdict]) -> str:
    """What does not fit, a line for each; one line that says so where nothing is."""
    wrongs = [verdict for verdict in verdicts if verdict.verdict == DOES_NOT_FIT]
    lines = [f"does not fit: {v.subject}: {v.found}; {v.fix or v.needed}" for v in wrongs]
    return "\n".join(lines) or "nothing is known not to fit"


def as_text(verdicts: Iterable[Verdict]) -> str:
    """A line or a paragraph for each verdict, what does not fit first."""
    return "".join(f"{line}\n" for verdict in ranked(verdicts) for line in _lines(verdict))


def ranked(verdicts: Iterable[Verdict]) -> list[Verdict]:
    """What does not fit first, then what cannot be known."""
    order = (DOES_NOT_FIT, CANNOT_KNOW, FITS)
    return sorted(verdicts, key=lambda verdict: order.index(verdict.verdict))


def _lines(verdict):
    needed = f"; needed: {verdict.needed}" if verdict.needed else ""
    yield f"{verdict.verdict}: {verdict.subject}: {verdict.found}{needed}"
    if verdict.symptom:
        yield f"    what you see: {verdict.symptom}"
    if verdict.fix:
        yield f"    what to do: {verdict.fix}"


def _recipe(pieces, recipe):
    if recipe is None:
        fix = "choose the recipe by hand if the model is distilled"
        yield unknown("", "none is known for this model", fix)


def _architecture(pieces, recipe):
    # a network whose weights are of no known architecture may still be the right one
    if pieces.base == recipe.base:
        yield fit(pieces.base, recipe.base)
    elif pieces.base is not None:
        symptom = "noise, burnt colours or a broken picture"
        fix = f"load a {recipe.base} model, or the file made for {pieces.base}"
        yield wrong(pieces.base, recipe.base, symptom, fix)


def _cfg(pieces, recipe):
    kind, *scale = recipe.guidance if recipe is not None else ("any", 1.0, 0.0, math.inf)
    if kind == "embedded":
        scale = [1.0, 1.0, 1.0]
    default, low, high = scale
    needed = span(default, low, high) if recipe is not None else "above 0"
    if pieces.cfg == 0.0:
        symptom = "the prompt is ignored, only the negative prompt is drawn"
        fix = f"cfg {default:g}; guidance 0 on a model card is cfg 1 here"
        yield wrong("0", needed, symptom, fix)
    elif recipe is not None:
        below = "flat pictures that follow the prompt badly"
        above = "burnt, over-saturated pictures"
        if kind == "embedded":
            above = "doubled guidance: burnt pictures at half the speed"
        words = {"below": below, "above": above, "fix": f"cfg {needed}"}
        yield within(pieces.cfg, low, high, needed, **words)
        if pieces.cfg_inside is not None:
            yield within(pieces.cfg_inside, low, high, needed, **words, where=INSIDE)


def _guidance(pieces, recipe):
    kind, default, low, high = recipe.guidance
    needed, told = span(default, low, high), pieces.guidance
    if kind == "embedded" and pieces.takes_guidance is False:
        symptom = "flat pictures: the network cannot be told its guidance"
        fix = "load the file with FewStep, which keeps that input"
        yield wrong("no input for it in this network", needed, symptom, fix)
    elif kind == "embedded":
        below, above = "flat, washed out pictures", "burnt, over-contrasted pictures"
        fix = f"guidance {needed}"
        yield within(told, low, high, needed, below=below, above=above, fix=fix)
    elif told is not None and pieces.takes_guidance is False:
        symptom = "no effect: the network has no input for it"
        yield wrong(f"{told:g}", "none", symptom, "leave the guidance node away")


def _negative(pieces, recipe):
    is_idle = pieces.cfg == 1.0
    if pieces.cfg is None:
        is_idle = recipe is not None and not recipe.negative_works
    if is_idle and pieces.cfg_inside not in (None, 1.0):
        if pieces.has_negative:
            yield fit(f"one{INSIDE}", "cfg other than 1")
        return
    if pieces.has_negative and is_idle:
        fix = f"say it in the prompt, or connect it to {NEGATIVE}"
        if recipe is not None and recipe.guidance.kind == "cfg" and recipe.guidance.high > 1.0:
            fix = f"cfg above 1, up to {recipe.guidance.high:g}, or {NEGATIVE}"
        # ComfyUI leaves the negative prompt out at cfg 1, and only there
        yield wrong("one at cfg 1", "none", "the negative prompt is ignored", fix)
    elif pieces.has_negative and recipe is not None:
        yield fit("one", "cfg other than 1")
    elif pieces.has_negative is None and is_idle and recipe is not None:
        yield unknown("none")


def _sampler(pieces, recipe):
    wanted = recipe.sampler.name
    if pieces.sampler is None:
        yield unknown(wanted)
        return
    # ComfyUI's euler and lcm are ours; it has no tcd, and what is called so is another
    same = {wanted} if wanted == "tcd" else {wanted, f"comfyui:{wanted}"}
    name = pieces.sampler.removeprefix("comfyui:")
    is_one_step = pieces.steps == 1 and pieces.sigmas[-1] == 0.0
    if pieces.sampler not in same and not (is_one_step and {name, wanted} <= set(ONE_PASS)):
        symptom = "blurred, grainy or unstable pictures: the model learnt other steps"
        whose = "FewStep's" if wanted in OURS else "ComfyUI's"
        yield wrong(pieces.sampler, wanted, symptom, f"{whose} {wanted}")
    else:
        yield fit(pieces.sampler, wanted)


def _eta(pieces, recipe):
    eta, count = recipe.sampler.eta, recipe.steps.trained[0]
    # cards leave it open at other counts, and a single step adds no noise
    if eta is None or count == 1 or pieces.steps != count:
        return
    needed, low, high = f"{eta:g}", max(eta - ETA_SLACK, 0.0), min(eta + ETA_SLACK, 1.0)
    below, above = "smooth pictures with few details", "rough, restless details"
    yield within(pieces.eta, low, high, needed, below=below, above=above, fix=f"eta {needed}")


def _first_noise(pieces, recipe):
    # below the model's top ComfyUI multiplies it by sigma; in training it had unit variance
    is_low = recipe.schedule.timesteps and recipe.schedule.timesteps[0] < TOP_TIMESTEP
    is_ours = pieces.sampler is None or pieces.sampler in OURS
    if not is_low or is_ours or not pieces.sigmas or not pieces.empty_latent:
        return
    lack = 1.0 - pieces.sigmas[0] / math.hypot(1.0, pieces.sigmas[0])
    if lack > NOISE_SLACK:
        fix = f"FewStep's {recipe.sampler.name}, which scales it as in training"
        symptom = "a flat, dark picture"
        yield wrong(f"{lack:.0%} too weak", "unit variance", symptom, fix)


def _prediction(pieces, recipe):
    found, needed = pieces.prediction, recipe.prediction
    if found is None:
        yield unknown(needed)
    elif found == needed:
        yield fit(found, needed)
    elif recipe.kind == "lora" and (found, needed) == ("v", "eps"):
        yield unknown(needed, "read as v, which is right where the base model predicts v")
    else:
        patch = "with ModelSamplingDiscrete " if needed != "flow" else ""
        symptom = "noise, grey or burnt colours in place of a picture"
        yield wrong(f"read as {found}", needed, symptom, f"read the model {patch}as {needed}")


def _lcm_patch(pieces, recipe):
    is_lcm, on = recipe.schedule.spacing == "lcm", pieces.boundary
    if on and not is_lcm:
        symptom = "soft, shifted pictures: the network is asked at 759 and 259, not 749 and 249"
        yield wrong("on", "off", symptom, "leave ModelSamplingDiscrete lcm away")
    elif recipe.prediction == "flow":
        return
    elif on is None and not is_lcm:
        yield unknown("off")
    elif on is not None:
        # exact levels carry LCM's grid, so that the patch may be on or off
        yield fit("on" if on else "off", "on or off" if is_lcm else "off")


OF_ANY_MODEL = {
    "recipe": _recipe,
    "cfg": _cfg,
    "negative prompt": _negative,
    "distillations": check_files.distillations,
    "coverage": check_files.coverage,
    "other changes": check_files.other_changes,
}
OF_A_RECIPE = {
    "architecture": _architecture,
    "embedded guidance": _guidance,
    "steps": check_levels.steps,
    "schedule": check_levels.levels,
    "img2img": check_levels.from_picture,
    "stage": check_levels.stage,
    "shift": check_levels.shift,
    "sampler": _sampler,
    "eta": _eta,
    "first noise": _first_noise,
    "prediction": _prediction,
    "LCM patch": _lcm_patch,
    "strength": check_files.strength,
    "weights": check_files.weights,
}

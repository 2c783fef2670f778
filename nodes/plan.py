"""What a recipe makes of a MODEL: patches, a sampler, noise levels and cfg."""

from collections.abc import Callable
from typing import Any, NamedTuple

from ..diffusion import sigmas as levels
from ..diffusion.timesteps import kept
from ..recipes.recipe import Recipe
from .guided import check_guidance, guided
from .host import lists, patching, runs, sampling
from .samplers import fewstep_euler, fewstep_lcm, fewstep_tcd
from .schedules import sigmas_of


class Plan(NamedTuple):
    """All that a sampling run needs besides the conditions and the latent."""

    model: Any
    sampler: Any
    sigmas: list[float]
    cfg: float


def plan(
    model, recipe: Recipe | None, *, guidance: float = 0.0, denoise: float = 1.0, latent=None
) -> Plan:
    """Make a MODEL ready to be sampled as its recipe says.

    Args:
        guidance: cfg or embedded guidance, as the recipe's model has it; 0 is what the model is
            told already, else the recipe's own.
        denoise: strength of image to image; keeps a tail of the trained levels.
        latent: LATENT, for schedules that depend on the size of the picture.

    Raises:
        ValueError: the recipe does not fit the model, or an input is out of range.
    """
    _check(recipe, guidance, denoise)
    model, cfg = guided(_patched(model, recipe), recipe, guidance)
    falling = levels_of(sampling.sampling_of(model), recipe, denoise, latent)
    return Plan(
        model=model,
        sampler=sampler_of(recipe),
        sigmas=part_of(falling, recipe),
        cfg=cfg,
    )


def planner(model, recipe, cfg, guidance, sampler=None, sigmas=None) -> Callable[[dict], Plan]:
    """latent -> how it is sampled: as a recipe says, or by hand.

    Raises:
        ValueError: there is neither a recipe nor a sampler with sigmas, or there are both.
    """
    by_hand = sampler is not None, sigmas is not None
    if recipe is not None and any(by_hand):
        raise ValueError(
            "recipe is connected, and so is sampler or sigmas. Connect a recipe, or both of the "
            "others."
        )
    if recipe is not None:
        return lambda latent: plan(model, recipe, guidance=guidance, latent=latent)
    if not all(by_hand):
        raise ValueError(
            "neither recipe nor sampler and sigmas are connected. Connect the recipe of a "
            "distilled model; for others KSamplerSelect, BasicScheduler and a cfg."
        )
    return lambda latent: Plan(model, sampler, sigmas.tolist(), cfg)


def _check(recipe, guidance, denoise):
    if recipe is None:
        raise ValueError(
            "recipe is empty: the loader found none for its file. Choose one by hand with Recipe "
            "(FewStep), or load a distilled model."
        )
    check_guidance(guidance, f"the recipe's own, which is {recipe.guidance.default:g}")
    if recipe.stage is not None and denoise != 1.0:
        raise ValueError(
            f"denoise is {denoise:g}; allowed is 1 for {recipe.title}, which is one of two parts "
            "of a run. To change a picture, give what Apply (FewStep) makes of the low noise "
            "recipe to SamplerCustom with add_noise on."
        )


def _patched(model, recipe):
    now = patching.prediction_of(sampling.sampling_of(model))
    wanted = recipe.prediction
    if (wanted == "flow") != (now == "flow"):
        raise ValueError(
            f"recipe {recipe.id} is for a model that predicts {wanted}, and model predicts "
            f"{now or 'something else'}: it is another architecture than {recipe.base}. Connect "
            "the model that the recipe is for."
        )
    # a LoRA leaves eps or v to the model it is put on; only x0 comes with the LoRA
    if now != wanted and (recipe.kind != "lora" or wanted == "x0"):
        model = patching.with_prediction(model, wanted)
    if recipe.shift is not None:
        model = patching.with_shift(model, recipe.shift)
    return model


def sampler_of(recipe: Recipe):
    """The SAMPLER of a recipe: ours, or ComfyUI's of that name."""
    match recipe.sampler.name:
        case "euler":
            return runs.as_sampler(fewstep_euler, start=recipe.start)
        case "lcm":
            return runs.as_sampler(fewstep_lcm)
        case "tcd":
            return runs.as_sampler(fewstep_tcd, eta=recipe.sampler.eta)
    return lists.core_sampler(recipe.sampler.name)


def levels_of(sampling, recipe: Recipe, denoise: float = 1.0, latent=None) -> list[float]:
    """The noise levels of a recipe on a model_sampling object, falling to 0.

    Those of a model in two parts are the levels of both; see `part_of`.

    Raises:
        ValueError: the schedule does not fit the model, or an input is out of range.
    """
    steps, schedule = recipe.steps.default, recipe.schedule
    if schedule.spacing is not None:
        return sigmas_of(sampling, schedule.spacing, steps, denoise)
    if schedule.timesteps is not None:
        text = ", ".join(map(str, schedule.timesteps))
        return sigmas_of(sampling, "timesteps", steps, denoise, text)
    whole = list(schedule.sigmas or _scheduled(sampling, schedule.scheduler, steps, latent))
    return whole[len(whole) - 1 - kept(len(whole) - 1, denoise) :]


def part_of(levels: list[float], recipe: Recipe) -> list[float]:
    """The levels of one part of a model in two: half the steps at high noise, half at low."""
    half = (len(levels) - 1) // 2
    return {"high": levels[: half + 1], "low": levels[half:]}.get(recipe.stage, levels)


def _scheduled(sampling, scheduler, steps, latent):
    if scheduler != "flux2":
        return lists.core_sigmas(sampling, scheduler, steps)
    if latent is None:
        raise ValueError(
            "latent_image is not connected, and the schedule of FLUX.2 depends on the size of the "
            "picture. Connect the same latent that goes into the sampler."
        )
    height, width = latent["samples"].shape[-2:]
    return levels.flow_trailing(steps, levels.flux2_shift(steps, height * width))

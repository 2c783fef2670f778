"""How diffusers samples as a recipe says: its scheduler, and with what its pipeline is called.

Noise levels are those of the pack's own samplers at the same recipe; where diffusers cannot have
them, the recipe is refused. Euler starts as EulerDiscreteScheduler does, at the level itself, which
at the first timestep is 0.234 % less than ComfyUI's start (samplers/start.py).
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import diffusers

from ..diffusion.timesteps import lcm_grid, trailing, turbo
from ..recipes.recipe import Recipe

FLOW = "flow"
# of a scheduler's config: the model's noise levels and its prediction, which are no one's choice
MODELS_OWN = (
    "num_train_timesteps",
    "beta_start",
    "beta_end",
    "beta_schedule",
    "trained_betas",
    "prediction_type",
    "rescale_betas_zero_snr",
)
PREDICTIONS = {"eps": "epsilon", "v": "v_prediction", "x0": "sample"}
TRAILING = {"timestep_spacing": "trailing"}
SAMPLERS = {
    "euler": ("EulerDiscreteScheduler", TRAILING),
    "euler_ancestral": ("EulerAncestralDiscreteScheduler", TRAILING),
    "lcm": ("LCMScheduler", {}),
    "tcd": ("TCDScheduler", {}),
}
GRIDS = {"trailing": trailing, "lcm": lcm_grid, "turbo": turbo}
FLOW_SCHEDULER = "FlowMatchEulerDiscreteScheduler"
# pipelines that make the levels of recipes' scheduler "flux2" by themselves
FLUX2 = ("Flux2Pipeline", "Flux2KleinPipeline")


class Sampling(NamedTuple):
    """How a model is sampled by diffusers.

    Attributes:
        scheduler: of diffusers.
        call: arguments of the pipeline that say which levels there are.
        passes: of the network, without guidance.
    """

    scheduler: Any
    call: dict[str, Any]
    passes: int


def is_flow(config: Mapping) -> bool:
    """Whether a scheduler's config is that of a flow model."""
    return str(config.get("_class_name", "")).startswith("FlowMatch")


def sampling_of(recipe: Recipe, config: Mapping, pipeline: str) -> Sampling:
    """How diffusers samples a recipe at its default steps.

    Args:
        config: of the scheduler in the model's folder.
        pipeline: class of the model's pipeline.

    Raises:
        ValueError: the recipe is of another kind of model, or diffusers cannot do what it says.
    """
    if (recipe.prediction == FLOW) != is_flow(config):
        raise ValueError(
            f"recipe {recipe.id} is for a model that predicts {recipe.prediction}, and the "
            f"scheduler of the folder is {config.get('_class_name')}: it is another architecture "
            f"than {recipe.base}. Give the model that the recipe is for."
        )
    if recipe.stage is not None:
        raise _refused(recipe, f"is for the {recipe.stage} noise part of a model in two parts")
    if recipe.prediction == FLOW:
        return _of_flow(recipe, config, pipeline)
    return _of_timesteps(recipe, config)


def _of_timesteps(recipe, config):
    sampler, schedule = recipe.sampler.name, recipe.schedule
    if sampler not in SAMPLERS:
        raise _refused(recipe, f"has the sampler {sampler}, which is none of {_listed(SAMPLERS)}")
    grid = list(schedule.timesteps or ())
    if schedule.spacing is not None:
        grid = GRIDS[schedule.spacing](recipe.steps.default)
    if not grid:
        raise _refused(
            recipe, f"has the noise levels {schedule.scheduler}, which have no timesteps"
        )
    name, options = SAMPLERS[sampler]
    own = {key: config[key] for key in MODELS_OWN if key in config}
    # a LoRA leaves eps or v to the model it is put on; only x0 comes with the LoRA
    if recipe.kind != "lora" or recipe.prediction == "x0":
        own["prediction_type"] = PREDICTIONS[recipe.prediction]
    scheduler = getattr(diffusers, name)(**own, **options)
    eta = {} if recipe.sampler.eta is None else {"eta": recipe.sampler.eta}
    return Sampling(scheduler, _call_for(scheduler, grid, recipe) | eta, len(grid))


def _call_for(scheduler, grid, recipe):
    """The arguments that make a scheduler use this grid."""
    for given in ({"num_inference_steps": len(grid)}, {"timesteps": grid}):
        try:
            scheduler.set_timesteps(**given)
        # one has no argument for a list, or has no such grid
        except (TypeError, ValueError):
            continue
        if scheduler.timesteps.tolist() == grid:
            return given
    raise _refused(
        recipe, f"needs the timesteps {grid}, which {type(scheduler).__name__} does not have"
    )


def _of_flow(recipe, config, pipeline):
    if recipe.sampler.name != "euler":
        raise _refused(recipe, f"has the sampler {recipe.sampler.name}, and flow models have euler")
    steps, schedule = recipe.steps.default, recipe.schedule
    kind = getattr(diffusers, FLOW_SCHEDULER)
    trained = {"num_train_timesteps": config.get("num_train_timesteps", 1000)}
    if schedule.spacing == "trailing":
        # exact fractions; the scheduler shifts them
        levels = [i / steps for i in range(steps, 0, -1)]
        scheduler = (
            kind.from_config(dict(config))
            if recipe.shift is None
            else kind(**trained, shift=recipe.shift)
        )
        return Sampling(scheduler, {"num_inference_steps": steps, "sigmas": levels}, steps)
    if schedule.sigmas is not None:
        levels = list(schedule.sigmas[:-1])
        call = {"num_inference_steps": len(levels), "sigmas": levels}
        return Sampling(kind(**trained), call, len(levels))
    if schedule.scheduler == "flux2" and pipeline in FLUX2:
        return Sampling(kind.from_config(dict(config)), {"num_inference_steps": steps}, steps)
    told = schedule.scheduler or schedule.spacing or "a list of timesteps"
    raise _refused(recipe, f"has the noise levels {told}, which {pipeline} does not have")


def _refused(recipe, reason):
    return ValueError(
        f"recipe {recipe.id} {reason}, so that diffusers cannot sample it exactly. Evaluate it in "
        "ComfyUI with Golden Pictures (FewStep), or leave recipe out and set scheduler, steps and "
        "cfg."
    )


def _listed(names):
    return ", ".join(names)

"""How one [[model]] of an evaluation is sampled: by its recipe, or by what the user has set."""

import inspect
from difflib import get_close_matches
from typing import NamedTuple

import diffusers

from ..recipes.identify import identify
from ..recipes.read import read_all
from ..recipes.recipe import Recipe
from .config import AUTO
from .evaluation_config import Model
from .recipe_schedulers import Sampling, is_flow, sampling_of

# of flow models whose levels depend on the size of the picture
DYNAMIC = "use_dynamic_shifting"
# confidences with which a file's recipe is taken without the user's word
SURE = ("certain", "likely")


class Chosen(NamedTuple):
    """A model with nothing left open.

    Attributes:
        recipe: None where there is none.
        cfg, guidance: None where nothing says so.
    """

    sampling: Sampling
    recipe: Recipe | None
    cfg: float | None
    guidance: float | None
    lora_strength: float


def chosen(model: Model, config: dict, pipeline: str) -> Chosen:
    """Settle what a model leaves open.

    Args:
        config: of the scheduler in the model's folder.
        pipeline: class of its pipeline.

    Raises:
        ValueError: there is no such recipe or scheduler, or the recipe does not allow a value.
    """
    if model.recipe is None:
        sampling = by_hand(model.scheduler, config, model.steps)
        strength = 1.0 if model.lora_strength is None else model.lora_strength
        return Chosen(sampling, None, model.cfg, model.guidance, strength)
    recipe = recipe_of(model).with_steps(model.steps or 0)
    cfg, guidance = _guidance(model, recipe)
    strength = recipe.strength if recipe.kind == "lora" else 1.0
    if model.lora_strength is not None:
        strength = model.lora_strength
    return Chosen(sampling_of(recipe, config, pipeline), recipe, cfg, guidance, strength)


def recipe_of(model: Model) -> Recipe:
    """The recipe of this id, or that of the model's file.

    Raises:
        ValueError: there is none, or it is for a LoRA that the model has not.
    """
    known = read_all()[0]
    if model.recipe == AUTO:
        recipe = _identified(model)
    elif model.recipe in known:
        recipe = known[model.recipe]
    else:
        near = get_close_matches(model.recipe, known, n=3, cutoff=0.5)
        raise ValueError(
            f"recipe is {model.recipe!r}; allowed is {AUTO!r} or the id of a recipe, "
            f"{'such as ' + ', '.join(near) if near else 'in recipes/data'}."
        )
    if recipe.kind == "lora" and model.lora is None:
        raise ValueError(f"recipe {recipe.id} is for a LoRA, and there is none. Set lora.")
    return recipe


def _identified(model):
    file = model.lora or model.path
    if file.is_dir():
        raise ValueError(
            f"recipe is {AUTO!r}, and there is neither a lora nor a file to identify. Write the id "
            "of the recipe, or leave it out and set steps and cfg."
        )
    found = identify(file)
    if found.recipe is None or found.confidence not in SURE:
        could = "" if found.recipe is None else f" It may be {found.recipe.id}."
        raise ValueError(
            f"recipe is {AUTO!r}, and {file.name} tells none for sure. {' '.join(found.reasons)}"
            f"{could} Write the id of the recipe, or leave it out and set steps and cfg."
        )
    return found.recipe


def _guidance(model, recipe):
    kind, default, low, high = recipe.guidance
    name = "cfg" if kind == "cfg" else "guidance"
    value = getattr(model, name)
    if value is not None and not low <= value <= high:
        allowed = f"{low:g}" if low == high else f"{low:g} to {high:g}"
        raise ValueError(f"{name} is {value:g}; {recipe.title} allows {allowed}.")
    value = default if value is None else value
    return (value, model.guidance) if kind == "cfg" else (model.cfg, value)


def by_hand(wanted: dict | None, config: dict, steps: int) -> Sampling:
    """A scheduler by its class and options; the folder's own where there is none.

    Raises:
        ValueError: diffusers has no such scheduler, or it refuses its options or these steps.
    """
    options = dict(wanted or {"class": config.get("_class_name")})
    name = options.pop("class")
    kind = getattr(diffusers, str(name), None)
    if not (inspect.isclass(kind) and issubclass(kind, diffusers.SchedulerMixin)):
        raise ValueError(
            f"scheduler class is {name!r}; allowed is the name of a scheduler of diffusers, such "
            "as EulerDiscreteScheduler."
        )
    eta = _eta(kind, options)
    known = [key for key in inspect.signature(kind.__init__).parameters if key != "self"]
    if unknown := [key for key in options if key not in known]:
        raise ValueError(
            f"scheduler has {unknown[0]} as an option; {name} allows class and {', '.join(known)}."
        )
    try:
        scheduler = kind.from_config(dict(config), **options)
        needs_shift = {"mu": 1.0} if is_flow(config) and scheduler.config.get(DYNAMIC) else {}
        scheduler.set_timesteps(steps, **needs_shift)
    # each scheduler refuses in its own way
    except Exception as error:
        raise ValueError(f"scheduler {name} cannot be used so: {error}") from error
    return Sampling(scheduler, {"num_inference_steps": steps} | eta, len(scheduler.timesteps))


def _eta(kind, options):
    """eta is told to each step, not to the scheduler."""
    if "eta" not in options or "eta" not in inspect.signature(kind.step).parameters:
        return {}
    return {"eta": options.pop("eta")}

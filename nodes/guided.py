"""The guidance of a run: a number that the network is told, or cfg."""

import math
from typing import Any, NamedTuple

from ..recipes.recipe import Recipe
from .host import told_guidance
from .host.guider import Inside

NO_GUIDANCE = "Model cards that say 0 mean no guidance, which is 1 in ComfyUI."


class Guided(NamedTuple):
    """How a run is guided."""

    model: Any
    # where inside does not hold
    cfg: float
    inside: Inside | None


def guide(
    model, recipe: Recipe | None, guidance: float, wanted: Inside, *, has_negative: bool
) -> Guided:
    """Settle what the network is told, and the cfg of every noise level.

    Args:
        guidance: as in `guided`.
        wanted: cfg in a part of the noise levels; its cfg 0 is none but guidance.

    Raises:
        ValueError: an input is out of range, or there is no negative prompt where a cfg needs it.
    """
    own = "what the model is told, else none"
    if recipe is not None:
        own = f"the recipe's own, which is {recipe.guidance.default:g}"
    check_guidance(guidance, own)
    _check_inside(wanted)
    cfg, *span = wanted
    check_negative(cfg or 1.0, has_negative, "cfg to 0")
    model, outside = guided(model, recipe, guidance)
    if cfg and span == [0.0, 1.0]:
        return Guided(model, cfg, None)
    check_negative(outside, has_negative, "guidance to 1")
    return Guided(model, outside, None if cfg in (0.0, outside) else wanted)


def _check_inside(wanted):
    cfg, start, end = wanted
    if cfg != 0.0 and not 1.0 <= cfg < math.inf:
        raise ValueError(
            f"cfg is {cfg:g}; allowed is 0 for guidance alone, or 1 and above. {NO_GUIDANCE}"
        )
    if not 0.0 <= start <= end <= 1.0:
        raise ValueError(
            f"start_percent is {start:g} and end_percent {end:g}; allowed is 0 to 1, and start not "
            "above end. 0 to 0.2 is the first of 4 steps."
        )


def guided(model, recipe: Recipe | None, guidance: float):
    """A MODEL that is told its guidance where it takes it so, and the cfg that goes with it.

    Args:
        recipe: of the model; without one it is told a guidance where its network has an input.
        guidance: 0 is what the model is told already, else the recipe's own, else none.

    Raises:
        ValueError: the network has no input for the guidance that the recipe has it told.
    """
    if recipe is None:
        kind, own = "embedded" if told_guidance.takes_guidance(model) else "cfg", 0.0
    else:
        kind, own = recipe.guidance.kind, recipe.guidance.default
    if kind == "cfg":
        return model, guidance or own or 1.0
    wanted = guidance or told_guidance.told_guidance(model) or own
    return told_guidance.with_told_guidance(model, wanted) if wanted else model, 1.0


def check_guidance(guidance: float, own: str) -> None:
    """Refuse a guidance between 0 and 1, and what is no number.

    Args:
        own: what 0 stands for, in words.

    Raises:
        ValueError: it is neither 0 nor 1 and above.
    """
    if guidance != 0.0 and not 1.0 <= guidance < math.inf:
        raise ValueError(
            f"guidance is {guidance:g}; allowed is 0 for {own}, or 1 and above. {NO_GUIDANCE}"
        )


def check_negative(cfg: float, has_negative: bool, instead: str) -> None:
    """Refuse a cfg other than 1 that has nothing to compare the prompt with.

    Args:
        instead: what else one may set.

    Raises:
        ValueError: there is no negative prompt, and cfg compares with it.
    """
    if not has_negative and cfg != 1.0:
        raise ValueError(
            f"negative is not connected, and cfg is {cfg:g}, which compares positive with it. "
            f"Connect a negative prompt, an empty one will do, or set {instead}."
        )

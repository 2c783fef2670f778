"""The guidance a network is told as a number instead of being run twice."""

import torch
from comfy.patcher_extension import WrappersMP

from .w_embedding import GUIDANCE, has_w_embedding
from .wrapping import with_wrapper

KEY = "fewstep.told_guidance"


def takes_guidance(model) -> bool:
    """Whether a MODEL's network has an input for guidance: an LCM UNet's, or FLUX's and others'."""
    return has_w_embedding(model) or _has_input(model)


def with_told_guidance(model, guidance: float):
    """A copy of a MODEL whose network is told this guidance, whatever the prompt carries.

    Args:
        guidance: cfg_scale as people write it; 1 = none for LCM UNets.

    Raises:
        ValueError: the network has no input for it.
    """
    if not takes_guidance(model):
        raise ValueError(
            f"guidance is {guidance:g}, but the network of model has no input for it: it is no LCM "
            "UNet loaded by FewStep, and none like FLUX-dev. Set cfg in the sampler instead, or "
            "load the model with Model Loader (FewStep)."
        )
    if _has_input(model):
        model = with_wrapper(model, WrappersMP.APPLY_MODEL, KEY, _tell)
    else:
        model = model.clone()
    model.model_options["transformer_options"][GUIDANCE] = guidance
    return model


def told_guidance(model) -> float | None:
    """The guidance set by FewStep that a MODEL's network is told; None where none is."""
    return model.model_options["transformer_options"].get(GUIDANCE)


def _has_input(model):
    # an Identity where the network was made without one
    module = getattr(model.model.diffusion_model, "guidance_in", None)
    return module is not None and next(module.parameters(), None) is not None


def _tell(executor, x, sigma, concat, context, control, transformer_options, **conditions):
    conditions["guidance"] = torch.full((x.shape[0],), transformer_options[GUIDANCE])
    return executor(x, sigma, concat, context, control, transformer_options, **conditions)

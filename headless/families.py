"""How each class of diffusers' networks is called; what differs between families is here alone.

Conditions go by name: "states" [B, tokens, width], "pooled" [B, width], and for SDXL "time_ids"
[B, 6], as diffusers' own pipelines make them.
"""

from collections.abc import Callable
from typing import NamedTuple

from diffusers import FluxTransformer2DModel, SD3Transformer2DModel, UNet2DConditionModel

from ..diffusion.prediction import EPS, FLOW_VELOCITY, Prediction, V, vp_from_ve
from ..diffusion.process import FLOW, VE, Process
from ..distill.consistency_function import nearest_timestep
from ..guidance.embedded import guidance_embedding
from .flow_pipeline import velocity_of

# as diffusers' schedulers call them
PREDICTIONS = {"epsilon": EPS, "v_prediction": V}
# timesteps of a level of 1 in flow models
FLOW_STEPS = 1000


class Family(NamedTuple):
    """A class of networks.

    Attributes:
        conditions: (model) -> the names of what its passes are given.
        predict: (model, x, sigma [B, 1, ...], table, guidance, **conditions) -> its output; x in
            the process's scaling, guidance [B] or None.
        component: what LoRA files call the network.
        dialect: of LoRA files that every loader of such networks reads, one of lora.dialects.
    """

    process: Process
    conditions: Callable
    predict: Callable
    component: str
    dialect: str


def _unet(model, x, sigma, table, guidance, states, pooled=None, time_ids=None):
    added = None if pooled is None else {"text_embeds": pooled, "time_ids": time_ids}
    width = model.config.time_cond_proj_dim
    told = None if guidance is None else guidance_embedding(guidance, width).to(states.dtype)
    timestep = nearest_timestep(sigma.flatten(), table)
    seen = vp_from_ve(x, sigma).to(states.dtype)
    return model(seen, timestep, states, timestep_cond=told, added_cond_kwargs=added).sample


def _flux(model, x, sigma, table, guidance, states, pooled):
    return velocity_of(model, x.to(states.dtype), sigma.flatten(), states, pooled, guidance)


def _sd3(model, x, sigma, table, guidance, states, pooled):
    return model(
        hidden_states=x.to(states.dtype),
        encoder_hidden_states=states,
        pooled_projections=pooled,
        timestep=FLOW_STEPS * sigma.flatten(),
    ).sample


def _unet_conditions(model):
    is_sdxl = model.config.addition_embed_type == "text_time"
    return ("states", "pooled", "time_ids") if is_sdxl else ("states",)


def _transformer_conditions(model):
    return ("states", "pooled")


FAMILIES = {
    UNet2DConditionModel: Family(VE, _unet_conditions, _unet, "unet", "kohya"),
    FluxTransformer2DModel: Family(
        FLOW, _transformer_conditions, _flux, "transformer", "diffusers"
    ),
    SD3Transformer2DModel: Family(FLOW, _transformer_conditions, _sd3, "transformer", "diffusers"),
}


def family_of(model) -> Family:
    """The family of a network.

    Raises:
        ValueError: diffusers has the class, but training does not know it.
    """
    for kind, family in FAMILIES.items():
        if isinstance(model, kind):
            return family
    known = ", ".join(kind.__name__ for kind in FAMILIES)
    raise ValueError(
        f"the model is a {type(model).__name__}; allowed is one of {known}. Train other models in "
        "ComfyUI, with the nodes."
    )


def prediction_of(family: Family, prediction_type: str = "epsilon") -> Prediction:
    """What a network's output means.

    Args:
        prediction_type: of a UNet, as its scheduler's config has it; flow models have one alone.

    Raises:
        ValueError: it is none that a UNet can have here.
    """
    if family.process is FLOW:
        return FLOW_VELOCITY
    if prediction_type not in PREDICTIONS:
        raise ValueError(
            f"prediction_type of the scheduler is {prediction_type!r}; allowed is one of "
            f"{', '.join(PREDICTIONS)}. Give the undistilled model."
        )
    return PREDICTIONS[prediction_type]

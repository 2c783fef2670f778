"""The guidance embedding of LCM UNets, for which the core's UNet has no place.

Such a network's time embedding is MLP(time + cond_proj(embedding of the guidance)). The core drops
cond_proj when it loads the file. Here it becomes a module of the network, under diffusers' name
time_embedding.cond_proj: LoRAs reach it, merging and saving keep it, and it moves with the rest.
Where a LoRA brings it, the network, which other MODELs share, stays as it is, and a copy of the
MODEL has it beside.

Luo et al., "Latent Consistency Models", arXiv:2310.04378, section 4.2.
"""

import torch
from comfy.ldm.modules.diffusionmodules.util import timestep_embedding
from comfy.patcher_extension import WrappersMP, add_wrapper_with_key

from ...guidance.embedded import guidance_embedding

MODULE = "time_embedding"
KEY = "fewstep.w_embedding"
# entries of transformer_options: the guidance to tell, what a pass is told, and a cond_proj that
# is beside the network
GUIDANCE, TOLD, BESIDE = "fewstep_guidance", "fewstep_told", "fewstep_cond_proj"


def has_w_embedding(model) -> bool:
    """Whether a MODEL's network has a guidance embedding of this kind, or one beside it."""
    return (
        hasattr(model.model.diffusion_model, MODULE)
        or BESIDE in model.model_options["transformer_options"]
    )


def add_w_embedding(model, weight: torch.Tensor, guidance: float) -> None:
    """Give a freshly loaded MODEL the cond_proj of its file.

    Args:
        weight: [time channels, width], without bias.
        guidance: to tell the network until another is set; cfg_scale, 1 = none.
    """
    network = model.model.diffusion_model
    like = network.time_embed[0]
    # the layer class next to it casts and offloads as this ComfyUI does
    proj = type(like)(
        *(weight.shape[1], weight.shape[0]),
        bias=False,
        dtype=like.weight.dtype,
        device=like.weight.device,
    )
    proj.load_state_dict({"weight": weight.to(like.weight)})
    holder = torch.nn.Module()
    holder.cond_proj = proj
    network.add_module(MODULE, holder.eval())
    _tell(model, guidance)


def with_w_embedding(model, projection, guidance: float):
    """A copy of a MODEL with a cond_proj beside its network.

    Args:
        projection: [B, width] -> [B, time channels], such as an nn.Linear without bias.
        guidance: as for `add_w_embedding`.

    Raises:
        ValueError: the network is no UNet of this kind, or has a guidance embedding.
    """
    if not hasattr(model.model.diffusion_model, "time_embed"):
        raise ValueError(
            f"the network of model is a {type(model.model.diffusion_model).__name__}, which has no "
            "place for a told guidance; UNets as SD 1.5 and SDXL have one. Take one cfg instead."
        )
    if has_w_embedding(model):
        raise ValueError(
            "the network of model is told its guidance already. Connect a model that is not."
        )
    model = model.clone()
    _tell(model, guidance)
    model.model_options["transformer_options"][BESIDE] = projection
    return model


def time_width(model) -> int:
    """How many numbers a UNet's time is told by."""
    return model.model.diffusion_model.time_embed[0].in_features


def _tell(model, guidance):
    # among the options that go with every call, so that training, which makes no sampling run,
    # has it too
    add_wrapper_with_key(WrappersMP.DIFFUSION_MODEL, KEY, _remember, model.model_options, True)
    model.set_model_patch(_with_guidance, "emb_patch")
    model.model_options["transformer_options"][GUIDANCE] = guidance


def _remember(
    executor,
    x,
    timesteps=None,
    context=None,
    y=None,
    control=None,
    transformer_options=None,
    **others,
):
    options = {**(transformer_options or {}), TOLD: (executor.class_obj, timesteps)}
    return executor(x, timesteps, context, y, control, options, **others)


def _with_guidance(embedded, channels, options):
    """The time embedding anew, with the guidance added before its first layer."""
    network, timesteps = options[TOLD]
    time = timestep_embedding(timesteps, channels, repeat_only=False).to(embedded)
    projection = options.get(BESIDE) or getattr(network, MODULE).cond_proj
    guidance = guidance_embedding(options[GUIDANCE], projection.in_features).to(embedded)
    return network.time_embed(time + projection(guidance))

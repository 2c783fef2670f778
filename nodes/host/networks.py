"""Distilled networks from files, with what the core drops of them."""

import inspect
from pathlib import Path

import comfy.sd
import torch
from safetensors import safe_open

from ...lora.header import Header, read_header
from .w_embedding import add_w_embedding

WEIGHT_TYPES = {
    "default": {},
    "fp8_e4m3fn": {"dtype": torch.float8_e4m3fn},
    "fp8_e4m3fn_fast": {"dtype": torch.float8_e4m3fn, "fp8_optimizations": True},
    "fp8_e5m2": {"dtype": torch.float8_e5m2},
}
# what an LCM UNet without a recipe is told; the published examples use it
GUIDANCE_UNTOLD = 8.0
# diffusers' name of the guidance embedding in a UNet, and that of files with LDM's names
EMBEDDINGS = ("time_embedding.cond_proj.weight", "time_embed.cond_proj.weight")


def load_network(
    path: Path, is_checkpoint: bool, weight_type: str, guidance: float, disable_dynamic=False
):
    """The MODEL of a file, loaded by the core; an LCM UNet keeps its guidance embedding.

    Args:
        path: a safetensors file.
        is_checkpoint: whether text encoders or a VAE are in it as well; they are not loaded.
        weight_type: one of WEIGHT_TYPES, as in ComfyUI's own loader.
        guidance: what an LCM UNet is told until another is set; cfg_scale, 1 = none.
        disable_dynamic: given by the core when it loads the file a second time.

    Raises:
        ValueError: the file is no sound safetensors file, or ComfyUI does not know its network.
    """
    header = read_header(path)
    options = dict(WEIGHT_TYPES[weight_type])
    try:
        model = _load(str(path), is_checkpoint, options, disable_dynamic)
    except RuntimeError as error:
        raise ValueError(
            f"{path.name} holds a network that this ComfyUI cannot load: {error}. Update ComfyUI, "
            "or look whether the file is a LoRA, a VAE or a text encoder."
        ) from error
    weight = _w_embedding(path, header)
    if weight is not None:
        add_w_embedding(model, weight, guidance)
        # ComfyUI from 0.29 on loads a network anew where it may not share it
        model.cached_patcher_init = (load_network, (path, is_checkpoint, weight_type, guidance))
    return model


def _load(path, is_checkpoint, options, disable_dynamic):
    load = comfy.sd.load_checkpoint_guess_config if is_checkpoint else comfy.sd.load_diffusion_model
    known = {"model_options": options}
    if "disable_dynamic" in inspect.signature(load).parameters:
        known["disable_dynamic"] = disable_dynamic
    if not is_checkpoint:
        return load(path, **known)
    return load(path, output_vae=False, output_clip=False, **known)[0]


def _w_embedding(path, header: Header):
    for key in header.tensors:
        if key.endswith(EMBEDDINGS):
            with safe_open(path, framework="pt") as file:
                return file.get_tensor(key)
    return None


def file_of(model) -> Path | None:
    """The file a MODEL was loaded from, where this ComfyUI remembers it (from 0.29 on)."""
    _, *arguments = getattr(model, "cached_patcher_init", None) or (None, ())
    for value in arguments[0]:
        if isinstance(value, str | Path) and Path(value).is_file():
            return Path(value)
    return None


def distilled_class(model) -> str | None:
    """What a MODEL is by its class, where ComfyUI has one for a distilled network alone."""
    name = type(model.model.model_config).__name__
    return {"FluxSchnell": "FLUX.1 schnell"}.get(name)

"""A small model of the core's own FLUX class, made from weights at hand."""

import dataclasses
import math

import comfy.ldm.flux.model
import comfy.model_detection
import comfy.model_management
import comfy.model_patcher
import comfy.supported_models
import torch


def flux_model(shape: dict, weights: dict[str, torch.Tensor], latent_format, shift: float, reload):
    """A MODEL of the FLUX.1 architecture, of any size, in float32.

    Args:
        shape: the transformer's description in the host's words, those of its FluxParams; what an
            older host does not know yet is left out.
        weights: its state dict, diffusers' names.
        latent_format: the host's latent format of its VAE.
        shift: of its noise levels, > 0; 1 leaves them evenly spread.
        reload: () -> the same MODEL anew, for hosts that reload instead of copying.
    """
    known = {field.name for field in dataclasses.fields(comfy.ldm.flux.model.FluxParams)}
    model_config = comfy.supported_models.Flux(
        {"image_model": "flux", **{name: shape[name] for name in shape if name in known}}
    )
    model_config.latent_format = latent_format
    # the host has FLUX's mu for a shift: shift = exp(mu)
    model_config.sampling_settings = {"shift": math.log(shift)}
    model_config.set_inference_dtype(torch.float32, None)
    model = model_config.get_model({}, "")
    model.diffusion_model.load_state_dict(
        comfy.model_detection.convert_diffusers_mmdit({k: v.float() for k, v in weights.items()})
    )
    patcher = comfy.model_patcher.ModelPatcher(
        model,
        load_device=comfy.model_management.get_torch_device(),
        offload_device=comfy.model_management.unet_offload_device(),
    )
    patcher.cached_patcher_init = (lambda disable_dynamic=True: reload(), ())
    return patcher

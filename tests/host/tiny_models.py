"""Models of ComfyUI's own classes, small enough for a sampling run in a blink on a CPU.

Import only after the host fixture has prepared ComfyUI.
"""

import torch
from comfy import model_base, supported_models
from comfy.model_detection import convert_config
from comfy.model_patcher import ModelPatcher

CONTEXT_DIM = 16
LATENT_SHAPE = (1, 4, 16, 16)
UNET = {
    "image_size": 32,
    "in_channels": 4,
    "out_channels": 4,
    "model_channels": 32,
    "num_res_blocks": 1,
    "attention_resolutions": [1, 2],
    "transformer_depth": 1,
    "channel_mult": [1, 2],
    "context_dim": CONTEXT_DIM,
    "num_heads": 2,
    "num_head_channels": -1,
    "use_spatial_transformer": True,
    "use_linear_in_transformer": False,
    "use_temporal_attention": False,
    "adm_in_channels": None,
    "legacy": False,
    "dtype": torch.float32,
}
# with attention at the lower of its two resolutions alone, since most of a pass is Python
SMALLEST = {**UNET, "attention_resolutions": [2]}
MODEL_TYPES = {
    "eps": model_base.ModelType.EPS,
    "v": model_base.ModelType.V_PREDICTION,
    "flow": model_base.ModelType.FLOW,
}


def tiny_model(kind="eps", seed=0, network=SMALLEST, **sampling_settings):
    """A ModelPatcher around a randomly initialised SD 1.5-shaped UNet.

    Args:
        network: UNET for those who look at its blocks.
        kind: "eps" and "v" are variance-exploding with SD's betas, "flow" is rectified flow.
        sampling_settings: what the host reads into model_sampling, such as shift for a flow.
    """

    class Tiny(supported_models.SD15):
        def model_type(self, state_dict, prefix=""):
            return MODEL_TYPES[kind]

    config = Tiny(convert_config(network))
    config.sampling_settings = sampling_settings
    config.set_inference_dtype(torch.float32, None)
    model = config.get_model({}, "", device="cpu")
    initialise(model.diffusion_model, seed)
    device = torch.device("cpu")
    return ModelPatcher(model, load_device=device, offload_device=device)


def with_lora(model):
    """A copy of a UNet's MODEL with one layer changed in the way LoRA loaders do."""
    model, weights = model.clone(), model.model.diffusion_model.state_dict()
    (name,) = [name for name in weights if name.endswith("middle_block.1.proj_in.weight")]
    patch = {f"diffusion_model.{name}": ("diff", (torch.ones_like(weights[name]) * 0.05,))}
    assert model.add_patches(patch) == list(patch)
    return model


def initialise(network, seed):
    """Fill every weight, since the host leaves them as the memory was."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.ndim > 1:
                fan_in = parameter[0].numel()
                parameter.copy_(torch.randn(parameter.shape, generator=generator) / fan_in**0.5)
            else:
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.1)
        for name, parameter in network.named_parameters():
            if name.endswith("weight") and parameter.ndim == 1:
                parameter.add_(1)


def conditioning(seed=1, tokens=7):
    """CONDITIONING as CLIPTextEncode would give it."""
    generator = torch.Generator().manual_seed(seed)
    return [[torch.randn(1, tokens, CONTEXT_DIM, generator=generator), {}]]

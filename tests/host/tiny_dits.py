"""Models of ComfyUI's networks with joint attention, small and random, and prompts for them.

Import only after the host fixture has prepared ComfyUI.
"""

import dataclasses

import torch
from comfy import supported_models
from comfy.ldm.chroma.model import ChromaParams
from comfy.ldm.flux.model import FluxParams
from comfy.ldm.hunyuan_video.model import HunyuanVideoParams
from comfy.model_patcher import ModelPatcher
from host.test_structure import FLUX, FLUX2
from host.test_told_guidance import SMALL
from host.tiny_models import initialise

WIDTH = 16  # of a token
FOUR_AXES = {"axes_dim": [8, 8, 8, 8], "in_channels": 128, "out_channels": 128}
CHROMA = {
    "in_channels": 64,
    "out_channels": 64,
    "in_dim": 64,
    "out_dim": 64,
    "hidden_dim": 32,
    "n_layers": 1,
}
SD3 = {
    "in_channels": 16,
    "patch_size": 2,
    "depth": 2,
    "input_size": None,
    "adm_in_channels": 8,
    "context_embedder_config": {
        "target": "torch.nn.Linear",
        "params": {"in_features": WIDTH, "out_features": 128},
    },
    "pos_embed_max_size": 8,
    "num_patches": 64,
    "qk_norm": "rms",
    # as SD3.5 medium: the picture looks at itself too
    "x_block_self_attn_layers": [0],
}
QWEN = {
    "image_model": "qwen_image",
    "in_channels": 64,
    "num_layers": 2,
    "attention_head_dim": 32,
    "num_attention_heads": 2,
    "joint_attention_dim": WIDTH,
    "axes_dims_rope": (8, 12, 12),
}
WAN = {
    "image_model": "wan2.1",
    "model_type": "t2v",
    "dim": 64,
    "ffn_dim": 96,
    "freq_dim": 32,
    "text_dim": WIDTH,
    "num_heads": 2,
    "num_layers": 2,
}
VACE = {**WAN, "model_type": "vace", "vace_layers": 2, "vace_in_dim": 96}
# half of the channels are a picture that it begins with
CAMERA = {**WAN, "model_type": "camera", "in_dim": 32}
HUNYUAN = {
    **SMALL,
    "image_model": "hunyuan_video",
    "mlp_ratio": 2.0,
    "theta": 256,
    "patch_size": [1, 2, 2],
    "qkv_bias": True,
    "guidance_embed": True,
    "byt5": False,
    "meanflow": False,
    "use_cond_type_embedding": False,
    "vision_in_dim": None,
    "meanflow_sum": False,
}
LTX = {
    "image_model": "ltxv",
    "in_channels": 128,
    "cross_attention_dim": 64,
    "attention_head_dim": 32,
    "num_attention_heads": 2,
    "caption_channels": WIDTH,
    "num_layers": 2,
}
AURA = {
    "dim": 64,
    "n_layers": 3,
    "n_double_layers": 2,
    "n_heads": 2,
    "global_conddim": 64,
    "cond_seq_dim": WIDTH,
    "max_seq": 64,
}
# more blocks, for those who leave some out
DEEP = {
    "FLUX": {"depth": 2, "depth_single_blocks": 3},
    "FLUX.2": {"depth": 2, "depth_single_blocks": 3},
    "Chroma": {"depth": 2, "depth_single_blocks": 3},
    "SD3": {
        "depth": 4,
        "context_embedder_config": {
            "target": "torch.nn.Linear",
            "params": {"in_features": WIDTH, "out_features": 256},
        },
    },
    "Qwen-Image": {"num_layers": 5},
    "Wan": {"num_layers": 5},
    "Wan VACE": {"num_layers": 6},
    "Wan camera": {"num_layers": 5},
    "HunyuanVideo": {"depth": 2, "depth_single_blocks": 3},
    "LTX-Video": {"num_layers": 5},
    "AuraFlow": {"n_layers": 5},
}


def _flux(config, params=FluxParams, **more):
    return _known({**config, **SMALL, **more}, params)


def _known(config, params):
    known = {"image_model", *(field.name for field in dataclasses.fields(params))}
    return {name: value for name, value in config.items() if name in known}


# class in supported_models, configuration, shape of one latent
NETWORKS = {
    "FLUX": ("Flux", lambda: {**_flux(FLUX), "image_model": "flux"}, (16, 4, 6)),
    "FLUX.2": (
        "Flux2",
        lambda: {**_flux(FLUX2, **FOUR_AXES, vec_in_dim=None), "image_model": "flux2"},
        (128, 4, 6),
    ),
    "Chroma": (
        "Chroma",
        lambda: {**_flux(FLUX, ChromaParams, **CHROMA), "image_model": "chroma"},
        (16, 4, 6),
    ),
    "SD3": ("SD3", lambda: SD3, (16, 4, 6)),
    "Qwen-Image": ("QwenImage", lambda: QWEN, (16, 1, 4, 6)),
    "Wan": ("WAN21_T2V", lambda: WAN, (16, 1, 4, 6)),
    "Wan VACE": ("WAN21_Vace", lambda: VACE, (16, 1, 4, 6)),
    "Wan camera": ("WAN21_Camera", lambda: CAMERA, (16, 1, 4, 6)),
    "HunyuanVideo": ("HunyuanVideo", lambda: _known(HUNYUAN, HunyuanVideoParams), (16, 1, 4, 6)),
    "LTX-Video": ("LTXV", lambda: LTX, (128, 1, 4, 6)),
    "AuraFlow": ("AuraFlow", lambda: AURA, (4, 4, 6)),
}


def tiny_dit(name: str, **more):
    """A ModelPatcher of this kind of network; more goes into its configuration."""
    kind, settings, _ = NETWORKS[name]
    config = getattr(supported_models, kind)({**settings(), **more})
    config.set_inference_dtype(torch.float32, None)
    model = config.get_model({}, "", device="cpu")
    initialise(model.diffusion_model, seed=1)
    for buffer in model.diffusion_model.buffers():
        buffer.zero_()
    device = torch.device("cpu")
    return ModelPatcher(model, load_device=device, offload_device=device)


def latent(name: str, batch: int = 1):
    return {"samples": torch.zeros(batch, *NETWORKS[name][2])}


def words(seed: int, tokens: int, pooled: int = 7, *, has_mask: bool = False):
    """CONDITIONING; pooled is the seed of the vector that stands for the whole prompt."""
    made = torch.randn(1, tokens, WIDTH, generator=torch.Generator().manual_seed(seed))
    vector = torch.randn(1, 8, generator=torch.Generator().manual_seed(pooled))
    mask = {"attention_mask": torch.ones(1, tokens)} if has_mask else {}
    return [[made, {"pooled_output": vector, **mask}]]

"""Structure tells the networks of ComfyUI's own classes, and agrees with ComfyUI's detection."""

import importlib

import pytest
import torch
from header_files import header_of

from fewstep.lora.header import TensorInfo
from fewstep.recipes.structure import structure_of

FLUX = {
    "in_channels": 16,
    "out_channels": 16,
    "vec_in_dim": 768,
    "context_in_dim": 4096,
    "hidden_size": 3072,
    "mlp_ratio": 4.0,
    "num_heads": 24,
    "depth": 19,
    "depth_single_blocks": 38,
    "axes_dim": [16, 56, 56],
    "theta": 10000,
    "patch_size": 2,
    "qkv_bias": True,
    "guidance_embed": True,
    "txt_ids_dims": [],
}
FLUX2 = {
    **FLUX,
    "in_channels": 128,
    "out_channels": 128,
    "vec_in_dim": None,
    "context_in_dim": 7680,
    "mlp_ratio": 3.0,
    "depth": 5,
    "depth_single_blocks": 20,
    "axes_dim": [32, 32, 32, 32],
    "patch_size": 1,
    "qkv_bias": False,
    "ops_bias": False,
    "guidance_embed": False,
    "global_modulation": True,
    "mlp_silu_act": True,
    "txt_ids_dims": [3],
}
Z_IMAGE = {
    "in_channels": 16,
    "dim": 3840,
    "n_layers": 30,
    "n_heads": 30,
    "n_kv_heads": 30,
    "ffn_dim_multiplier": 8 / 3,
    "cap_feat_dim": 2560,
    "axes_dims": [32, 48, 48],
    "axes_lens": [1536, 512, 512],
    "qk_norm": True,
    "z_image_modulation": True,
}
WAN = {"dim": 5120, "ffn_dim": 13824, "num_heads": 40, "num_layers": 40}
ANIMA = {
    "max_img_h": 240,
    "max_img_w": 240,
    "max_frames": 128,
    "in_channels": 16,
    "out_channels": 16,
    "patch_spatial": 2,
    "patch_temporal": 1,
    "model_channels": 2048,
    "num_blocks": 28,
    "num_heads": 16,
    "crossattn_emb_channels": 1024,
    "concat_padding_mask": True,
    "pos_emb_cls": "rope3d",
    "use_adaln_lora": True,
    "adaln_lora_dim": 256,
}
# base, the host's word for it, class, its arguments
NETWORKS = [
    ("flux", "flux", "flux.model.Flux", FLUX),
    ("flux", "flux", "flux.model.Flux", {**FLUX, "guidance_embed": False}),
    ("flux2", "flux2", "flux.model.Flux", FLUX2),
    ("qwen-image", "qwen_image", "qwen_image.model.QwenImageTransformer2DModel", {}),
    ("z-image", "lumina2", "lumina.model.NextDiT", Z_IMAGE),
    ("wan", "wan2.1", "wan.model.WanModel", WAN),
    ("anima", "anima", "anima.model.Anima", ANIMA),
    ("boogu-image", "boogu", "boogu.model.BooguTransformer2DModel", {}),
    ("pid", "pid", "pixeldit.pid.PidNet", {}),
]


def on_meta(kind, options):
    """The class of comfy.ldm with weights that have a shape and no memory."""
    ops = importlib.import_module("comfy.ops")
    module, name = f"comfy.ldm.{kind}".rsplit(".", 1)
    network = getattr(importlib.import_module(module), name)
    return network(**options, device="meta", dtype=torch.float16, operations=ops.manual_cast)


@pytest.mark.parametrize("prefix", ["", "model.diffusion_model."])
@pytest.mark.parametrize(("base", "hosts_word", "kind", "options"), NETWORKS)
def test_structure_and_the_hosts_detection_agree(host, base, hosts_word, kind, options, prefix):
    detection = importlib.import_module("comfy.model_detection")
    if not hasattr(importlib.import_module("comfy.supported_models"), "Flux2"):
        pytest.skip("this ComfyUI is older than these classes' arguments")
    weights = on_meta(kind, options).state_dict()
    assert detection.detect_unet_config(weights, "")["image_model"] == hosts_word
    found = structure_of(header_of(weights, prefix))
    assert (found.base, found.kind) == (base, "unet")
    if base == "flux":
        feature = "guidance embedding" if options["guidance_embed"] else "no guidance embedding"
        assert found.features == {feature}


@pytest.mark.parametrize(
    # nobody makes LoRAs for a decoder
    ("base", "hosts_word", "kind", "options"),
    [row for row in NETWORKS if row[0] != "pid"],
)
def test_a_lora_for_all_linear_layers_is_told(host, base, hosts_word, kind, options):
    if not hasattr(importlib.import_module("comfy.supported_models"), "Flux2"):
        pytest.skip("this ComfyUI is older than these classes' arguments")
    weights = on_meta(kind, options).state_dict()
    named = {}
    for key, weight in weights.items():
        if key.endswith(".weight") and weight.ndim == 2:
            module = f"diffusion_model.{key.removesuffix('.weight')}"
            named[f"{module}.lora_A.weight"] = torch.empty(4, weight.shape[1], device="meta")
            named[f"{module}.lora_B.weight"] = torch.empty(weight.shape[0], 4, device="meta")
    found = structure_of(header_of(named))
    assert (found.base, found.kind) == (base, "lora")


@pytest.mark.parametrize(
    ("base", "config"), [("sd15", "SD15"), ("sd21", "SD20"), ("sdxl", "SDXL"), ("ssd-1b", "SSD1B")]
)
def test_sd_networks_under_their_authors_names_are_told(host, base, config):
    models = importlib.import_module("comfy.supported_models")
    weights = sd_network(getattr(models, config).unet_config).state_dict()
    for companion, kind in ((None, "unet"), ("first_stage_model.quant_conv.weight", "checkpoint")):
        header = header_of(weights, "model.diffusion_model.")
        if companion:
            header.tensors[companion] = TensorInfo("F16", (8, 8, 1, 1), 0, 0)
        assert (structure_of(header).base, structure_of(header).kind) == (base, kind)


def sd_network(config):
    """The host's UNet; what a config leaves open is as in SD 1.5."""
    depth = config.get("transformer_depth", [1, 1, 1, 1, 1, 1, 0, 0])
    levels = len(depth) // 2
    options = {
        "image_size": 32,
        "in_channels": 4,
        "out_channels": 4,
        "model_channels": 320,
        "num_res_blocks": [2] * levels,
        "channel_mult": [1, 2, 4, 4][:levels],
        "transformer_depth": list(depth),
        "transformer_depth_output": [
            n for i in range(levels) for n in (depth[2 * i], *depth[2 * i : 2 * i + 2])
        ],
        "transformer_depth_middle": 0 if depth == [0, 0, 2, 2, 4, 4] else max(depth[-1], 1),
        "context_dim": config["context_dim"],
        "num_heads": 8,
        "use_spatial_transformer": True,
        "use_linear_in_transformer": config["use_linear_in_transformer"],
        "adm_in_channels": config["adm_in_channels"],
        "num_classes": "sequential" if config["adm_in_channels"] else None,
        "legacy": False,
    }
    return on_meta("modules.diffusionmodules.openaimodel.UNetModel", options)

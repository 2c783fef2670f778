"""Architecture and kind are read off the real key tables that diffusers and peft make."""

import diffusers
import peft
import pytest
import torch
from diffusers.utils.state_dict_utils import convert_state_dict_to_kohya
from header_files import header_of
from unet_shapes import SD15, SDXL

from fewstep.recipes.structure import structure_of

SD21 = {"cross_attention_dim": 1024, "attention_head_dim": (5, 10, 20, 20)}
SSD_1B = {
    **SDXL,
    "mid_block_type": None,
    "transformer_layers_per_block": (1, 2, 4),
    "reverse_transformer_layers_per_block": ((4, 4, 10), (2, 1, 1), 1),
}
NETWORKS = [
    ("sd15", "UNet2DConditionModel", SD15),
    ("sd21", "UNet2DConditionModel", SD21),
    ("sdxl", "UNet2DConditionModel", SDXL),
    ("ssd-1b", "UNet2DConditionModel", SSD_1B),
    ("sd3", "SD3Transformer2DModel", {"num_attention_heads": 24}),
    ("sd3", "SD3Transformer2DModel", {"num_layers": 38, "num_attention_heads": 38}),
    ("flux", "FluxTransformer2DModel", {}),
    ("flux2", "Flux2Transformer2DModel", {}),
    ("flux2", "Flux2Transformer2DModel", {"num_attention_heads": 24, "num_layers": 5}),
    ("flux3", "Flux3Transformer2DModel", {}),
    ("chroma", "ChromaTransformer2DModel", {}),
    ("qwen-image", "QwenImageTransformer2DModel", {}),
    ("qwen-image-2.1", "QwenImage21Transformer2DModel", {}),
    ("z-image", "ZImageTransformer2DModel", {}),
    ("krea2", "Krea2Transformer2DModel", {}),
    ("ernie-image", "ErnieImageTransformer2DModel", {}),
    ("fibo2", "BriaFibo2Transformer2DModel", {}),
    ("hunyuan-image", "HunyuanImageTransformer2DModel", {}),
    ("hunyuan-video", "HunyuanVideoTransformer3DModel", {}),
    ("hunyuan-video", "HunyuanVideo15Transformer3DModel", {}),
    ("wan", "WanTransformer3DModel", {}),
    ("wan", "WanAnimate2Transformer3DModel", {}),
    ("ltx2", "LTX2VideoTransformer3DModel", {}),
    ("minimax-h3", "MiniMaxH3Transformer3DModel", {}),
    ("ace-step", "AceStepTransformer1DModel", {}),
    ("stable-audio-3", "StableAudio3DiTModel", {}),
    ("sana", "SanaTransformer2DModel", {}),
    ("prx", "PRXTransformer2DModel", {}),
    ("dreamlite", "DreamLiteUNetModel", {}),
]


def on_meta(kind, options):
    with torch.device("meta"):
        return getattr(diffusers, kind)(**options)


@pytest.mark.parametrize(("base", "kind", "options"), NETWORKS)
def test_a_network_is_told_by_the_names_and_shapes_of_diffusers(base, kind, options):
    found = structure_of(header_of(on_meta(kind, options).state_dict()))
    assert (found.base, found.kind) == (base, "unet")


@pytest.mark.parametrize("base", ["LTXVideoTransformer3DModel", "Lumina2Transformer2DModel"])
def test_an_architecture_without_a_recipe_is_not_taken_for_another(base):
    found = structure_of(header_of(on_meta(base, {}).state_dict()))
    assert (found.base, found.kind) == (None, None)
    assert "no architecture that FewStep knows" in found.reasons[0]


@pytest.mark.parametrize(
    ("kind", "options", "feature"),
    [
        ("UNet2DConditionModel", {**SD15, "time_cond_proj_dim": 256}, "w embedding"),
        ("UNet2DConditionModel", {**SDXL, "time_cond_proj_dim": 256}, "w embedding"),
        ("FluxTransformer2DModel", {"guidance_embeds": True}, "guidance embedding"),
        ("FluxTransformer2DModel", {"guidance_embeds": False}, "no guidance embedding"),
        ("HunyuanImageTransformer2DModel", {"use_meanflow": True}, "mean flow"),
    ],
)
def test_an_input_of_its_own_is_a_feature(kind, options, feature):
    assert feature in structure_of(header_of(on_meta(kind, options).state_dict())).features


def test_a_plain_unet_has_no_feature():
    network = on_meta("UNet2DConditionModel", SD15)
    assert structure_of(header_of(network.state_dict())).features == frozenset()


WITH_LORAS = (
    *("sd15", "sd21", "sdxl", "ssd-1b", "sd3", "flux", "flux2", "qwen-image", "z-image"),
    *("fibo2", "minimax-h3"),
)
LORA_TARGETS = ["to_q", "to_k", "to_v", "to_out.0", "proj_mlp", "net.0.proj", "to_qkv_mlp_proj"]


@pytest.fixture(scope="module", params=[row for row in NETWORKS if row[0] in WITH_LORAS])
def with_lora(request):
    """An architecture, a class of diffusers for it, and what peft saves of a LoRA for that."""
    base, kind, options = request.param
    network = on_meta(kind, options)
    network.add_adapter(peft.LoraConfig(r=4, target_modules=LORA_TARGETS))
    return base, kind, peft.get_peft_model_state_dict(network)


@pytest.mark.parametrize("dialect", ["peft", "diffusers", "kohya"])
def test_a_lora_is_told_by_what_it_changes(with_lora, dialect):
    base, kind, weights = with_lora
    prefix = "unet" if kind.startswith("UNet") else "transformer"
    if dialect == "peft":
        named = {f"base_model.model.{key}": value for key, value in weights.items()}
    else:
        named = {f"{prefix}.{key}": value for key, value in weights.items()}
    if dialect == "kohya":
        # reads alpha's value, which tensors on meta have not
        named = convert_state_dict_to_kohya({k: torch.empty(t.shape) for k, t in named.items()})
    found = structure_of(header_of(named))
    assert (found.base, found.kind) == (base, "lora")

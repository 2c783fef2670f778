"""A LoRA's architecture is read off the names and widths of the layers it changes."""

import pytest
from header_files import header_with

from fewstep.recipes.structure import structure_of

CROSS = "attentions_0_transformer_blocks_{}_attn2_to_k"


def told(module, width_in, width_out, ends=("lora_A", "lora_B")):
    down, up = ends
    shapes = {f"{module}.{down}.weight": (4, width_in), f"{module}.{up}.weight": (width_out, 4)}
    found = structure_of(header_with(shapes))
    assert found.kind == "lora"
    return found.base


@pytest.mark.parametrize(
    ("module", "width_in", "width_out", "base"),
    [
        # the tenth block of SDXL's lowest level, which SSD-1B lacks
        (f"lora_unet_down_blocks_2_{CROSS.format(9)}", 2048, 1280, "sdxl"),
        (f"lora_unet_down_blocks_2_{CROSS.format(3)}", 2048, 1280, "ssd-1b"),
        (f"lora_unet_down_blocks_1_{CROSS.format(0)}", 768, 640, "sd15"),
    ],
)
def test_unets_are_told_by_the_keys_of_their_cross_attention(module, width_in, width_out, base):
    assert told(module, width_in, width_out, ("lora_down", "lora_up")) == base


@pytest.mark.parametrize(
    ("module", "width_in", "width_out", "base"),
    [
        ("blocks.0.self_attn.q", 5120, 5120, "wan"),
        ("blocks.0.self_attn.q_proj", 2048, 2048, "anima"),
        # Cosmos-Predict2 14B has the names of Anima and is none
        ("blocks.0.self_attn.q_proj", 5120, 5120, None),
        ("layers.0.attention.to_q", 3840, 3840, "z-image"),
        ("layers.0.attention.to_q", 3584, 3584, "fibo2"),
        ("layers.0.attention.to_q", 2304, 2304, None),
        ("transformer_blocks.0.attn.to_q", 5376, 7168, "minimax-h3"),
        ("transformer_blocks.0.attn.to_q", 2432, 2432, "sd3"),
        ("double_stream_layers.0.img_self_attn.to_q", 3360, 3360, "boogu-image"),
    ],
)
def test_transformers_with_like_names_are_told_by_their_width(module, width_in, width_out, base):
    assert told(f"diffusion_model.{module}", width_in, width_out) == base

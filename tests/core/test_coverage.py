"""What of a LoRA finds its place in a model is told by name and shape."""

import pytest

from fewstep.lora.coverage import block_of, coverage
from fewstep.lora.header import TensorInfo
from fewstep.lora.targets import Module

TARGETS = {
    "unet": {
        "conv_in": (8, 4, 3, 3),
        "down_blocks.0.attn.to_q": (8, 8),
        "down_blocks.0.attn.to_k": (8, 6),
        "down_blocks.0.attn.proj": (8, 8, 1, 1),
        "mid_block.ff": (16, 8),
    }
}


def info(*shape, dtype="F16"):
    return TensorInfo(dtype, shape, 0, 0)


def pair(stem, out, width, rank=2, window=(), alpha=True):
    tensors = {
        f"{stem}.lora_down.weight": info(rank, width, *window),
        f"{stem}.lora_up.weight": info(out, rank, *(1 for _ in window)),
    }
    return tensors | ({f"{stem}.alpha": info()} if alpha else {})


WHOLE = {
    **pair("lora_unet_conv_in", 8, 4, window=(3, 3)),
    **pair("lora_unet_down_blocks_0_attn_to_q", 8, 8, rank=4),
    **pair("lora_unet_down_blocks_0_attn_to_k", 8, 6, alpha=False),
    **pair("lora_unet_down_blocks_0_attn_proj", 8, 8),
    **pair("lora_unet_mid_block_ff", 16, 8),
}


def test_a_file_whose_every_layer_fits_is_whole():
    found = coverage(WHOLE, TARGETS)
    assert found.verdict == "whole"
    assert found.reasons == ("5 of the 5 layers that the file changes fit the model.",)
    by_module = {layer.module: layer for layer in found.layers}
    assert by_module.keys() == TARGETS["unet"].keys()
    query, key = by_module["down_blocks.0.attn.to_q"], by_module["down_blocks.0.attn.to_k"]
    assert (query.rank, query.dtype, query.has_alpha, key.has_alpha) == (4, "F16", True, False)


@pytest.mark.parametrize("name", ["lora_A", "lora_down"])
def test_other_dialects_of_the_same_layers_are_whole_too(name):
    other = {"lora_A": "lora_B", "lora_down": "lora_up"}[name]
    prefix = {"lora_A": "base_model.model.", "lora_down": "diffusion_model."}[name]
    tensors = {
        f"{prefix}mid_block.ff.{name}.weight": info(2, 8),
        f"{prefix}mid_block.ff.{other}.weight": info(16, 2),
    }
    assert coverage(tensors, TARGETS).verdict == "whole"


def test_layers_without_a_module_make_it_partial_and_are_named():
    tensors = WHOLE | pair("lora_unet_down_blocks_0_attn_to_v", 8, 8)
    found = coverage(tensors, TARGETS)
    assert found.verdict == "partial"
    assert found.reasons[1] == (
        "1 name no module of this model and would be left out: down_blocks_0_attn_to_v (1)."
    )
    assert found.blocks()["down_blocks.0"] == {"matched": 3}
    assert found.blocks()["down_blocks_0"] == {"unmatched": 1}


def test_missing_attention_of_a_half_loaded_file_is_counted_by_its_kind():
    tensors = {
        key: value for i in range(3) for key, value in pair(f"unet.up.{i}.attn.to_q", 8, 8).items()
    }
    found = coverage(tensors | pair("unet.mid_block.ff", 16, 8), TARGETS)
    assert found.verdict == "partial"
    assert "left out: to_q (3)." in found.reasons[1]


def test_shapes_of_another_network_are_told_as_such():
    tensors = {
        **pair("lora_unet_down_blocks_0_attn_to_q", 8, 8),
        **pair("lora_unet_down_blocks_0_attn_to_k", 8, 16),
        **pair("lora_unet_mid_block_ff", 32, 8),
    }
    found = coverage(tensors, TARGETS)
    assert found.verdict == "other network"
    assert found.reasons[0].startswith("1 of the 3 layers")
    assert "2 have another shape than the model's" in found.reasons[1]


@pytest.mark.parametrize(
    "tensors",
    [
        pair("lora_unet_conv_in", 8, 4),
        pair("lora_unet_conv_in", 8, 4, window=(1, 1)),
        pair("lora_unet_mid_block_ff", 16, 8, window=(3, 3)),
        pair("lora_unet_mid_block_ff", 16, 8, rank=0),
        pair("lora_unet_mid_block_ff", 8, 16),
        {"lora_unet_mid_block_ff.diff": info(8, 16)},
        pair("lora_unet_mid_block_ff", 16, 8)
        | {"lora_unet_mid_block_ff.lora_up.weight": info(16, 3)},
    ],
)
def test_tensors_that_make_no_change_of_the_weights_shape_do_not_fit(tensors):
    (layer,) = coverage(tensors, TARGETS).layers
    assert layer.status == "wrong shape"


@pytest.mark.parametrize(
    "tensors",
    [
        {"lora_unet_mid_block_ff.diff": info(16, 8)},
        {"lora_unet_mid_block_ff.hada_w1_a": info(16, 2)},
        pair("lora_unet_down_blocks_0_attn_proj", 8, 8, window=(1, 1)),
        pair("lora_unet_down_blocks_0_attn_to_q", 8, 8, window=(1, 1)),
        pair("lora_unet_conv_in", 8, 4, window=(1, 1))
        | {"lora_unet_conv_in.lora_mid.weight": info(2, 2, 3, 3)},
    ],
)
def test_other_ways_to_change_a_weight_fit(tensors):
    (layer,) = coverage(tensors, TARGETS).layers
    assert layer.status == "matched"


def test_a_stem_that_may_mean_two_modules_is_ambiguous():
    targets = {"unet": {"a.b_c": (8, 8), "a_b.c": (8, 8), "d": (8, 8)}}
    found = coverage(pair("lora_unet_a_b_c", 8, 8) | pair("lora_unet_d", 8, 8), targets)
    assert [layer.status for layer in found.layers] == ["ambiguous", "matched"]
    assert found.verdict == "partial"
    assert "may mean more than one module" in found.reasons[1]


def test_tensors_of_no_dialect_make_it_partial_and_are_shown():
    found = coverage(WHOLE | {"emphasis": info(3)}, TARGETS)
    assert (found.verdict, found.unknown_keys) == ("partial", ("emphasis",))
    assert (
        "1 tensors are of no LoRA dialect or there twice, and are ignored: emphasis."
        in found.reasons[1]
    )


def test_nothing_that_fits_is_none():
    assert coverage({}, TARGETS).verdict == "none"
    assert coverage({"model.weight": info(3)}, TARGETS).verdict == "none"
    assert coverage(pair("lora_te_fc1", 8, 8), TARGETS).verdict == "none"


@pytest.mark.parametrize(
    ("module", "block"),
    [
        ("down_blocks.1.attentions.0.proj_in", "down_blocks.1"),
        ("input_blocks.4.1.proj_in", "input_blocks.4"),
        ("mid_block.attentions.0.proj_in", "mid_block"),
        ("double_blocks.18.img_attn.qkv", "double_blocks.18"),
        ("text_model.encoder.layers.3.mlp.fc1", "text_model.encoder.layers.3"),
        ("conv_in", "conv_in"),
    ],
)
def test_a_block_is_the_first_numbered_part(module, block):
    assert block_of(module) == block


def test_a_module_is_found_by_the_other_names_a_host_lists():
    fused = {"unet": {"blocks.0.qkv[0:8]": (8, 8), "blocks.0.qkv[8:16]": (8, 8)}}
    aliases = {
        "transformer.layers.0.to_q": Module("unet", "blocks.0.qkv[0:8]"),
        "lora_transformer_layers_0_to_k": Module("unet", "blocks.0.qkv[8:16]"),
    }
    tensors = pair("base_model.model.layers.0.to_q", 8, 8) | pair(
        "lora_transformer_layers_0_to_k", 8, 8
    )
    found = coverage(tensors, fused, aliases=aliases)
    assert {layer.module for layer in found.layers} == set(fused["unet"])
    assert found.verdict == "whole"
    assert coverage(tensors, fused).verdict == "none"


def test_layers_of_a_text_encoder_are_named_as_such():
    tensors = WHOLE | pair("lora_te1_text_model_encoder_layers_0_mlp_fc1", 8, 8)
    found = coverage(tensors, TARGETS)
    assert found.verdict == "partial"
    assert "1 change a text encoder, which is not loaded here" in found.reasons[1]
    assert coverage(tensors, TARGETS | {"te1": {}}).layers[-1].status == "unmatched"


@pytest.mark.parametrize(
    ("shape", "status"), [((8,), "matched"), ((9,), "wrong shape"), ((1, 8), "wrong shape")]
)
def test_a_change_of_a_norm_has_the_shape_of_the_norm(shape, status):
    norm = {"unet": {"norm": (8,)}}
    for part in ("diff", "w_norm"):
        found = coverage({f"diffusion_model.norm.{part}": info(*shape)}, norm)
        assert found.layers[0].status == status
    assert coverage(pair("lora_unet_norm", 8, 8), norm).layers[0].status == "wrong shape"


@pytest.mark.parametrize("lost", ["lora_down.weight", "lora_up.weight"])
def test_a_layer_without_one_of_its_factors_is_named_as_damaged(lost):
    tensors = {key: t for key, t in WHOLE.items() if key != f"lora_unet_mid_block_ff.{lost}"}
    found = coverage(tensors, TARGETS)
    assert found.verdict == "partial"
    assert found.reasons[1] == ("1 lack one of their two factors: the file is damaged: ff (1).")
    alone = coverage({"lora_unet_mid_block_ff.alpha": info()}, TARGETS)
    assert alone.layers[0].status == "incomplete"

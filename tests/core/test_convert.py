import json

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from lora_files import pair

from fewstep.lora.adapter_config import ADAPTER_METADATA
from fewstep.lora.convert import convert, write_layers
from fewstep.lora.dialects import DIALECTS, dialect_of
from fewstep.lora.layers import Layer, layers_of
from fewstep.lora.targets import Module

quick = settings(derandomize=True, deadline=None, max_examples=60)
TARGETS = {"unet": ["conv_in", "mid.attn.to_q", "mid.attn.to_out.0"], "te": ["layers.0.fc1"]}


def same(a, b):
    return (
        a.keys() == b.keys()
        and all(torch.equal(a[k], b[k]) for k in a)
        and all(a[k].dtype == b[k].dtype for k in a)
    )


def test_a_kohya_file_becomes_a_file_of_each_dialect():
    state = pair("lora_unet_mid_attn_to_out_0", alpha=1)
    expected = {
        "old diffusers": "unet.mid.attn.processor.to_out_lora.down.weight",
        "diffusers": "unet.mid.attn.to_out.0.lora_A.weight",
        "peft": "base_model.model.mid.attn.to_out.0.lora_A.weight",
        "comfyui": "diffusion_model.out.lora_down.weight",
    }
    for to, name in expected.items():
        names = {"mid.attn.to_out.0.weight": "out.weight"}
        written, _ = convert(state, to, TARGETS, names=names)
        assert written[name] is state["lora_unet_mid_attn_to_out_0.lora_down.weight"]


def test_lyco_parts_go_from_kohya_to_comfyui_and_back():
    state = {
        "lora_unet_conv_in.hada_w1_a": torch.ones(2, 2),
        "lora_unet_conv_in.alpha": torch.ones(()),
    }
    host, _ = convert(state, "comfyui", TARGETS)
    assert set(host) == {"diffusion_model.conv_in.hada_w1_a", "diffusion_model.conv_in.alpha"}
    assert same(convert(host, "kohya", TARGETS)[0], state)


def test_kohyas_ldm_stems_are_read_with_the_hosts_names():
    names = {"conv_in.weight": "input_blocks.0.0.weight", "conv_in.bias": "input_blocks.0.0.bias"}
    state = pair("lora_unet_input_blocks_0_0")
    written, _ = convert(state, "diffusers", TARGETS, names=names)
    assert set(written) == {"unet.conv_in.lora_A.weight", "unet.conv_in.lora_B.weight"}
    host, _ = convert(written, "comfyui", TARGETS, names=names)
    assert "diffusion_model.input_blocks.0.0.lora_up.weight" in host


def test_a_layer_is_converted_by_another_name_that_a_host_lists():
    aliases = {"transformer.layers.0.to_q": Module("unet", "conv_in")}
    written, _ = convert(pair("base_model.model.layers.0.to_q"), "kohya", TARGETS, aliases=aliases)
    assert set(written) == {f"lora_unet_conv_in.lora_{part}.weight" for part in ("down", "up")}


def test_the_component_is_written_as_the_targets_call_it():
    state = pair("transformer.a") | pair("text_encoder.b")
    for targets, stems in (
        ({"unet": ["a"], "te": ["b"]}, {"lora_unet_a", "lora_te_b"}),
        ({"transformer": ["a"], "te1": ["b"]}, {"lora_transformer_a", "lora_te1_b"}),
    ):
        written, _ = convert(state, "kohya", targets)
        assert {name.split(".")[0] for name in written} == stems


def test_metadata_holds_alpha_only_where_the_dialect_has_no_tensor_for_it():
    state = pair("lora_unet_conv_in", alpha=8)
    metadata = {"modelspec.title": "x"}
    written, entries = convert(state, "diffusers", TARGETS, metadata)
    assert entries["modelspec.title"] == "x"
    assert json.loads(entries[ADAPTER_METADATA])["unet.lora_alpha"] == 8
    back, entries = convert(written, "kohya", TARGETS, entries)
    assert entries == metadata and same(back, state)
    assert convert(pair("lora_unet_conv_in"), "diffusers", TARGETS)[1] == {}


def test_a_layer_without_alpha_beside_one_with_keeps_its_scale():
    state = pair("lora_unet_conv_in", alpha=8) | pair("lora_unet_mid_attn_to_q", rank=3)
    layers = layers_of(*convert(state, "peft", TARGETS))
    scales = {place.module: layer.alpha / layer.rank for place, layer in layers.items()}
    assert scales == {"conv_in": 4, "mid.attn.to_q": 1}


def test_an_alpha_that_float32_would_change_is_written_in_float64():
    state = pair("unet.conv_in", down="lora_A", up="lora_B")
    metadata = {ADAPTER_METADATA: json.dumps({"unet.lora_alpha": 0.1})}
    written, _ = convert(state, "kohya", TARGETS, metadata)
    assert written["lora_unet_conv_in.alpha"].item() == 0.1


SEGMENTS = st.from_regex(r"[a-z]{1,2}(_[a-z0-9])?", fullmatch=True)
TREES = st.lists(st.lists(SEGMENTS, min_size=1, max_size=4).map(".".join), min_size=1, max_size=6)


def unambiguous(tree):
    return len({path.replace(".", "_") for path in tree}) == len(tree)


@st.composite
def kohya_files(draw):
    targets = {"unet": draw(TREES.filter(unambiguous)), "te2": draw(TREES.filter(unambiguous))}
    dtype = draw(st.sampled_from([torch.float32, torch.float16, torch.bfloat16]))
    has_alpha, has_dora = draw(st.booleans()), draw(st.booleans())
    state = {}
    for component, tree in targets.items():
        for path in tree:
            stem = f"lora_{component}_{path.replace('.', '_')}"
            rank, ones = draw(st.integers(1, 4)), draw(st.sampled_from([(), (1, 1)]))
            state[f"{stem}.lora_down.weight"] = torch.randn(rank, 3, *ones).to(dtype)
            state[f"{stem}.lora_up.weight"] = torch.randn(5, rank, *ones).to(dtype)
            if has_alpha:
                state[f"{stem}.alpha"] = torch.tensor(draw(st.floats(0, 64, width=32)))
            if has_dora:
                state[f"{stem}.dora_scale"] = torch.randn(5, 1, *ones).to(dtype)
    return targets, state


@quick
@given(kohya_files(), st.permutations(["diffusers", "old diffusers", "peft"]))
def test_converting_through_every_dialect_and_back_changes_no_bit(file, order):
    targets, state = file
    now, metadata = state, {"title": "x"}
    for to in [*order, "kohya"]:
        now, metadata = convert(now, to, targets, metadata)
        assert len(now) == len(state) - (to != "kohya") * sum("alpha" in key for key in state)
    assert same(now, state) and metadata == {"title": "x"}


@quick
@given(kohya_files(), st.permutations(["diffusers", "peft", "comfyui", "kohya", "old diffusers"]))
def test_a_network_goes_through_comfyuis_names_without_loss(file, order):
    targets, state = file
    targets = {"unet": targets["unet"]}
    state = {name: tensor for name, tensor in state.items() if name.startswith("lora_unet_")}
    host = {f"{path}.weight": f"blocks.{i}.w.weight" for i, path in enumerate(targets["unet"])}
    now, metadata = state, None
    for to in [*order, "kohya"]:
        now, metadata = convert(now, to, targets, metadata, host)
        assert dialect_of(now) in (to, "diffusers")
    assert same(now, state)


@pytest.mark.parametrize("to", DIALECTS)
def test_arguments_are_not_changed(to):
    state, metadata = pair("lora_unet_conv_in", alpha=2), {"a": "b"}
    before = {name: tensor.clone() for name, tensor in state.items()}
    convert(state, to, TARGETS, metadata)
    assert same(state, before) and metadata == {"a": "b"}


def dora(shape, stem="lora_unet_conv_in"):
    return pair(stem) | {f"{stem}.dora_scale": torch.ones(shape)}


@pytest.mark.parametrize(
    ("state", "to", "match"),
    [
        (pair("lora_unet_conv_out"), "peft", "unet module 'conv_out' of the file is none of the t"),
        (pair("conv_out"), "peft", "network module 'conv_out' of the file is none"),
        (pair("lora_te2_layers_0_fc1"), "peft", "te2 module 'layers_0_fc1' of the file is none"),
        (
            pair("lora_unet_conv_in") | pair("unet.conv_in"),
            "peft",
            "two layers of the file are both unet 'conv_in'",
        ),
        (pair("lora_unet_conv_in"), "a1111", "to is 'a1111'; allowed is one of kohya"),
        ({"lora_unet_conv_in.dora_scale": torch.ones(5, 1)}, "peft", "PEFT has DoRA over"),
        (dora((1, 3)), "peft", r"dora_scale of 'conv_in' is \[1, 3\]; PEFT has DoRA over"),
        (
            dora((5, 1)) | pair("lora_unet_mid_attn_to_q"),
            "diffusers",
            "some layers of unet have DoRA and some do not",
        ),
        ({"lora_unet_conv_in.diff": torch.ones(2)}, "diffusers", "no name for 'diff' of 'conv_in'"),
        (pair("lora_te_layers_0_fc1"), "comfyui", "own name for text_encoder .* depends"),
    ],
)
def test_what_cannot_be_converted_is_refused(state, to, match):
    with pytest.raises(ValueError, match=match):
        convert(state, to, TARGETS)


def test_dora_scales_get_the_shape_pefts_layers_have():
    state = dora((5, 1)) | {"lora_unet_conv_in.alpha": torch.tensor(1.0)}
    state["lora_unet_mid_attn_to_q.lora_down.weight"] = torch.ones(2, 3, 3, 3)
    state["lora_unet_mid_attn_to_q.lora_up.weight"] = torch.ones(5, 2, 1, 1)
    state["lora_unet_mid_attn_to_q.dora_scale"] = torch.ones(5, 1, 1, 1)
    written, metadata = convert(state, "diffusers", TARGETS)
    assert written["unet.conv_in.lora_magnitude_vector"].shape == (5,)
    assert written["unet.mid.attn.to_q.lora_magnitude_vector"].shape == (1, 5, 1, 1)
    fields = json.loads(metadata[ADAPTER_METADATA])
    assert fields["unet.use_dora"] is True and fields["unet.lora_bias"] is False


def test_dora_over_the_inputs_is_kept_between_kohya_and_comfyui():
    host, _ = convert(dora((1, 3)), "comfyui", TARGETS)
    assert host["diffusion_model.conv_in.dora_scale"].shape == (1, 3)


def test_an_unknown_component_of_the_targets_is_refused():
    with pytest.raises(ValueError, match="targets has 'clip'; allowed is one of unet, transformer"):
        convert({}, "kohya", {"clip": ["a"]})


def test_a_stem_that_stands_for_two_modules_is_refused_in_both_directions():
    targets = {"unet": ["a.b_c", "a_b.c"]}
    match = "'a_b_c' stands for 'a.b_c' and 'a_b.c' of the targets"
    with pytest.raises(ValueError, match=match):
        convert(pair("lora_unet_a_b_c"), "peft", targets)
    with pytest.raises(ValueError, match=match):
        convert(pair("unet.a_b.c"), "kohya", targets)
    assert len(convert(pair("unet.a_b.c"), "peft", targets)[0]) == 2


def test_a_layer_comfyui_does_not_have_is_refused():
    with pytest.raises(ValueError, match="names has no entry for 'mid.attn.to_q'"):
        names = {"conv_in.weight": "input_blocks.0.0.weight"}
        convert(pair("unet.mid.attn.to_q"), "comfyui", TARGETS, names=names)


def test_names_are_of_the_network_and_not_of_text_encoders():
    with pytest.raises(ValueError, match="own name for text_encoder of .* to kohya"):
        names = {"conv_in.weight": "input_blocks.0.0.weight"}
        convert(pair("lora_te_layers_0_fc1"), "comfyui", TARGETS, names=names)


@pytest.mark.parametrize("to", ["kohya", "diffusers", "peft"])
def test_layers_of_no_file_are_written_as_they_would_be_read(to):
    made = {
        Module("unet", "mid.attn.to_q"): Layer(torch.ones(2, 3), torch.ones(5, 2), alpha=1.0),
        Module("te", "layers.0.fc1"): Layer(torch.ones(4, 3), torch.ones(5, 4), alpha=8.0),
    }
    written, metadata = write_layers(made, to, TARGETS)
    read = list(layers_of(written, metadata).values())
    assert [(y.rank, y.alpha) for y in read] == [(2, 1.0), (4, 8.0)]
    assert all(a.down is b.down and a.up is b.up for a, b in zip(read, made.values(), strict=True))


def test_layers_are_not_written_in_an_unknown_dialect():
    with pytest.raises(ValueError, match="to is 'a1111'; allowed is one of kohya"):
        write_layers({}, "a1111", TARGETS)

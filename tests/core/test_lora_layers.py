"""A LoRA's tensors are gathered by module, and what makes no LoRA is refused."""

import json
import math

import pytest
import torch
from lora_files import only, pair

from fewstep.lora.adapter_config import ADAPTER_METADATA
from fewstep.lora.layers import layers_of


def test_a_layer_has_its_tensors_as_they_are_in_the_file():
    state = pair("lora_unet_conv_in", alpha=4) | pair("lora_te_fc", alpha=0)
    state["lora_unet_conv_in.lora_mid.weight"] = torch.ones(2, 2, 3, 3)
    state["lora_unet_out.diff"], state["lora_unet_out.diff_b"] = torch.ones(2, 2), torch.ones(2)
    state["lora_unet_k.lokr_w1"] = torch.ones(2, 2)
    layers = layers_of(state)
    conv, fc = layers["kohya", "unet", "conv_in"], layers["kohya", "te", "fc"]
    assert (conv.rank, conv.alpha, fc.alpha) == (2, 4.0, 0.0)
    assert conv.down is state["lora_unet_conv_in.lora_down.weight"]
    assert conv.up is state["lora_unet_conv_in.lora_up.weight"]
    assert conv.mid is state["lora_unet_conv_in.lora_mid.weight"]
    out, k = layers["kohya", "unet", "out"], layers["kohya", "unet", "k"]
    assert (out.diff is not None, len(out.diff_b), out.rank, out.alpha) == (True, 2, None, None)
    assert k.others["lokr_w1"] is state["lora_unet_k.lokr_w1"]


def test_without_any_alpha_there_is_none():
    assert only(layers_of(pair("unet.a", down="lora_A", up="lora_B"))).alpha is None


def test_alpha_is_read_from_the_metadata_of_the_component():
    state = pair("unet.a", down="lora_A", up="lora_B") | pair("text_encoder.a")
    metadata = {ADAPTER_METADATA: json.dumps({"unet.lora_alpha": 7, "text_encoder.lora_alpha": 3})}
    layers = layers_of(state, metadata)
    assert layers["diffusers", "unet", "a"].alpha == 7
    assert layers["diffusers", "te", "a"].alpha == 3
    # kohya's files have tensors for it, and metadata of another writer says nothing about them
    assert only(layers_of(pair("lora_unet_a"), metadata)).alpha is None


def test_old_and_new_spellings_of_a_module_are_one_layer():
    state = {
        "unet.a.processor.to_q_lora.down.weight": torch.ones(2, 3),
        "unet.a.processor.to_q_lora.up.weight": torch.ones(5, 2),
        "unet.a.to_q.alpha": torch.tensor(6.0),
    }
    assert layers_of(state)["diffusers", "unet", "a.to_q"].alpha == 6


def test_an_alpha_tensor_that_agrees_with_the_metadata_is_taken():
    metadata = {ADAPTER_METADATA: json.dumps({"unet.lora_alpha": 7.003})}
    assert only(layers_of(pair("unet.a", alpha=7), metadata)).alpha == 7


def test_magnitudes_of_peft_become_dora_scales_over_the_outputs():
    magnitude = torch.arange(5.0)
    state = pair("unet.a") | {"unet.a.lora_magnitude_vector": magnitude}
    assert torch.equal(only(layers_of(state)).dora_scale, magnitude[:, None])
    state = {
        "unet.a.lora_A.weight": torch.ones(2, 3, 3, 3),
        "unet.a.lora_B.weight": torch.ones(5, 2, 1, 1),
        "unet.a.lora_magnitude_vector": magnitude.view(1, 5, 1, 1),
    }
    assert torch.equal(only(layers_of(state)).dora_scale, magnitude.view(5, 1, 1, 1))


def test_a_flat_dora_scale_gets_the_shape_that_multiplies_rows():
    state = pair("lora_unet_a") | {"lora_unet_a.dora_scale": torch.arange(5.0)}
    assert only(layers_of(state)).dora_scale.shape == (5, 1)


@pytest.mark.parametrize(
    ("state", "match"),
    [
        ({"conv_in.weight": torch.ones(1)}, "'conv_in.weight' is a tensor of no LoRA dialect"),
        (
            pair("unet.a") | pair("unet.a", down="lora_A"),
            "'unet.a.lora_down.weight' and 'unet.a.lora_A.weight' mean the same tensor",
        ),
        ({"unet.a.lora_A.weight": torch.ones(2, 2)}, "lora_A.weight' has no up weight"),
        ({"unet.a.lora_B.weight": torch.ones(2, 2)}, "lora_B.weight' has no down weight"),
        ({"unet.a.lora_mid.weight": torch.ones(2, 2)}, "lora_mid.weight' has no down weight"),
        ({"unet.a.lora_B.bias": torch.ones(2)}, "lora_B.bias' has no up weight"),
        ({"unet.a.alpha": torch.ones(())}, "'unet.a.alpha' has no weights"),
        (
            pair("unet.a") | {"unet.a.lora_up.weight": torch.ones(5, 3)},
            r"lora_down.weight' is \[2, 3\], 'unet.a.lora_up.weight' is \[5, 3\]; allowed",
        ),
        (pair("unet.a", rank=0), r"is \[0, 3\].*one rank above 0"),
        (pair("unet.a") | {"unet.a.lora_down.weight": torch.ones(2)}, r"is \[2\].*allowed is"),
        (pair("unet.a") | {"unet.a.lora_up.weight": torch.ones(2)}, r"up.weight' is \[2\].*allow"),
        (
            pair("unet.a") | {"unet.a.lora_mid.weight": torch.ones(2, 3, 3, 3)},
            r"lora_mid.weight' is \[2, 3, 3, 3\].*the rank is 2",
        ),
        (pair("unet.a", alpha=math.nan), "'unet.a.alpha' is nan; allowed is one finite number"),
        (pair("unet.a") | {"unet.a.alpha": torch.ones(2)}, r"is \[1.0, 1.0\]; allowed is one fin"),
        (pair("unet.a") | {"unet.a.dora_scale": torch.ones(4)}, "has 4 numbers; allowed is one.*5"),
        (
            pair("unet.a") | {"unet.a.lora_magnitude_vector": torch.ones(3)},
            "magnitude_vector' has 3 numbers; allowed is one for each of the 5 outputs",
        ),
    ],
)
def test_tensors_that_do_not_make_a_lora_are_refused(state, match):
    with pytest.raises(ValueError, match=match):
        layers_of(state)


def test_an_alpha_said_twice_differently_is_refused():
    metadata = {ADAPTER_METADATA: json.dumps({"unet.lora_alpha": 8})}
    with pytest.raises(ValueError, match="'unet.a.alpha' is 4, but the metadata says lora_alpha 8"):
        layers_of(pair("unet.a", alpha=4), metadata)

"""Merged weights are those that peft and diffusers merge."""

import pytest
import torch
from peft import LoraConfig, get_peft_model
from peft.utils import get_peft_model_state_dict
from tiny_unet import tiny_unet
from torch import nn

from fewstep.lora.adapter_config import adapter_metadata
from fewstep.lora.dialects import dialect_of
from fewstep.lora.layers import layers_of
from fewstep.lora.merge import merge
from fewstep.lora.targets import resolve, spellings

# what a file says of its adapter, as far as it changes weights
SAID = ("r", "lora_alpha", "rank_pattern", "alpha_pattern", "use_rslora", "use_dora")
DORA = {"use_dora": True}


class Tiny(nn.Sequential):
    """A convolution, then a matrix over its channels."""

    def __init__(self):
        super().__init__(nn.Conv2d(3, 8, 3), nn.Flatten(2), nn.Linear(16, 5))


def tiny():
    torch.manual_seed(0)
    return Tiny()


def randomised(network):
    """Factors as after training, and magnitudes away from the norms that they begin with."""
    with torch.no_grad():
        for name, weight in network.named_parameters():
            if "lora_magnitude" in name:
                weight *= 1 + 0.3 * torch.rand_like(weight)
            elif "lora_" in name:
                weight.normal_(std=0.2)
    return network


def ours(network, state, config, strength=1.0):
    weights = network.state_dict()
    paths = [name.removesuffix(".weight") for name in weights if name.endswith(".weight")]
    said = {name: value for name, value in config.to_dict().items() if name in SAID}
    metadata = adapter_metadata({"": said}, dialect_of(state))
    read, _ = spellings({"unet": paths}, {})
    found = resolve(layers_of(state, metadata), read)
    return merge(weights, {module.path: layer for module, layer in found.items()}, strength)


def assert_same(found, expected, base):
    assert found.keys() == expected.keys()
    changed = [name for name in base if not torch.equal(base[name], expected[name])]
    assert changed
    for name, weight in expected.items():
        torch.testing.assert_close(found[name], weight, rtol=0, atol=1e-6)
    assert min((expected[name] - base[name]).abs().max() for name in changed) > 1e-2


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"use_rslora": True},
        DORA,
        DORA | {"use_rslora": True},
        {"rank_pattern": {"0": 2}, "alpha_pattern": {"2": 1}},
    ],
    ids=str,
)
def test_peft_merges_the_same(fields):
    config = LoraConfig(r=3, lora_alpha=5, target_modules=["0", "2"], **fields)
    network = randomised(get_peft_model(tiny(), config))
    merged = ours(tiny(), get_peft_model_state_dict(network), config)
    assert_same(merged.weights, network.merge_and_unload().state_dict(), tiny().state_dict())
    assert merged.remainder.keys() == {"0.weight", "2.weight"}


@pytest.mark.parametrize(
    ("fields", "strength"),
    [
        ({}, 1.0),
        ({}, 0.6),
        ({}, -0.5),
        ({"use_rslora": True}, 0.6),
        ({"rank_pattern": {"conv1": 2}, "alpha_pattern": {"to_q": 7}}, 0.6),
        # at other strengths diffusers scales the product before the norm, ComfyUI and we the change
        (DORA, 1.0),
    ],
    ids=str,
)
def test_diffusers_fuses_the_same(fields, strength):
    modules = ["to_q", "to_out.0", "conv1", "linear_1"]
    config = LoraConfig(r=3, lora_alpha=5, target_modules=modules, **fields)
    unet = tiny_unet()
    unet.add_adapter(config)
    state = get_peft_model_state_dict(randomised(unet))
    merged = ours(tiny_unet(), state, config, strength)
    unet.fuse_lora(lora_scale=strength)
    fused = {
        name.replace(".base_layer.", "."): weight
        for name, weight in unet.state_dict().items()
        if "lora_" not in name
    }
    assert_same(merged.weights, fused, tiny_unet().state_dict())

"""What peft 0.21 and diffusers 0.42 write is read, and what is written they read."""

import json
from collections import Counter

import pytest
import torch
from diffusers import StableDiffusionPipeline
from diffusers.loaders.lora_conversion_utils import _convert_non_diffusers_lora_to_diffusers
from diffusers.utils import state_dict_utils
from peft import LoraConfig, get_peft_model
from peft.utils import get_peft_model_state_dict
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from tiny_unet import tiny_unet

from fewstep.lora.adapter_config import ADAPTER_METADATA
from fewstep.lora.convert import convert
from fewstep.lora.dialects import dialect_of
from fewstep.lora.layers import layers_of

ATTENTION = ["to_q", "to_k", "to_v", "to_out.0"]
WEIGHTS = "pytorch_lora_weights.safetensors"


@pytest.fixture(scope="module")
def targets():
    return {"unet": [name for name, _ in tiny_unet().named_modules() if name]}


def trained(**fields):
    """A UNet with an adapter, its up matrices filled."""
    unet = tiny_unet()
    fields = {"r": 3, "lora_alpha": 5, "target_modules": [*ATTENTION, "conv1", "linear_1"]} | fields
    unet.add_adapter(LoraConfig(**fields))
    for name, weight in unet.named_parameters():
        if "lora_" in name:
            torch.nn.init.normal_(weight, std=0.1)
    return unet.eval()


def scales(unet):
    """alpha / rank as peft computes it, by module."""
    return {
        name: next(iter(module.scaling.values()))
        for name, module in unet.named_modules()
        if hasattr(module, "scaling") and hasattr(module, "lora_A")
    }


def our_scales(layers):
    return {
        place.module: 1.0 if layer.alpha is None else layer.alpha / layer.rank
        for place, layer in layers.items()
    }


def saved(path):
    with safe_open(path, "pt") as file:
        return load_file(path), file.metadata()


def save_as_pipeline(unet, folder):
    StableDiffusionPipeline.save_lora_weights(
        folder,
        unet_lora_layers=get_peft_model_state_dict(unet),
        unet_lora_adapter_metadata=unet.peft_config["default"].to_dict(),
    )
    return saved(folder / WEIGHTS)


def run(unet):
    generator = torch.Generator().manual_seed(2)
    x = torch.randn(1, 4, 8, 8, generator=generator)
    with torch.no_grad():
        return unet(x, 500, torch.randn(1, 3, 8, generator=generator)).sample


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"lora_alpha": 0.1},
        {"use_rslora": True},
        {"rank_pattern": {"conv1": 2}, "alpha_pattern": {"conv1": 7, r"mid_block.*\.to_q": 1}},
        {"alpha_pattern": {"^down_blocks.0.resnets.0.conv1": 2, "to_out.0": 9}},
    ],
    ids=str,
)
@pytest.mark.parametrize("is_pipeline", [False, True])
def test_every_scale_is_pefts_own(fields, is_pipeline, tmp_path):
    unet = trained(**fields)
    if is_pipeline:
        state, metadata = save_as_pipeline(unet, tmp_path)
    else:
        unet.save_lora_adapter(tmp_path)
        state, metadata = saved(tmp_path / WEIGHTS)
    assert dialect_of(state) == "diffusers"
    assert our_scales(layers_of(state, metadata)) == pytest.approx(scales(unet), rel=1e-15)


def test_a_raw_peft_folder_is_read_with_its_adapter_config(tmp_path):
    fields = {"r": 3, "lora_alpha": 5, "target_modules": ["to_q", "conv1"]}
    model = get_peft_model(tiny_unet(), LoraConfig(**fields, alpha_pattern={"conv1": 2}))
    model.save_pretrained(tmp_path)
    state = load_file(tmp_path / "adapter_model.safetensors")
    metadata = {ADAPTER_METADATA: (tmp_path / "adapter_config.json").read_text()}
    assert dialect_of(state) == "peft"
    ours = {f"base_model.model.{k}": v for k, v in our_scales(layers_of(state, metadata)).items()}
    assert ours == scales(model) and len(ours) > 10
    # the names in a living model say the adapter's name as well
    living = {name: w for name, w in model.state_dict().items() if "lora_" in name}
    assert layers_of(living).keys() == layers_of(state).keys()


@pytest.mark.filterwarnings("ignore:.*lora_bias=True", "ignore:Adapter 'default'")
def test_pefts_bias_and_magnitude_are_read_and_written_under_its_names():
    for fields in ({"lora_bias": True}, {"use_dora": True}):
        state = get_peft_model_state_dict(trained(**fields))
        unet = {"unet": [place.module for place in layers_of(state)]}
        prefixed = {f"base_model.model.{name}": tensor for name, tensor in state.items()}
        raw, _ = convert(state, "peft", unet)
        assert raw.keys() == prefixed.keys()
        assert all(torch.equal(raw[name], prefixed[name]) for name in raw)
        assert all(raw[name].shape == prefixed[name].shape for name in raw)


def test_kohyas_names_are_those_diffusers_converts_to(targets, tmp_path):
    state, metadata = save_as_pipeline(trained(lora_alpha=3), tmp_path)
    ours, entries = convert(state, "kohya", targets, metadata)
    theirs = state_dict_utils.convert_state_dict_to_kohya(state)
    assert ours.keys() == theirs.keys() and ADAPTER_METADATA not in entries
    # theirs has the rank for alpha, whatever it was: here it is the rank
    assert all(torch.equal(ours[name].double(), theirs[name].double()) for name in theirs)


def test_the_conversion_of_diffusers_from_kohya_gives_our_layers(targets, tmp_path):
    state, metadata = save_as_pipeline(trained(target_modules=ATTENTION), tmp_path)
    kohya, _ = convert(state, "kohya", targets, metadata)
    theirs, alphas = _convert_non_diffusers_lora_to_diffusers(dict(kohya))
    assert dialect_of(theirs) == "old diffusers" and set(alphas.values()) == {5.0}
    ours, _ = convert(kohya, "old diffusers", targets)
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_old_diffusers_names_become_pefts_as_in_diffusers(targets):
    state = get_peft_model_state_dict(trained())
    old, _ = convert(state, "old diffusers", targets)
    theirs = state_dict_utils.convert_unet_state_dict_to_peft(old)
    assert theirs.keys() == {f"unet.{name}" for name in state}
    new, _ = convert(old, "diffusers", targets)
    assert new.keys() == theirs.keys()
    assert all(torch.equal(new[name], theirs[name]) for name in new)


def test_a_text_encoders_names_become_pefts_as_in_diffusers():
    layer = "text_model.encoder.layers.0"
    ends = [f"{layer}.self_attn.{x}_proj" for x in ("q", "k", "v", "out")] + [f"{layer}.mlp.fc1"]
    state = {}
    for end in ends:
        state[f"text_encoder.{end}.lora_A.weight"] = torch.ones(2, 3)
        state[f"text_encoder.{end}.lora_B.weight"] = torch.ones(5, 2)
    targets = {"te": ends}
    old, _ = convert(state, "old diffusers", targets)
    assert state_dict_utils.convert_state_dict_to_peft(old).keys() == state.keys()
    theirs = state_dict_utils.convert_state_dict_to_diffusers(state)
    assert convert(theirs, "diffusers", targets)[0].keys() == state.keys()
    kohya, _ = convert(state, "kohya", {"te1": ends})
    theirs = state_dict_utils.convert_state_dict_to_kohya(state)
    assert kohya.keys() == {name for name in theirs if not name.endswith("alpha")}


@pytest.mark.parametrize("to", ["diffusers", "old diffusers"])
@pytest.mark.parametrize(
    "fields",
    [
        {"rank_pattern": {"conv1": 2}, "alpha_pattern": {"to_q": 7, "to_out.0": 0.3}},
        {"use_rslora": True},
        {"use_dora": True},
    ],
    ids=str,
)
def test_diffusers_makes_the_same_pictures_of_what_was_converted(to, fields, targets, tmp_path):
    unet = trained(target_modules=["to_q", "to_out.0", "conv1"], **fields)
    unet.save_lora_adapter(tmp_path)
    state, metadata = saved(tmp_path / WEIGHTS)
    kohya, metadata = convert(state, "kohya", targets, metadata)
    state, metadata = convert(kohya, to, targets, metadata)
    save_file({k: v.contiguous() for k, v in state.items()}, tmp_path / "b.safetensors", metadata)
    loaded = tiny_unet().eval()
    loaded.load_lora_adapter(tmp_path, weight_name="b.safetensors", prefix="unet")
    assert scales(loaded) == pytest.approx(scales(unet), rel=1e-7)
    torch.testing.assert_close(run(loaded), run(unet), rtol=1e-5, atol=1e-5)
    assert (run(unet) - run(tiny_unet().eval())).abs().max() > 1e-2


def test_the_metadata_written_is_a_config_that_peft_accepts(targets):
    stems = ["conv_in", "mid_block_attentions_0_proj_in"]
    state = {}
    for stem, rank in zip(stems, (4, 2), strict=True):
        state[f"lora_unet_{stem}.lora_down.weight"] = torch.ones(rank, 4)
        state[f"lora_unet_{stem}.lora_up.weight"] = torch.ones(8, rank)
        state[f"lora_unet_{stem}.alpha"] = torch.tensor(float(rank + 1))
    _, metadata = convert(state, "peft", targets)
    config = LoraConfig(**json.loads(metadata[ADAPTER_METADATA]))
    assert Counter(config.rank_pattern.values()) + Counter([config.r]) == {4: 1, 2: 1}
    assert set(config.target_modules) == {"conv_in", "mid_block.attentions.0.proj_in"}

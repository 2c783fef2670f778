"""What a saved LoRA says of itself, and that saving loses no file."""

import json
import math
import os

import pytest
import torch
from lora_files import pair
from safetensors import safe_open
from safetensors.torch import load_file

from fewstep.lora.adapter_config import ADAPTER_METADATA
from fewstep.lora.header import read_header
from fewstep.lora.layers import Layer
from fewstep.lora.save import RECIPE, file_metadata, save

OWN = {
    "version": 1,
    "id": None,
    "title": "My SDXL in four steps, \u00e9",
    "family": "lcm",
    "base": "sdxl",
    "kind": "lora",
    "steps": [4],
    "default_steps": 4,
    "guidance": {"kind": "cfg", "default": 1.5, "low": 1.0, "high": 2.0},
    "sampler": {"name": "tcd", "eta": 0.3},
    "schedule": {"spacing": "trailing"},
    "shift": None,
    "prediction": "eps",
    "start": "unit variance",
    "strength": 1.0,
    "stage": None,
    "negative_works": False,
    "teacher": "myModel_v3.safetensors",
}


def low_rank(rank, alpha=None):
    return Layer(torch.ones(rank, 3), torch.ones(5, rank), alpha=alpha)


def test_every_entry_is_what_its_readers_look_for():
    entries = file_metadata(OWN, [low_rank(4, 8.0)])
    assert json.loads(entries.pop(RECIPE)) == OWN
    assert entries == {
        "modelspec.sai_model_spec": "1.0.0",
        "modelspec.architecture": "stable-diffusion-xl-v1-base/lora",
        "modelspec.implementation": "diffusers",
        "modelspec.title": "My SDXL in four steps, \u00e9",
        "modelspec.prediction_type": "epsilon",
        "modelspec.usage_hint": "Sample with 4 steps, cfg 1.5 and tcd at eta 0.3.",
        "ss_network_module": "networks.lora",
        "ss_network_dim": "4",
        "ss_network_alpha": "8.0",
    }


@pytest.mark.parametrize(
    ("base", "prediction", "architecture", "prediction_type"),
    [
        ("sd15", "eps", "stable-diffusion-v1/lora", "epsilon"),
        ("sd21", "eps", "stable-diffusion-v2-512/lora", "epsilon"),
        ("sd21", "v", "stable-diffusion-v2-768-v/lora", "v"),
        ("sdxl", "x0", "stable-diffusion-xl-v1-base/lora", None),
        ("sd3", "flow", "stable-diffusion-v3-medium/lora", None),
        ("flux", "flow", "flux-1-dev/lora", None),
        ("z-image", "flow", "z-image/lora", None),
    ],
)
def test_architecture_and_prediction_are_named_as_the_specification_does(
    base, prediction, architecture, prediction_type
):
    entries = file_metadata(OWN | {"base": base, "prediction": prediction}, [])
    assert entries["modelspec.architecture"] == architecture
    assert entries.get("modelspec.prediction_type") == prediction_type


def test_the_hint_speaks_of_what_the_sampler_is_told():
    embedded = {"kind": "embedded", "default": 3.5, "low": 1.0, "high": 5.0}
    told = OWN | {"guidance": embedded, "sampler": {"name": "euler"}, "default_steps": 1}
    hint = file_metadata(told, [])["modelspec.usage_hint"]
    assert hint == "Sample with 1 step, guidance 3.5 and euler."


def test_rank_and_alpha_are_the_commonest_pair():
    whole = Layer(diff=torch.ones(2))
    layers = [low_rank(4, 8.0), low_rank(2), low_rank(2), whole, whole, whole]
    entries = file_metadata(OWN, layers)
    assert (entries["ss_network_dim"], entries["ss_network_alpha"]) == ("2", "2.0")
    assert "ss_network_dim" not in file_metadata(OWN, [whole])


def test_other_entries_are_kept_and_ours_are_said_anew():
    old = {ADAPTER_METADATA: "{}", "note": "mine", "modelspec.title": "old"}
    entries = file_metadata(OWN, [], old)
    assert entries[ADAPTER_METADATA] == "{}" and entries["note"] == "mine"
    assert entries["modelspec.title"] == OWN["title"] and old["modelspec.title"] == "old"


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"strength": math.nan}, "recipe is no JSON: Out of range float"),
        ({"teacher": object()}, "recipe is no JSON: Object of type object"),
        ({"teacher": "x" * 100_000}, r"recipe has 100\d\d\d bytes of JSON; allowed are 100000"),
    ],
)
def test_a_recipe_that_no_header_should_hold_is_refused(change, match):
    with pytest.raises(ValueError, match=match):
        file_metadata(OWN | change, [])


def test_a_recipe_that_lacks_what_is_needed_is_refused():
    recipe = {name: value for name, value in OWN.items() if name not in ("base", "sampler")}
    with pytest.raises(ValueError, match="recipe has no base, sampler; give all of title, base,"):
        file_metadata(recipe, [])


def test_a_saved_file_is_read_back_bit_for_bit(tmp_path):
    path = tmp_path / "lora.safetensors"
    state = pair("lora_unet_a", alpha=2) | {"half": torch.ones(2, 3).half().T}
    entries = file_metadata(OWN, [low_rank(2)])
    save(path, state, entries)
    loaded = load_file(path)
    assert loaded.keys() == state.keys()
    assert all(torch.equal(loaded[name], state[name]) for name in state)
    with safe_open(path, "pt") as file:
        assert file.metadata() == entries
    assert json.loads(read_header(path).metadata[RECIPE]) == OWN
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


def test_a_file_that_is_there_is_kept_unless_it_may_be_overwritten(tmp_path):
    path = tmp_path / "lora.safetensors"
    path.write_bytes(b"precious")
    with pytest.raises(ValueError, match="lora.safetensors is there already; choose another name"):
        save(path, pair("lora_unet_a"), {})
    assert path.read_bytes() == b"precious"
    kept = tmp_path / "the same file under another name"
    os.link(path, kept)
    save(path, pair("lora_unet_a"), {}, overwrite=True)
    # the old file is replaced by a whole one, never written into
    assert kept.read_bytes() == b"precious"
    assert load_file(path).keys() == pair("lora_unet_a").keys()


def test_a_file_is_kept_when_writing_the_new_one_fails(tmp_path):
    path = tmp_path / "lora.safetensors"
    path.write_bytes(b"precious")
    # the library refuses metadata that is no text once it is called
    with pytest.raises(TypeError):
        save(path, pair("lora_unet_a"), {"steps": 4}, overwrite=True)
    assert path.read_bytes() == b"precious"
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize(
    ("tensors", "match"),
    [
        ({}, "there are no tensors for a.safetensors; the LoRA would change nothing"),
        ({"x.alpha": torch.tensor(math.nan)}, "x.alpha has 1 values that are NaN or infinite"),
    ],
)
def test_a_lora_that_is_none_is_not_saved(tensors, match, tmp_path):
    with pytest.raises(ValueError, match=match):
        save(tmp_path / "a.safetensors", tensors, {})
    assert list(tmp_path.iterdir()) == []

"""A LoRA makes the same picture from every dialect, which ComfyUI's loader alone does not."""

import importlib

import pytest
import torch
from host.test_demo_model import CAPTION, SEED, demo, encode
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from fewstep.demo import weights
from fewstep.lora.convert import convert
from fewstep.lora.dialects import DIALECTS

LAYERS = 79


@pytest.fixture(scope="module")
def targets():
    diffusers = importlib.import_module("diffusers")
    network = diffusers.UNet2DConditionModel.from_config(weights.read_config("unet"))
    return {"unet": [path for path, m in network.named_modules() if hasattr(m, "weight")]}


def host_names(network):
    """Diffusers' weight names of this UNet to the host's."""
    utils = importlib.import_module("comfy.utils")
    return utils.unet_to_diffusers(network.model.model_config.unet_config)


def shipped():
    """The demo LoRA with half its alpha, so that a reader who forgets alpha is seen."""
    tensors = load_file(weights.LCM_LORA)
    return {k: tensor / 2 if k.endswith(".alpha") else tensor for k, tensor in tensors.items()}


def with_lora(tensors):
    """The demo teacher with a LoRA applied by the host's own loader."""
    sd = importlib.import_module("comfy.sd")
    return sd.load_lora_for_models(demo()[0], None, tensors, 1.0, 0.0)[0]


def latents(model):
    """Four LCM steps of a variant of the demo model."""
    nodes, clip = importlib.import_module("nodes"), demo()[1]
    words = encode(clip, CAPTION), encode(clip, "")
    empty = {"samples": torch.zeros(1, 4, 16, 16)}
    made = nodes.KSampler().sample(model, SEED, 4, 1.0, "lcm", "simple", *words, empty)
    return made[0]["samples"]


def in_dialect(dialect, targets, folder):
    """The shipped LoRA as a file of this dialect: its tensors and its metadata."""
    names = host_names(demo()[0]) if dialect == "comfyui" else None
    written, metadata = convert(shipped(), dialect, targets, names=names)
    path = folder / "lora.safetensors"
    save_file({key: tensor.contiguous() for key, tensor in written.items()}, path, metadata)
    with safe_open(path, "pt") as file:
        return load_file(path), file.metadata() or {}


@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_dialect_makes_the_same_latents_once_converted(host, targets, dialect, tmp_path):
    tensors, metadata = in_dialect(dialect, targets, tmp_path)
    names = host_names(demo()[0])
    converted, _ = convert(tensors, "kohya", targets, metadata, names)
    assert torch.equal(latents(with_lora(converted)), latents(with_lora(shipped())))


@pytest.mark.parametrize(
    ("dialect", "applied", "is_the_same"),
    [
        ("kohya", LAYERS, True),
        ("comfyui", LAYERS, True),
        # every layer, but at twice its strength: alpha stands in the metadata
        ("old diffusers", LAYERS, False),
        # attention is left out
        ("diffusers", 47, False),
        ("peft", 0, False),
    ],
)
def test_the_hosts_loader_alone_applies_what_it_can_read(
    host, targets, dialect, applied, is_the_same, tmp_path
):
    model = with_lora(in_dialect(dialect, targets, tmp_path)[0])
    assert len(model.patches) == applied
    assert torch.equal(latents(model), latents(with_lora(shipped()))) == is_the_same

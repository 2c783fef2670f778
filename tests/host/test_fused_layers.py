"""LoRAs whose layers are parts of weights: FLUX has queries, keys and values in one."""

import importlib
import json

import pytest
import torch
from host.test_structure import FLUX
from safetensors.torch import save_file

from fewstep.lora.header import read_header

WIDTH, RANK = 3072, 2
# diffusers' name, outputs, inputs, and the part of ComfyUI's weight
LAYERS = [
    ("single_transformer_blocks.0.attn.to_k", WIDTH, WIDTH, "single_blocks.0.linear1", 3072),
    ("single_transformer_blocks.0.proj_mlp", 12288, WIDTH, "single_blocks.0.linear1", 9216),
    ("transformer_blocks.1.attn.to_v", WIDTH, WIDTH, "double_blocks.1.img_attn.qkv", 6144),
    ("transformer_blocks.1.ff.net.2", WIDTH, 12288, "double_blocks.1.img_mlp.2", None),
]


@pytest.fixture(scope="module")
def flux(host):
    """FLUX of the real shapes, without memory."""
    models = importlib.import_module("comfy.supported_models")
    if not hasattr(models, "Flux2"):
        pytest.skip("this ComfyUI is older than these classes' arguments")
    config = models.Flux({**FLUX, "image_model": "flux"})
    config.set_inference_dtype(torch.float16, None)
    patcher = importlib.import_module("comfy.model_patcher").ModelPatcher
    device = torch.device("cpu")
    model = config.get_model({}, "", device="meta")
    return patcher(model, load_device=device, offload_device=device)


@pytest.mark.parametrize("alpha", [None, 1.0])
@pytest.mark.parametrize("prefix", ["transformer.", "base_model.model.", ""])
def test_every_layer_finds_its_part_of_the_weight(flux, prefix, alpha, tmp_path):
    loras = importlib.import_module("fewstep.nodes.host.loras")
    path, tensors, metadata = tmp_path / "a.safetensors", {}, {}
    for name, out, width, _, _ in LAYERS:
        tensors[f"{prefix}{name}.lora_A.weight"] = torch.ones(RANK, width)
        tensors[f"{prefix}{name}.lora_B.weight"] = torch.ones(out, RANK)
    if alpha is not None:
        component = "transformer." if prefix == "transformer." else ""
        metadata["lora_adapter_metadata"] = json.dumps({f"{component}lora_alpha": alpha})
    save_file(tensors, path, metadata)
    fit = loras.fit_of(read_header(path), flux)
    assert fit.coverage.verdict == "whole"
    patches = loras.with_lora(flux, path, fit, 0.5).patches
    found = {
        (key, offset and tuple(offset)): (strength, adapter.weights)
        for key, changes in patches.items()
        for strength, adapter, _, offset, _ in changes
    }
    for _, out, width, module, start in LAYERS:
        part = None if start is None else (0, start, out)
        strength, (up, down, its_alpha, *_) = found.pop((f"diffusion_model.{module}.weight", part))
        assert (up.shape, down.shape) == ((out, RANK), (RANK, width))
        assert (strength, its_alpha) == (0.5, alpha)
    assert not found

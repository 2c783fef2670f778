"""What Negative (FewStep) costs, in passes of the network: multiplications counted on real shapes.

.venv/comfyui/bin/python benchmarks/negative_cost.py [folder of ComfyUI]

The networks have the published sizes and no memory (device meta). One pass of one picture, its
prompt and a negative prompt of the same length; torch's FLOP counter.
"""

import dataclasses
import importlib
import sys

import torch
from in_comfyui import load_comfyui
from torch.utils.flop_counter import FlopCounterMode


def main():
    load_comfyui(sys.argv[1] if len(sys.argv) > 1 else None)
    print("| network | picture | tokens of a prompt | TFLOP of a pass | passes |")
    print("|---|---|---|---|---|")
    for name, picture, tokens, count in rows():
        plain, guided = count(None), count(tokens)
        print(f"| {name} | {picture} | {tokens} | {plain / 1e12:.2f} | {guided / plain:.3f} |")


def rows():
    """(name, pixels, tokens, function that counts a pass with a negative prompt of a length)."""
    shapes = importlib.import_module("host.shapes")
    for name, config, size in (("SD 1.5", shapes.SD15_UNET, 64), ("SDXL", shapes.SDXL_UNET, 128)):
        yield name, size * 8, 77, unet(config, size)
    for tokens in (256, 512):
        yield "FLUX.1-dev", 1024, tokens, flux(tokens)


def unet(config, size):
    model = importlib.import_module("comfy.ldm.modules.diffusionmodules.openaimodel").UNetModel
    ops = importlib.import_module("comfy.ops").disable_weight_init
    network = model(**config, dtype=torch.float16, device="meta", operations=ops)
    y = config["adm_in_channels"] and meta(1, config["adm_in_channels"])
    cross = importlib.import_module("fewstep.nodes.host.negative_unet").cross

    def run(context, options):
        network(meta(1, 4, size, size), meta(1), context, y, None, options)

    return counter(network, run, meta(1, 77, config["context_dim"]), cross)


def flux(tokens):
    shapes = importlib.import_module("host.test_structure").FLUX
    module = importlib.import_module("comfy.ldm.flux.model")
    ops = importlib.import_module("comfy.ops").disable_weight_init
    known = {field.name for field in dataclasses.fields(module.FluxParams)}
    config = {name: value for name, value in shapes.items() if name in known}
    network = module.Flux(**config, dtype=torch.float16, device="meta", operations=ops)
    joint = importlib.import_module("fewstep.nodes.host.negative_joint").joint

    def run(context, options):
        told = meta(1, 768), meta(1)
        network(meta(1, 16, 128, 128), meta(1), context, *told, None, None, options)

    return counter(network, run, meta(1, tokens, 4096), joint)


def meta(*shape):
    return torch.zeros(shape, device="meta", dtype=torch.float16)


def counter(network, run, context, family):
    """(length of the negative prompt or None) -> floating point operations of a pass."""
    words = importlib.import_module("fewstep.nodes.host.negative_words")
    attention = importlib.import_module("comfy.ldm.modules.attention").attention_pytorch

    def count(tokens):
        # the others ask the device how much memory is free
        options = {"optimized_attention_override": lambda _, *a, **named: attention(*a, **named)}
        given = context
        if tokens is not None:
            settings = words.Settings(4.0, 2.5, 0.25)
            rows = torch.ones(1, dtype=torch.bool)
            negative = words.Words(network, meta(1, tokens, context.shape[2]), rows, settings)
            given, options = family(context, negative, options)
        with FlopCounterMode(display=False) as flops, torch.no_grad():
            run(given, options)
        return flops.get_total_flops()

    return count


if __name__ == "__main__":
    sys.exit(main())

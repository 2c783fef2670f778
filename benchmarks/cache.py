"""What a cache saves and what it costs: the demo teacher in 50 steps, FewStep's beside ComfyUI's.

.venv/comfyui/bin/python benchmarks/cache.py [folder of ComfyUI] [--pictures 96] [--rows TEXT]
    [--json FILE]

All rows take the same captions and noise, by turns of 16 pictures. One thread; CPU time.
cache_plot.py draws what --json wrote.
"""

import argparse
import importlib
import json
import sys
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from in_comfyui import load_comfyui

STEPS, BATCH = 50, 16
PLAIN = "no cache"
OURS = {
    "auto": {"policy": "auto"},
    **{f"fixed, {n} of {n + 1} reused": {"max_skips": n} for n in (1, 2, 3, 4, 5)},
    "fixed, 2 of 3 reused, no forecast": {"max_skips": 2, "forecast": "reuse"},
    **{
        f"first block, {t:g}": {"policy": "first block", "threshold": t, "max_skips": 5}
        for t in (0.05, 0.1, 0.2)
    },
    **{
        f"accumulated change, {t:g}": {
            "policy": "accumulated change",
            "threshold": t,
            "max_skips": 5,
        }
        for t in (0.1, 0.2)
    },
    **{
        f"whole step, {t:g}": {"policy": "whole step", "threshold": t, "max_skips": 5}
        for t in (0.02, 0.03, 0.06)
    },
    **{f"guidance every {n} steps": {"max_skips": 0, "guidance_interval": n} for n in (2, 3, 4, 5)},
    "fixed, 2 of 3 reused, guidance every 3 steps": {"max_skips": 2, "guidance_interval": 3},
}
THEIRS = {
    f"{name}, {threshold:g}": (name, threshold)
    for name in ("EasyCache", "LazyCache")
    for threshold in (0.01, 0.02, 0.05, 0.1)
}


class Row(NamedTuple):
    """What the pictures of one setting came to, and what a turn of them took."""

    seconds: list[float]
    blocks: list[int]  # of the network that ran, one for each row of its batch
    errors: list[float]  # PSNR against no cache, dB
    likeness: list[float]  # SSIM against no cache
    right: list[bool]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?")
    parser.add_argument("--pictures", type=int, default=96)
    parser.add_argument("--rows", default="", help="only rows with this text")
    parser.add_argument("--json", help="write the figures of the table to this file")
    arguments = parser.parse_args()
    load_comfyui(arguments.folder)
    torch.set_num_threads(1)
    with torch.inference_mode():
        rows = measured(arguments.pictures, arguments.rows)
    print(table(rows))
    if arguments.json:
        figures = {name: figures_of(row, rows[PLAIN]) for name, row in rows.items()}
        Path(arguments.json).write_text(json.dumps(figures, indent=1), encoding="utf-8")


def measured(count, wanted):
    model, clip, vae = (
        importlib.import_module("fewstep.nodes").FewStepDemoModel.execute("teacher").result
    )
    models = {PLAIN: model} | {name: made for name, made in candidates(model) if wanted in name}
    captions = importlib.import_module("fewstep.headless.compare").demo_captions(count, seed=0)
    rows = {name: Row([], [], [], [], []) for name in models}
    counter = count_blocks(model)
    for first in range(0, count, BATCH):
        texts, plain = captions[first : first + BATCH], None
        for name, made in models.items():
            counter[0], begun = 0, time.process_time()
            latents = sampled(made, clip, texts, seed=first)
            rows[name].seconds.append(time.process_time() - begun)
            rows[name].blocks.append(counter[0])
            pictures = decoded(vae, latents)
            plain = pictures if plain is None else plain
            judge(rows[name], pictures, plain, texts)
        print(f"{first + len(texts)} of {count} pictures", file=sys.stderr, flush=True)
    return rows


def count_blocks(model):
    """A list of one number that grows by each block of the network that runs."""
    network, counter = model.model.diffusion_model, [0]

    def count(layer, arguments, result):
        counter[0] += len(result)

    # ComfyUI calls the layers of a block, not the block
    for block in [*network.input_blocks, network.middle_block, *network.output_blocks]:
        block[0].register_forward_hook(count)
    return counter


def candidates(model):
    node = importlib.import_module("fewstep.nodes").FewStepCache
    inputs_of = importlib.import_module("host.cached_runs").node_inputs
    for name, inputs in OURS.items():
        chosen = inputs_of(**{"policy": "fixed", **inputs})
        yield name, node.execute(model, **chosen)[0]
    core = importlib.import_module("comfy_extras.nodes_easycache")
    for name, (kind, threshold) in THEIRS.items():
        settings = threshold, chosen["start_percent"], chosen["end_percent"], False
        yield name, getattr(core, f"{kind}Node").execute(model, *settings)[0]


def sampled(model, clip, texts, seed):
    nodes = importlib.import_module("nodes")
    guidance = importlib.import_module("fewstep.demo.weights").GUIDANCE
    states = [nodes.CLIPTextEncode().encode(clip, text)[0][0][0] for text in texts]
    positive, negative = [[torch.cat(states), {}]], nodes.CLIPTextEncode().encode(clip, "")[0]
    latent = {"samples": torch.zeros(len(texts), 4, 16, 16)}
    words = "euler", "simple", positive, negative, latent
    return nodes.KSampler().sample(model, seed, STEPS, guidance, *words)[0]["samples"]


def decoded(vae, latents):
    pictures = importlib.import_module("nodes").VAEDecode().decode(vae, {"samples": latents})[0]
    return (pictures.clamp(0, 1) * 255).round()


def judge(row, pictures, plain, texts):
    compare = importlib.import_module("fewstep.evaluate.compare")
    reader, world = (importlib.import_module(f"fewstep.demo.{name}") for name in ("judge", "world"))
    for picture, reference, text in zip(pictures, plain, texts, strict=True):
        a, b = picture.movedim(-1, 0), reference.movedim(-1, 0)
        row.errors.append(compare.psnr(a, b))
        row.likeness.append(compare.ssim(a, b))
        seen = reader.read_picture(picture.byte().numpy())
        row.right.append(reader.satisfies(seen, world.read_caption(text)))


def figures_of(row, plain):
    """What a line of the table says of a row."""
    together = list(zip(plain.right, row.right, strict=True))
    return {
        # the median over the turns, which each have a run without a cache
        "speed": float(np.median([a / b for a, b in zip(plain.seconds, row.seconds, strict=True)])),
        "fewer blocks": sum(plain.blocks) / max(sum(row.blocks), 1),
        "psnr": float(np.median(row.errors)),
        "ssim": float(np.mean(row.likeness)),
        "right": sum(row.right),
        "pictures": len(row.right),
        "became wrong": sum(a and not b for a, b in together),
        "became right": sum(b and not a for a, b in together),
    }


def table(rows):
    lines = [
        "| row | time | blocks | PSNR, dB | SSIM | right | became wrong, right |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, row in rows.items():
        of = figures_of(row, rows[PLAIN])
        lines.append(
            f"| {name} | {of['speed']:.2f} | {of['fewer blocks']:.2f} | {of['psnr']:.1f} "
            f"| {of['ssim']:.4f} | {100 * of['right'] / of['pictures']:.1f} % "
            f"| {of['became wrong']}, {of['became right']} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())

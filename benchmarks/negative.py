"""What a negative prompt is worth at cfg 1: the share of a colour that it names, on the demo model.

.venv/comfyui/bin/python benchmarks/negative.py [folder of ComfyUI] [--pictures 18]

The prompts leave the colour open and the negative prompt is "red". All rows take the same noise.
"""

import argparse
import importlib
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch
from in_comfyui import load_comfyui

STEPS = 4
NEGATIVE = "red"
BACKGROUNDS = ("gray", "black")
# scale, tau, alpha of Negative (FewStep); the first are its defaults, the second those for SDXL
SETTINGS = ((4.0, 2.5, 0.25), (2.0, 2.5, 0.5), (4.0, 1.2, 0.25), (4.0, 1.0, 0.25), (4.0, 1.0, 0.5))


class Row(NamedTuple):
    """A way to guide: its name, network passes, and what makes a guider for a prompt."""

    name: str
    passes: int
    guider: Callable


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?")
    parser.add_argument("--pictures", type=int, default=18, help="of each of the 12 prompts")
    arguments = parser.parse_args()
    load_comfyui(arguments.folder)
    torch.set_num_threads(1)
    demo = importlib.import_module("fewstep.nodes").FewStepDemoModel
    with torch.inference_mode():
        model, clip, vae = demo.execute("teacher + LCM-LoRA").result
        encode = partial(_encoded, clip)
        plain = None
        print("| row | passes | red | right | apart | CPU time |\n|---|---|---|---|---|---|")
        for row in rows(model, encode(NEGATIVE)):
            counted = count(row, model, encode, vae, arguments.pictures)
            plain = plain or counted["seconds"]
            print(line(row, counted, plain), flush=True)


def rows(model, negative):
    ours = importlib.import_module("fewstep.nodes")

    def guided(model, cfg=1.0, end=1.0, negative=negative):
        guider = ours.FewStepGuider.execute
        return lambda positive: guider(model, positive, 0.0, cfg, 0.0, end, negative)[0]

    yield Row("no negative prompt", STEPS, guided(model, negative=None))
    for settings in SETTINGS:
        name = "Negative (FewStep), scale {:g}, tau {:g}, alpha {:g}".format(*settings)
        made = ours.FewStepNegative.execute(model, negative, *settings)[0]
        yield Row(name, STEPS, guided(made, negative=None))
    yield Row("cfg 2, ComfyUI's own negative prompt", 2 * STEPS, guided(model, 2.0))
    for cfg in (2.0, 3.0):
        name = f"Guider (FewStep), cfg {cfg:g} in the first step"
        yield Row(name, STEPS + 1, guided(model, cfg, 1 / STEPS - 0.05))
    try:
        nag = importlib.import_module("comfy_extras.nodes_nag").NAGuidance
    except ModuleNotFoundError:
        return
    # it needs both passes
    made = nag.execute(model, 5.0, 0.5, 1.5)[0]
    yield Row("ComfyUI's NAGuidance, its defaults", 2 * STEPS, guided(made))


def _encoded(clip, text):
    return importlib.import_module("nodes").CLIPTextEncode().encode(clip, text)[0]


def count(row, model, encode, vae, pictures):
    """What the judge reads in the pictures of all prompts."""
    judge, world = (importlib.import_module(f"fewstep.demo.{name}") for name in ("judge", "world"))
    runs = importlib.import_module("host.runs")
    nodes, sampling = (importlib.import_module(name) for name in ("nodes", "comfy.sample"))
    counted = {"pictures": 0, "right": 0, "things": 0, "red": 0, "apart": [], "seconds": 0.0}
    prompts = [(shape, ground) for shape in world.SHAPES for ground in BACKGROUNDS]
    latent = torch.zeros(pictures, 4, 16, 16)
    levels, sampler = runs.sigmas(model, "lcm", STEPS), runs.lcm()
    for seed, (shape, ground) in enumerate(prompts):
        guider = row.guider(encode(f"a {shape} on a {ground} background"))
        noise = sampling.prepare_noise(latent, seed)
        start = time.process_time()
        samples = guider.sample(noise, latent, sampler, levels, seed=seed)
        counted["seconds"] += time.process_time() - start
        decoded = nodes.VAEDecode().decode(vae, {"samples": samples})[0]
        seen_as = (decoded.clamp(0, 1) * 255).round().byte()
        counted["apart"].append(apart(seen_as))
        for picture in seen_as.numpy():
            seen = judge.read_picture(picture)
            colours = [thing.colour for thing in seen.things if thing.colour]
            counted["pictures"] += 1
            counted["things"] += len(colours)
            counted["red"] += colours.count(NEGATIVE)
            shown = [thing.shape for thing in seen.things] == [shape]
            counted["right"] += shown and seen.background == ground
    return counted


def apart(pictures):
    """How far two pictures of one prompt are apart on average: root mean square, of 255."""
    flat = pictures.flatten(1).double()
    return float(torch.pdist(flat).mean() / flat.shape[1] ** 0.5)


def line(row, counted, plain):
    """A row of the table, with 95 % intervals after Wilson."""
    red, right = (
        f"{k} of {n}, {share(k, n)}"
        for k, n in (
            (counted["red"], counted["things"]),
            (counted["right"], counted["pictures"]),
        )
    )
    different = sum(counted["apart"]) / len(counted["apart"])
    ratio = counted["seconds"] / plain
    return f"| {row.name} | {row.passes} | {red} | {right} | {different:.1f} | {ratio:.2f} |"


def share(k, n):
    if n == 0:
        return "no share"
    score = importlib.import_module("fewstep.demo.score").Score(k, n)
    low, high = score.interval
    return f"{100 * score.accuracy:.1f} % ({100 * low:.1f} to {100 * high:.1f})"


if __name__ == "__main__":
    sys.exit(main())

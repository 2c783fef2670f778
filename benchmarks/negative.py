"""What a negative prompt is worth at cfg 1: the share of a colour that it names, on the demo model.

.venv/comfyui/bin/python benchmarks/negative.py [folder of ComfyUI] [--pictures 18]

The prompts leave the colour open and the negative prompt is "red". All rows take the same noise.
"""

import argparse
import importlib
import sys
import time
from functools import partial

import torch
from in_comfyui import load_comfyui

STEPS = 4
NEGATIVE = "red"
BACKGROUNDS = ("gray", "black")
# scale, tau, alpha of Negative (FewStep); the first are its defaults, the second those for SDXL
SETTINGS = ((4.0, 2.5, 0.25), (2.0, 2.5, 0.5), (4.0, 1.2, 0.25), (4.0, 1.0, 0.25), (4.0, 1.0, 0.5))


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
        print("| row | passes | red | right | CPU time |\n|---|---|---|---|---|")
        for name, made, cfg in rows(model, encode):
            counted = count(made, encode, vae, cfg, arguments.pictures)
            plain = plain or counted["seconds"]
            print(
                line(name, counted, plain, 2 if cfg > 1 or "NAGuidance" in name else 1), flush=True
            )


def rows(model, encode):
    """(name, MODEL, cfg) of every row."""
    ours = importlib.import_module("fewstep.nodes")
    yield "no negative prompt", model, 1.0
    for settings in SETTINGS:
        guided = ours.FewStepNegative.execute(model, encode(NEGATIVE), *settings)[0]
        yield "Negative (FewStep), scale {:g}, tau {:g}, alpha {:g}".format(*settings), guided, 1.0
    yield "cfg 2, ComfyUI's own negative prompt", model, 2.0
    try:
        nag = importlib.import_module("comfy_extras.nodes_nag").NAGuidance
    except ModuleNotFoundError:
        return
    yield "ComfyUI's NAGuidance, its defaults", nag.execute(model, 5.0, 0.5, 1.5)[0], 1.0


def _encoded(clip, text):
    return importlib.import_module("nodes").CLIPTextEncode().encode(clip, text)[0]


def count(model, encode, vae, cfg, pictures):
    """What the judge reads in the pictures of all prompts."""
    judge, world = (importlib.import_module(f"fewstep.demo.{name}") for name in ("judge", "world"))
    runs = importlib.import_module("host.runs")
    nodes = importlib.import_module("nodes")
    counted = {"pictures": 0, "right": 0, "things": 0, "red": 0, "seconds": 0.0}
    prompts = [(shape, ground) for shape in world.SHAPES for ground in BACKGROUNDS]
    latent = {"samples": torch.zeros(pictures, 4, 16, 16)}
    levels, sampler = runs.sigmas(model, "lcm", STEPS), runs.lcm()
    for seed, (shape, ground) in enumerate(prompts):
        positive = encode(f"a {shape} on a {ground} background")
        start = time.process_time()
        samples = runs.sample(
            *(model, sampler, levels, latent),
            cfg=cfg,
            seed=seed,
            positive=positive,
            negative=encode(NEGATIVE),
        )
        counted["seconds"] += time.process_time() - start
        decoded = nodes.VAEDecode().decode(vae, {"samples": samples})[0]
        for picture in (decoded.clamp(0, 1) * 255).round().byte().numpy():
            seen = judge.read_picture(picture)
            colours = [thing.colour for thing in seen.things if thing.colour]
            counted["pictures"] += 1
            counted["things"] += len(colours)
            counted["red"] += colours.count(NEGATIVE)
            shown = [thing.shape for thing in seen.things] == [shape]
            counted["right"] += shown and seen.background == ground
    return counted


def line(name, counted, plain, passes):
    """A row of the table, with 95 % intervals after Wilson."""
    red, right = (
        f"{k} of {n}, {share(k, n)}"
        for k, n in (
            (counted["red"], counted["things"]),
            (counted["right"], counted["pictures"]),
        )
    )
    ratio = counted["seconds"] / plain
    return f"| {name} | {STEPS * passes} | {red} | {right} | {ratio:.2f} |"


def share(k, n):
    if n == 0:
        return "no share"
    score = importlib.import_module("fewstep.demo.score").Score(k, n)
    low, high = score.interval
    return f"{100 * score.accuracy:.1f} % ({100 * low:.1f} to {100 * high:.1f})"


if __name__ == "__main__":
    sys.exit(main())

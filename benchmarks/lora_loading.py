"""Time and memory of FewStep's LoRA loader against ComfyUI's LoraLoader on one SDXL-sized file.

    .venv/comfyui/bin/python benchmarks/lora_loading.py [folder of ComfyUI]

The LoRA has rank 64 over every Linear and Conv2d of SDXL's UNet, kohya's names, float16. The model
has its shapes but no memory (device "meta"), since a loader reads only its names. Every load is in
a process of its own; the file is in the page cache. What a load costs later, when the core adds the
patches to the weights, is the same for both: the patches are the same objects of the core's.
"""

import argparse
import gc
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from in_comfyui import load_comfyui

REPETITIONS = 10
RANK = 64
TIME_LIMIT, MEMORY_LIMIT = 1.1, 1.0
# the allocator rounds differently from process to process
MEMORY_NOISE = 0.01


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("comfyui", nargs="?", help="default: $COMFYUI_PATH or ~/comfy/ComfyUI")
    parser.add_argument("--repetitions", type=int, default=REPETITIONS)
    parser.add_argument("--load", nargs=2, metavar=("WHOSE", "FOLDER"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    load_comfyui(arguments.comfyui)
    if arguments.load:
        print(json.dumps(measure(*arguments.load)))
        return 0
    with tempfile.TemporaryDirectory() as folder:
        write_lora(Path(folder) / "lora.safetensors")
        write_lora(Path(folder) / "small.safetensors", layers=8)
        command = [sys.executable, __file__, *filter(None, [arguments.comfyui]), "--load"]
        pairs = [
            [loaded([*command, whose, folder]) for whose in order(i)][:: 1 if i % 2 else -1]
            for i in range(arguments.repetitions)
        ]
    return report(pairs)


def order(i):
    return ("ours", "core") if i % 2 else ("core", "ours")


def loaded(command):
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def report(pairs):
    print("| | core | FewStep | ratio |\n|---|---|---|---|")
    ratios = {}
    for what, unit in (("seconds", "s"), ("megabytes", "MB")):
        ours, core = ([run[what] for run in column] for column in zip(*pairs, strict=True))
        ratios[what] = statistics.median(a / b for a, b in zip(ours, core, strict=True))
        cells = [f"{statistics.median(values):.3f} {unit}" for values in (core, ours)]
        print(f"| {what} | {' | '.join(cells)} | {ratios[what]:.3f} |")
    print(f"\nallowed: time {TIME_LIMIT}, peak memory {MEMORY_LIMIT}")
    slow = ratios["seconds"] > TIME_LIMIT
    return int(slow or ratios["megabytes"] > MEMORY_LIMIT + MEMORY_NOISE)


def measure(whose, folder):
    """Seconds of one load, and by how much the process's peak memory rose meanwhile."""
    import folder_paths
    import nodes
    import torch

    from fewstep.nodes import loaders
    from fewstep.nodes.known import recipes

    folder_paths.folder_names_and_paths["loras"] = ([folder], {".safetensors"})
    model, recipe = sdxl(), recipes()["lcm-lora-sdxl"]

    def load(name):
        if whose == "ours":
            return loaders.load_lora(model, name, 1.0, 0, recipe, "stop")
        return nodes.LoraLoader().load_lora(model, None, name, 1.0, 0.0)

    with torch.inference_mode():
        # a ComfyUI that has loaded nothing yet reads code of torch's from the disk
        load("small.safetensors")
        gc.collect()
        before, start = reset_peak(), time.perf_counter()
        loaded = load("lora.safetensors")
        seconds = time.perf_counter() - start
        assert loaded
    return {"seconds": seconds, "megabytes": peak() - before}


def reset_peak():
    """Forget the peak so far; megabytes in use now. Linux only."""
    Path("/proc/self/clear_refs").write_text("5")
    return status("VmRSS")


def peak():
    return status("VmHWM")


def status(field):
    (line,) = [x for x in Path("/proc/self/status").read_text().splitlines() if field in x]
    return int(line.split()[1]) / 1024


def sdxl():
    """A MODEL of SDXL's shapes without weights."""
    import torch
    from comfy import model_patcher, supported_models
    from host.shapes import SDXL_UNET

    config = supported_models.SDXL(SDXL_UNET)
    config.set_inference_dtype(torch.float16, None)
    model = config.get_model({}, "", device="meta")
    device = torch.device("cpu")
    return model_patcher.ModelPatcher(model, load_device=device, offload_device=device)


def write_lora(path, layers=None):
    import torch
    from safetensors.torch import save_file

    generator = torch.Generator().manual_seed(0)
    weights = sdxl().model.diffusion_model.named_parameters()
    changed = [(n, w) for n, w in weights if n.endswith(".weight") and w.ndim >= 2]
    tensors = {}
    for name, weight in changed[:layers]:
        stem = "lora_unet_" + name.removesuffix(".weight").replace(".", "_")
        down, up = (RANK, *weight.shape[1:]), (len(weight), RANK, *[1] * (weight.ndim - 2))
        for part, shape in (("down", down), ("up", up)):
            random = torch.randn(shape, generator=generator) * 0.01
            tensors[f"{stem}.lora_{part}.weight"] = random.half()
        tensors[f"{stem}.alpha"] = torch.tensor(8.0)
    save_file(tensors, path)
    size = path.stat().st_size / 2**20
    print(f"{len(tensors) // 3} layers, rank {RANK}, {size:.0f} MB\n", flush=True)


if __name__ == "__main__":
    sys.exit(main())

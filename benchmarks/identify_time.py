"""How long it takes to identify a 7 GB checkpoint, and how much of that is Python's JSON reader.

.venv/bin/python benchmarks/identify_time.py [--repetitions 30]
"""

import argparse
import importlib
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
load_pack = importlib.import_module("run").load_pack

LIMIT = 50.0  # milliseconds
SIZE = 7_000_000_000  # bytes
# the second weight is the one that tells SDXL
WEIGHTS = [
    "model.diffusion_model.input_blocks.0.0.weight",
    "model.diffusion_model.input_blocks.7.1.transformer_blocks.9.attn2.to_k.weight",
]
# an SDXL checkpoint has 2,515 tensors
FILLERS = 2513


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repetitions", type=int, default=30)
    arguments = parser.parse_args()
    load_pack()
    identify = importlib.import_module("fewstep.recipes.identify").identify
    header = header_of_a_checkpoint()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "sdxl_lightning_4step.safetensors"
        with path.open("wb") as file:
            file.write(len(header).to_bytes(8, "little") + header)
            file.truncate(8 + len(header) + SIZE)
        assert identify(path).recipe.id == "sdxl-lightning-4step-checkpoint"
        whole = timed(lambda: identify(path), arguments.repetitions)
        bare = timed(lambda: json.loads(header), arguments.repetitions)
    print(f"identify: median {whole:.1f} ms, allowed {LIMIT:g} ms")
    print(f"json.loads of the same {len(header)} bytes: {bare:.1f} ms, ratio {whole / bare:.1f}")
    return int(whole > LIMIT)


def header_of_a_checkpoint():
    names = [*WEIGHTS, "first_stage_model.decoder.conv_in.weight"]
    names += [
        f"model.diffusion_model.input_blocks.{i}.0.in_layers.2.weight" for i in range(FILLERS)
    ]
    shapes = [[640, 640], [1280, 2048], *([[640, 640]] * (len(names) - 3))]
    used = sum(2 * rows * columns for rows, columns in shapes)
    shapes.append([(SIZE - used) // 2, 1])
    entries, begin = {}, 0
    for name, shape in zip(names, shapes, strict=True):
        end = begin + 2 * shape[0] * shape[1]
        entries[name] = {"dtype": "F16", "shape": shape, "data_offsets": [begin, end]}
        begin = end
    return json.dumps(entries).encode()


def timed(function, repetitions):
    """Median milliseconds of a call; the first call is not counted."""
    function()
    milliseconds = []
    for _ in range(repetitions):
        begin = time.perf_counter()
        function()
        milliseconds.append(1000 * (time.perf_counter() - begin))
    return statistics.median(milliseconds)


if __name__ == "__main__":
    sys.exit(main())

"""What guidance is worth to the demo teacher: caption accuracy at several values of cfg.

.venv/bin/python benchmarks/guidance.py [--pictures 200] [--cfg 4 1 2 3 6]

The values take the same captions and the same noise. weights.GUIDANCE is the best of them.
"""

import argparse
import importlib
import sys
from pathlib import Path

import torch
from tqdm import tqdm

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
load_pack = importlib.import_module("run").load_pack

STEPS = 50
SCALES = (4.0, 1.0, 2.0, 3.0, 6.0)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pictures", type=int, default=200)
    parser.add_argument("--cfg", type=float, nargs="+", default=SCALES)
    arguments = parser.parse_args()
    load_pack()
    compare = importlib.import_module("fewstep.headless.compare")
    results = importlib.import_module("fewstep.headless.results")
    pipeline = importlib.import_module("fewstep.headless.pipeline").load_demo()
    methods = tuple(results.Method(compare.TEACHER, STEPS, scale) for scale in arguments.cfg)
    total = compare.total_passes(arguments.pictures, methods)
    with tqdm(total=total) as progress, torch.inference_mode():
        measured, _ = compare.compare(
            {compare.TEACHER: pipeline},
            compare.demo_captions(arguments.pictures, seed=0),
            seed=0,
            batch=16,
            columns=1,
            methods=methods,
            on_passes=progress.update,
        )
    print(results.text_table(measured))


if __name__ == "__main__":
    sys.exit(main())

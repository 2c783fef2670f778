"""python run.py bench: how long one picture takes with the demo model, step count by step count."""

import argparse
import json
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
import transformers
from tqdm import tqdm

from ..demo.weights import GUIDANCE
from ..evaluate.golden_set import shipped
from ..evaluate.latency import Latency, by_turns, device_of
from ..evaluate.picture_set import write_whole
from ..evaluate.table import aligned
from ..samplers.noise import seeded_noise
from .compare import LATENT, STUDENT, TEACHER, sample
from .demo import machine, say, versions
from .latency_plot import plot
from .options import add_out, add_threads, within
from .pipeline import load_demo
from .results import Method
from .shipped_students import shipped_students

RUNS, WARM_UP = 20, 2
MOST_RUNS = 1000
METHODS = (
    *(Method(TEACHER, steps, GUIDANCE) for steps in (50, 25, 10)),
    *(Method(STUDENT, steps, 1.0, "lcm", "lcm") for steps in (8, 4, 2)),
)
DONE, REFUSED, INTERRUPTED = 0, 2, 130
HEADER = "", "passes", "median ms", "95 % ms", "times as fast"


def main(argv: list[str]) -> int:
    """Time; 0 when the results are written, 2 when they cannot be, 130 when interrupted."""
    wanted = parse(argv)
    if wanted.threads:
        torch.set_num_threads(wanted.threads)
    transformers.utils.logging.disable_progress_bar()
    try:
        wanted.out.mkdir(parents=True, exist_ok=True)
        write(wanted.out, timed(wanted.runs, wanted.only))
    except OSError as error:
        sys.stderr.write(f"{error}\n")
        return REFUSED
    except KeyboardInterrupt:
        sys.stderr.write("Interrupted; nothing was written.\n")
        return INTERRUPTED
    return DONE


def loaders() -> dict[Method, Callable]:
    """How the teacher, LCM-LoRA and every student of the UNet are loaded."""
    found = {method: partial(load_demo, lora=method.model == STUDENT) for method in METHODS}
    students = (one for one in shipped_students() if one.method.shift is None)
    return found | {student.method: student.load for student in students}


def timed(runs: int, only: list[str] | None) -> dict[str, Latency]:
    """Of those that are asked for, or of all."""
    known = {
        method: load for method, load in loaders().items() if method.title in (only or names())
    }
    ways = {method.title: way(load(), method) for method, load in known.items()}
    with (
        torch.inference_mode(),
        tqdm(total=len(ways) * (runs + WARM_UP), unit="run", disable=None) as bar,
    ):
        device = device_of(torch.device("cpu"))
        return by_turns(ways, runs=runs, warm_up=WARM_UP, device=device, on_run=bar.update)


def names() -> list[str]:
    return [method.title for method in loaders()]


def way(pipeline, method: Method):
    """() -> passes; makes the latent of one picture, text encoding included, decoding not."""
    golden, like = shipped("demo")[0], torch.empty(1, *LATENT)

    def make():
        noise, step_noise = (seeded_noise(like, [golden.seed + later]) for later in (0, 1))
        denoise = pipeline.denoiser([golden.prompt], method.cfg_scale, method.guidance)
        sample(denoise, method, noise(), step_noise)
        return method.passes

    return make


def as_text(found: dict[str, Latency]) -> str:
    """A row for each way."""
    rows = [HEADER]
    for name, of in found.items():
        seconds = (f"{1000 * value:.1f}" for value in (of.median, of.late))
        rows.append((name, str(of.passes), *seconds, f"{of.ratio:.1f}"))
    return "\n".join(aligned(rows))


def write(out: Path, found: dict[str, Latency]) -> None:
    """Text for the terminal, JSON for programs, and a plot."""
    told = {"machine": machine(), "threads": torch.get_num_threads(), "versions": versions()}
    results = {**told, "ways": {name: of._asdict() for name, of in found.items()}}
    write_whole(out / "bench.json", json.dumps(results, indent=1).encode())
    write_whole(out / "bench.svg", plot(found).encode())
    say(f"\n{as_text(found)}\n\nOne picture at a time, by turns, on {told['machine']}.")
    say(f"Plot: {out / 'bench.svg'}")


def parse(argv: list[str]) -> argparse.Namespace:
    """The arguments; a wrong one ends the program with status 2 and says what is allowed."""
    parser = argparse.ArgumentParser(
        prog="run.py bench",
        description="Time one picture of the demo model and of each of its students, by turns.",
    )
    parser.add_argument(
        "--runs",
        type=within("--runs", 1, MOST_RUNS),
        default=RUNS,
        metavar="N",
        help=f"timed runs of each, 1 to {MOST_RUNS}; default {RUNS}",
    )
    parser.add_argument(
        "--only",
        action="append",
        choices=names(),
        metavar="WAY",
        help="a way to time, more than once for several; default all: " + "; ".join(names()),
    )
    add_threads(parser)
    add_out(parser, "out/bench")
    return parser.parse_args(argv)

"""python run.py bench: how long one picture takes, way by way, by turns.

Without a file with the demo model, step count by step count; with one, with each model it names.
"""

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path

import diffusers
import torch
import transformers
from tqdm import tqdm

from ..evaluate.latency import Latency, by_turns, device_of
from ..evaluate.picture_set import write_whole
from ..evaluate.table import aligned
from .demo import say, versions
from .demo_ways import Make, Way, demo_ways
from .latency_plot import plot
from .model_ways import Turns, device_name, model_ways, picked, read_models
from .options import add_threads, within
from .precision import dtype_of

RUNS, WARM_UP = 20, 2
MOST_RUNS = 1000
DEMO_OUT = Path("out/bench")
CPU = torch.device("cpu")
DONE, REFUSED, INTERRUPTED = 0, 2, 130
HEADER = "", "passes", "median ms", "95 % ms", "times as fast"
MEMORY = "peak GB"


def main(argv: list[str]) -> int:
    """Time; 0 when the results are written, 2 when they cannot be, 130 when interrupted."""
    wanted = parse(argv)
    if wanted.threads:
        torch.set_num_threads(wanted.threads)
    transformers.utils.logging.disable_progress_bar()
    diffusers.utils.logging.disable_progress_bar()
    # it comments on every part that a pipeline has or has not
    diffusers.utils.logging.set_verbosity_error()
    try:
        (of_demo if wanted.config is None else of_models)(wanted)
    except (ValueError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return REFUSED
    except KeyboardInterrupt:
        sys.stderr.write("Interrupted; nothing was written.\n")
        return INTERRUPTED
    return DONE


def of_demo(wanted: argparse.Namespace) -> None:
    """Time those that are asked for, or all usual ones."""
    out, only = wanted.out or DEMO_OUT, wanted.only
    out.mkdir(parents=True, exist_ok=True)
    chosen = [way for way in demo_ways() if (way.name in only if only else way.is_usual)]
    with torch.inference_mode():
        found = timed(chosen, wanted.runs)
    write(out, found, {"machine": device_name(CPU)}, "One picture at a time")


def of_models(wanted: argparse.Namespace) -> None:
    """Time the models of a file.

    Raises:
        ValueError: as of `read_models` and `model_ways`, a name is not in the file, or no model can
            be run here.
        OSError: a file cannot be read or written.
    """
    config, device = read_models(wanted.config)
    out = wanted.out or config.pictures.folder / "bench"
    turns, golden = Turns(device), config.golden_set[0]
    chosen = picked(model_ways(wanted.config, config, turns), wanted.only, wanted.config)
    out.mkdir(parents=True, exist_ok=True)
    found = timed(chosen, wanted.runs, device, turns.prepare)
    dtype = str(dtype_of(config.pictures.dtype, device)).removeprefix("torch.")
    told = {"machine": device_name(device), "dtype": dtype, "picture": golden._asdict()}
    write(out, found, told, f"One picture of {golden.width} x {golden.height} pixels at a time")


def timed(
    ways: list[Way],
    runs: int,
    device: torch.device = CPU,
    prepare: Callable[[str], None] = lambda name: None,
) -> dict[str, Latency]:
    """What the machine cannot do is left out.

    Raises:
        ValueError: then nothing is left.
    """
    makes = {way.name: make for way in ways if (make := tried(way, prepare)) is not None}
    if not makes:
        raise ValueError("nothing is left to time. Name something that this machine can do.")
    with tqdm(total=len(makes) * (runs + WARM_UP), unit="run", disable=None) as bar:
        return by_turns(
            makes,
            runs=runs,
            warm_up=WARM_UP,
            device=device_of(device),
            prepare=prepare,
            on_run=bar.update,
        )


def tried(way: Way, prepare: Callable[[str], None] = lambda name: None) -> Make | None:
    """The way, loaded; None where the machine cannot go it, which is said."""
    if way.is_usual:
        return way.load()
    try:
        make = way.load()
        prepare(way.name)
        make()
    # compilers and number formats fail in ways of their own
    except Exception as error:
        say(f"{way.name} is left out: {str(error).strip().splitlines()[0]}")
        return None
    return make


def as_text(found: dict[str, Latency]) -> str:
    """A row for each way, with memory where the device counts it."""
    is_counted = any(of.peak is not None for of in found.values())
    rows = [(*HEADER, MEMORY) if is_counted else HEADER]
    for name, of in found.items():
        seconds = (f"{1000 * value:.1f}" for value in (of.median, of.late))
        memory = (f"{of.peak / 1e9:.2f}",) if is_counted else ()
        rows.append((name, str(of.passes), *seconds, f"{of.ratio:.1f}", *memory))
    return "\n".join(aligned(rows))


def write(out: Path, found: dict[str, Latency], told: dict, how: str) -> None:
    """Text for the terminal, JSON for programs, and a plot.

    Args:
        told: of the machine and the picture.
        how: it was timed, as words.
    """
    told = {**told, "threads": torch.get_num_threads(), "versions": versions()}
    results = {**told, "ways": {name: of._asdict() for name, of in found.items()}}
    write_whole(out / "bench.json", json.dumps(results, indent=1).encode())
    write_whole(out / "bench.svg", plot(found).encode())
    say(f"\n{as_text(found)}\n\n{how}, by turns, on {told['machine']}.")
    say(f"Plot: {out / 'bench.svg'}")


def parse(argv: list[str]) -> argparse.Namespace:
    """The arguments; a wrong one ends the program with status 2 and says what is allowed."""
    names = [way.name for way in demo_ways()]
    parser = argparse.ArgumentParser(
        prog="run.py bench",
        description="Time one picture, by turns: of the demo model and of each of its students, or "
        "of each model of a file.",
    )
    parser.add_argument(
        "config",
        nargs="?",
        type=Path,
        metavar="CONFIG.toml",
        help="which models, as `run.py evaluate` takes them; all are in memory at once, and one at "
        "a time on the GPU. Without it the demo model",
    )
    _add_options(parser, names)
    add_threads(parser)
    wanted = parser.parse_args(argv)
    unknown = [name for name in wanted.only or [] if name not in names]
    if wanted.config is None and unknown:
        allowed = "; ".join(names)
        parser.error(f"argument --only: invalid choice: {unknown[0]!r}; allowed is {allowed}")
    return wanted


def _add_options(parser, names):
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
        metavar="WAY",
        help="a way to time, more than once for several: a model's name in the file, or of the "
        "demo model, by default all but what is compiled or in fp8, which takes minutes: "
        + "; ".join(names),
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="FOLDER",
        help=f"default {DEMO_OUT}, or bench in the folder of the file's results",
    )

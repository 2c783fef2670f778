"""python run.py bench: how long one picture takes with the demo model, step count by step count."""

import argparse
import json
import sys
from pathlib import Path

import torch
import transformers
from tqdm import tqdm

from ..evaluate.latency import Latency, by_turns, device_of
from ..evaluate.picture_set import write_whole
from ..evaluate.table import aligned
from .demo import machine, say, versions
from .demo_ways import Make, Way, demo_ways
from .latency_plot import plot
from .options import add_out, add_threads, within

RUNS, WARM_UP = 20, 2
MOST_RUNS = 1000
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


def timed(runs: int, only: list[str] | None) -> dict[str, Latency]:
    """Of those that are asked for, or of all usual ones; what the machine cannot do is left out."""
    chosen = [way for way in demo_ways() if (way.name in only if only else way.is_usual)]
    with torch.inference_mode():
        makes = {way.name: make for way in chosen if (make := tried(way)) is not None}
        total = len(makes) * (runs + WARM_UP)
        with tqdm(total=total, unit="run", disable=None) as bar:
            device = device_of(torch.device("cpu"))
            return by_turns(makes, runs=runs, warm_up=WARM_UP, device=device, on_run=bar.update)


def tried(way: Way) -> Make | None:
    """The way, loaded; None where the machine cannot go it, which is said."""
    make = way.load()
    if way.is_usual:
        return make
    try:
        make()
    # compilers and number formats fail in ways of their own
    except Exception as error:
        say(f"{way.name} is left out: {str(error).strip().splitlines()[0]}")
        return None
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
    names = [way.name for way in demo_ways()]
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
        choices=names,
        metavar="WAY",
        help="a way to time, more than once for several; default all but what is compiled or in "
        "fp8, which takes minutes: " + "; ".join(names),
    )
    add_threads(parser)
    add_out(parser, "out/bench")
    return parser.parse_args(argv)

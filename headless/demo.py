"""python run.py demo: the shipped model with 50 steps beside its few-step student.

Writes demo.png, a contact sheet, and demo.html, a report, and prints the same numbers.
"""

import argparse
import os
import platform
import sys
import time
from pathlib import Path

import diffusers
import torch
import transformers
from tqdm import tqdm

from ..demo import weights
from .compare import (
    FLOW_METHODS,
    FLOW_TEACHER,
    METHODS,
    STUDENT,
    TEACHER,
    compare,
    demo_captions,
    total_passes,
)
from .contact_sheet import contact_sheet
from .flow_pipeline import load_flow_demo
from .options import add_out, add_threads, within
from .pipeline import load_demo
from .report import report
from .results import Setting, notes, text_table
from .shipped_students import shipped_students

# a picture of every row is 463 GFLOP: 66 for the teacher (100 passes of 0.66), as many for the one
# that it is compared with, 80 for the other rows' 121 passes, 30 for the flow teacher's rows (132
# of 0.23), and 221 for decoding 25 times. So these are the fewest that a distance can be measured
# of: two and a half minutes at 150 GFLOP/s, which two slow cores reach
PICTURES = 48
MOST_PICTURES = 100_000
BATCH = 16
COLUMNS = 8
MOST_SEED = 2**63 - 1
TITLE = "The same captions from the same noise in fewer network passes"


def main(argv: list[str]) -> int:
    """Run the demo; 0 when both files are written, 2 when it cannot begin."""
    wanted = parse(argv)
    if problem := unready(wanted.out):
        sys.stderr.write(problem + "\n")
        return 2
    begin = time.perf_counter()
    if wanted.threads:
        torch.set_num_threads(wanted.threads)
    say("Loading the demo model ...")
    transformers.utils.logging.disable_progress_bar()
    students = shipped_students()
    pipelines = {
        TEACHER: load_demo(),
        STUDENT: load_demo(lora=True),
        FLOW_TEACHER: load_flow_demo(),
    }
    pipelines |= {student.method.model: student.load() for student in students}
    methods = (*METHODS, *FLOW_METHODS, *(student.method for student in students))
    methods = sorted(methods, key=lambda method: method.shift is not None)
    captions = demo_captions(wanted.pictures, wanted.seed)
    with bar(wanted.pictures, methods) as progress, torch.inference_mode():
        results, decode_seconds = compare(
            pipelines,
            captions,
            seed=wanted.seed,
            batch=BATCH,
            columns=COLUMNS,
            methods=tuple(methods),
            on_passes=progress.update,
        )
    setting = Setting(
        captions=tuple(captions[:COLUMNS]),
        pictures=len(captions),
        seed=wanted.seed,
        batch=min(BATCH, len(captions)),
        threads=torch.get_num_threads(),
        decode_seconds=decode_seconds,
        machine=machine(),
        versions=versions(),
    )
    say("\n" + text_table(results) + "\n")
    for note in notes(setting):
        say(note)
    write(results, setting, wanted.out)
    say(f"{time.perf_counter() - begin:.0f} s in all.")
    return 0


def parse(argv: list[str]) -> argparse.Namespace:
    """The arguments; a wrong one ends the program with status 2 and says what is allowed."""
    parser = argparse.ArgumentParser(
        prog="run.py demo",
        description="Sample captions with the demo model in 50 steps and in few, and compare.",
    )
    count = within("--pictures", 2, MOST_PICTURES)
    parser.add_argument(
        "--pictures",
        type=count,
        default=PICTURES,
        metavar="N",
        help=f"captions to sample, 2 to {MOST_PICTURES}; default {PICTURES}, half of them with two "
        "objects",
    )
    parser.add_argument(
        "--seed",
        type=within("--seed", 0, MOST_SEED),
        default=0,
        metavar="S",
        help="of captions and noise, 0 or above; default 0",
    )
    add_out(parser, "out")
    add_threads(parser)
    return parser.parse_args(argv)


def unready(out: Path) -> str | None:
    """Why the demo cannot begin, None if it can; makes the folder for the results."""
    try:
        weights.check_present(lora=weights.LCM_LORA)
        weights.check_present(weights.FLOW)
    except FileNotFoundError as error:
        return str(error)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        return f"--out is {str(out)!r}, which cannot be a folder: {error.strerror or error}."
    if not os.access(out, os.W_OK):
        return f"--out is {str(out)!r}, a folder that cannot be written to; name another one."
    return None


def bar(pictures, methods):
    """A progress bar with the time that is left, counted in network passes."""
    shape = "{percentage:3.0f} % |{bar}| {elapsed} gone, {remaining} to go"
    return tqdm(total=total_passes(pictures, methods), bar_format=shape, smoothing=0)


def write(results, setting, out):
    """The contact sheet and the report."""
    sheet, page = out / "demo.png", out / "demo.html"
    contact_sheet(setting.captions, results, TITLE).save(sheet, optimize=True)
    page.write_text(report(results, setting), encoding="utf-8")
    say(f"\nPictures: {sheet}\nReport:   {page}")


def machine() -> str:
    """Name of the processor, as far as the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return (names or [platform.processor() or platform.machine()])[0]


def versions() -> dict[str, str]:
    """Versions of what decides about speed and pictures."""
    return {
        "Python": platform.python_version(),
        "torch": torch.__version__,
        "diffusers": diffusers.__version__,
        "transformers": transformers.__version__,
    }


def say(text: str) -> None:
    """A line on the terminal, at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()

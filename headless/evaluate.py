"""python run.py evaluate: the demo model's students beside their teacher, measured with intervals.

Goes on where it was cut off: pictures that are there are not made again.
"""

import argparse
import json
import sys
from pathlib import Path

import torch
import torch.distributed as dist
import transformers
from tqdm import tqdm

from ..evaluate.golden_set import fingerprint, shipped, with_seeds
from ..evaluate.picture_set import write_whole
from ..evaluate.report_page import Pair, Section, report_page
from ..evaluate.table import Row, as_json, as_text
from ..evaluate.verdict import lead
from .demo import say, versions
from .demo_contenders import demo_contenders
from .demo_judgement import figures, judge, worst_rows
from .evaluation_plot import plot
from .golden_pictures import Contender, make_pictures
from .options import add_out, add_threads, within
from .processes import processes

# prompts and seeds of which ten contenders take some five minutes of two slow cores
PROMPTS, SEEDS = 100, 2
MOST_SEEDS = 16
BATCH = 16
# of drawing prompts anew
SEED = 0
# pairs of each student that the report shows
WORST = 12
LEFT_OUT = {"told guidance, 24 steps", "endpoint 4 steps", "told lcm, 4 steps"}
DONE, REFUSED, INTERRUPTED = 0, 2, 130
BAR = (
    "{percentage:3.0f} % |{bar}| {n_fmt} of {total_fmt} pictures, {elapsed} gone, {remaining} to go"
)


def main(argv: list[str]) -> int:
    """Evaluate; 0 when the results are written, 2 when it cannot, 130 when it was interrupted."""
    transformers.utils.logging.disable_progress_bar()
    try:
        wanted = parse(argv, [one.name for one in demo_contenders()])
        if wanted.threads:
            torch.set_num_threads(wanted.threads)
        run(wanted)
    except (ValueError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return REFUSED
    except KeyboardInterrupt:
        sys.stderr.write("Interrupted. Run the same command again to go on.\n")
        return INTERRUPTED
    finally:
        if dist.is_initialized():
            dist.destroy_process_group()
    return DONE


def run(wanted: argparse.Namespace) -> None:
    """Make the pictures, judge them, and write what was found."""
    here = processes()
    golden_set = with_seeds(shipped("demo")[: wanted.prompts], wanted.seeds)
    contenders, folder = chosen(wanted.only), wanted.out / "pictures"
    total = len(contenders) * len(golden_set)
    with tqdm(total=total, bar_format=BAR, smoothing=0, disable=not here.is_main) as bar:
        on_made = lambda count: bar.update(count * here.of)
        sets = [
            make_pictures(one, golden_set, folder, here, batch=BATCH, on_made=on_made)
            for one in contenders
        ]
    if not here.is_main:
        return
    judged = [judge(one, golden_set) for one in tqdm(sets, desc="judging", unit="set")]
    rows = [
        Row(one.name, one.passes, figures(judged[0], found, seed=SEED))
        for one, found in zip(contenders, judged, strict=True)
    ]
    told = {"golden set": fingerprint(golden_set), "reference": rows[0].name}
    told |= {"prompts": wanted.prompts, "seeds": wanted.seeds, "versions": versions()}
    shown = [
        Section(row, pairs(golden_set, (sets[0], judged[0]), found))
        for row, *found in zip(rows[1:], sets[1:], judged[1:], strict=True)
    ]
    write(wanted.out, rows, shown, told)


def chosen(only: list[str] | None) -> list[Contender]:
    """The reference, and the students of these names or else most of them."""
    reference, *others = demo_contenders()
    is_wanted = lambda name: name in only if only else name not in LEFT_OUT
    return [reference, *(one for one in others if is_wanted(one.name))]


def pairs(golden_set, reference, other) -> list[Pair]:
    """The worst pairs of two sets and what the judge read in them."""
    (their_set, theirs), (our_set, ours) = reference, other
    return [
        Pair(
            golden_set[row].prompt,
            "" if ours.right[row] else "does not show it",
            their_set.path(row).read_bytes(),
            our_set.path(row).read_bytes(),
        )
        for row in worst_rows(theirs, ours, WORST)
    ]


def write(out: Path, rows: list[Row], sections: list[Section], told: dict) -> None:
    """The same figures for people, as text and as a page, and for programs."""
    text = as_text(rows)
    with_ = ", ".join(f"{name} {version}" for name, version in told["versions"].items())
    of = f"{told['prompts']} prompts of {told['seeds']} seeds, golden set {told['golden set']}"
    page = report_page(rows, sections, plot(rows), f"{of}; {with_}.")
    results = json.dumps(as_json(rows, told), indent=1)
    for name, content in (("json", results), ("txt", text), ("html", page)):
        write_whole(out / f"results.{name}", content.encode())
    say(f"\n{lead(rows)}\n\n{text}\nReport:   {out / 'results.html'}")


def parse(argv: list[str], names: list[str]) -> argparse.Namespace:
    """The arguments; a wrong one ends the program with status 2 and says what is allowed."""
    parser = argparse.ArgumentParser(
        prog="run.py evaluate",
        description="Measure the demo model's students beside their teacher on a golden set.",
    )
    most = len(shipped("demo"))
    parser.add_argument(
        "--prompts",
        type=within("--prompts", 2, most),
        default=PROMPTS,
        metavar="N",
        help=f"of the golden set, 2 to {most}; default {PROMPTS}",
    )
    parser.add_argument(
        "--seeds",
        type=within("--seeds", 1, MOST_SEEDS),
        default=SEEDS,
        metavar="S",
        help=f"pictures of each prompt, 1 to {MOST_SEEDS}; default {SEEDS}. Diversity needs 2",
    )
    parser.add_argument(
        "--only",
        action="append",
        choices=names[1:],
        metavar="STUDENT",
        help="a student to measure, more than once for several; default most of "
        + "; ".join(names[1:]),
    )
    add_threads(parser)
    add_out(parser, "out/evaluate")
    return parser.parse_args(argv)

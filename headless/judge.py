"""python run.py judge: a model behind an OpenAI-compatible address votes in a blind comparison.

It says first what that takes, and asks nobody before the user has agreed.
"""

import argparse
import os
import sys
from pathlib import Path

from tqdm import tqdm

from ..evaluate import comparison_folder as comparisons
from ..evaluate.judge_address import Judge
from ..evaluate.judge_model import estimate, judge_pairs
from ..evaluate.preference_report import outcome, sentences
from ..evaluate.votes import MODEL, Votes

# of the environment, so that no key stands on a command line or in its history
KEY = "FEWSTEP_JUDGE_KEY"
DONE, DECLINED, REFUSED, INTERRUPTED = 0, 1, 2, 130


def main(argv: list[str]) -> int:
    """Vote; 0 when all pairs are judged, 1 when the user declined, 2 when it cannot be."""
    wanted = parse(argv)
    try:
        temperature = None if wanted.no_temperature else 0.0
        judge = Judge(wanted.address, wanted.model, os.environ.get(KEY), temperature=temperature)
        with comparisons.opened(wanted.folder, wanted.name) as votes:
            comparisons.check_pictures(wanted.folder, wanted.name, votes.study)
            if not agreed(votes, judge, wanted):
                return DECLINED
            vote(votes, judge, wanted.folder)
    except (ValueError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return REFUSED
    except KeyboardInterrupt:
        sys.stderr.write("Interrupted. Every vote before it is kept; the same command goes on.\n")
        return INTERRUPTED
    return DONE


def agreed(votes: Votes, judge: Judge, wanted: argparse.Namespace) -> bool:
    """Say what it takes and whom the pictures go to, and whether the user wants that."""
    size = comparisons.largest_size(wanted.folder, votes.study)
    prices = None if wanted.prices is None else tuple(wanted.prices)
    print(estimate(votes, judge, *size, prices=prices).sentence())
    print(f"Prompts and pictures go to {judge.endpoint}.", flush=True)
    if wanted.yes:
        return True
    try:
        return input("Go on? [y/N] ").strip().lower() in ("y", "yes")
    except EOFError:
        return False


def vote(votes: Votes, judge: Judge, folder: Path) -> None:
    """Judge what is left, and say what came of it."""
    with tqdm(unit="pair", disable=None) as bar:

        def on_judged(progress):
            bar.total, bar.n = progress.total, progress.answered
            bar.refresh()

        done = judge_pairs(
            votes,
            judge,
            lambda pair, side: comparisons.picture(folder, pair, side),
            on_judged=on_judged,
        )
    print(f"{done.pairs} pairs judged; {done.turned} answers changed with the order, and are ties.")
    try:
        kept = votes.results(kind=MODEL)
    except ValueError as hidden:
        print(f"It is done, and {hidden}")
    else:
        print(*sentences(outcome(votes.study, kept)), sep="\n")


def parse(argv: list[str]) -> argparse.Namespace:
    """The arguments; a wrong one ends the program with status 2 and says what is allowed."""
    parser = argparse.ArgumentParser(
        prog="run.py judge",
        description="Let a model vote in a blind comparison that was begun on the page of run.py "
        "pairs or of ComfyUI. Its votes are kept apart from those of people.",
        epilog=f"A key is read from the environment variable {KEY}.",
    )
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="as of run.py pairs")
    parser.add_argument("name", metavar="NAME", help="of the comparison")
    parser.add_argument(
        "--address",
        required=True,
        metavar="URL",
        help="OpenAI-compatible, such as http://127.0.0.1:8000/v1; it gets prompts and pictures",
    )
    parser.add_argument("--model", required=True, metavar="MODEL", help="as its server calls it")
    parser.add_argument(
        "--prices",
        type=float,
        nargs=2,
        metavar=("IN", "OUT"),
        help="of a million tokens in and out, so that the cost can be told",
    )
    parser.add_argument(
        "--no-temperature",
        action="store_true",
        help="send none, for models that take their own alone; default is temperature 0",
    )
    parser.add_argument("--yes", action="store_true", help="go on without asking")
    return parser.parse_args(argv)

"""python run.py ledger: what each step to a fast model cost, and how the losses add up."""

import argparse
import json
import math
import sys
from pathlib import Path

from ..evaluate.bootstrap import Estimate
from ..evaluate.ledger import HIGHER_IS_BETTER, read
from ..evaluate.ledger_steps import Measured, changed, keep
from ..evaluate.picture_set import write_whole
from ..evaluate.waterfall import notes, summary, waterfall
from .waterfall_plot import plot

# per cent, as of Ledger (FewStep)
TOLERANCE, TOTAL_TOLERANCE = 5.0, 10.0
DONE, REFUSED = 0, 2


def main(argv: list[str]) -> int:
    """Add what is to be added, and show; 2 when that cannot be."""
    wanted = parse(argv)
    try:
        if wanted.add is not None:
            measured = measured_in(wanted.add, wanted.contender)
            print(f"{keep(wanted.ledger, wanted.step, measured)}.")
        show(wanted)
    except (ValueError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return REFUSED
    return DONE


def measured_in(results: Path, contender: str | None) -> Measured:
    """What run.py evaluate found of a contender, and of the reference.

    Args:
        results: its results.json.
        contender: its name there; None where there is one alone.

    Raises:
        ValueError: the file is none of run.py evaluate's, or has no such contender.
        OSError: it cannot be read.
    """
    try:
        found = json.loads(results.read_text(encoding="utf-8"))
        of = {one["name"]: one["figures"] for one in found["contenders"]}
        reference, golden_set = found["reference"], found["golden set"]
        requests = found["requests"]
        figures = {name: _estimates(some) for name, some in of.items()}
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{results} is no results.json of this run.py evaluate: {error!r}. Evaluate again."
        ) from error
    others = [name for name in of if name != reference]
    if contender is None and len(others) == 1:
        contender = others[0]
    if contender not in others:
        raise ValueError(
            f"--contender is {contender!r}; allowed are those of {results}: {'; '.join(others)}."
        )
    change = changed(requests.get(reference, {}), requests.get(contender, {}))
    return Measured(
        contender, reference, golden_set, change, figures[contender], figures[reference]
    )


def show(wanted: argparse.Namespace) -> None:
    """The losses as text, and as a drawing beside the ledger."""
    entries = read(wanted.ledger)
    metric = wanted.metric or next(
        (name for name in entries[0].figures if name in HIGHER_IS_BETTER), "accuracy"
    )
    tolerances = {"step_tolerance": wanted.tolerance, "total_tolerance": wanted.total_tolerance}
    found = waterfall(entries, metric, **tolerances)
    print("\n".join([f"{metric}: {summary(found)}", *notes(found)]))
    drawing = wanted.ledger.with_suffix(".svg")
    write_whole(drawing, plot(found).encode())
    print(f"Plot: {drawing}")


def _estimates(figures):
    return {
        name: Estimate(*(figure[part] for part in Estimate._fields))
        for name, figure in figures.items()
    }


def per_cent(text: str) -> float:
    """An argparse type: 0 or more."""
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0.0 <= number < math.inf:
        raise argparse.ArgumentTypeError(f"it is {text!r}; allowed are 0 or more per cent")
    return number


def parse(argv: list[str]) -> argparse.Namespace:
    """The arguments; a wrong one ends the program with status 2 and says what is allowed."""
    parser = argparse.ArgumentParser(
        prog="run.py ledger",
        description="Show how the losses of a ledger add up, after adding a step if wanted. A "
        "ledger is only ever appended to; FewStep's node Ledger reads and writes the same files.",
    )
    parser.add_argument("ledger", type=Path, metavar="LEDGER.jsonl", help="made where it is not")
    parser.add_argument(
        "--add", type=Path, metavar="RESULTS", help="results.json of run.py evaluate"
    )
    parser.add_argument(
        "--contender", metavar="NAME", help="in it, whose step this is; default the only one"
    )
    parser.add_argument(
        "--step", default="", metavar="NAME", help="of the step; default the contender's"
    )
    parser.add_argument(
        "--metric",
        choices=sorted(HIGHER_IS_BETTER),
        metavar="METRIC",
        help="default the first that the ledger has of " + ", ".join(HIGHER_IS_BETTER),
    )
    for name, default, what in (
        ("--tolerance", TOLERANCE, "one step"),
        ("--total-tolerance", TOTAL_TOLERANCE, "all steps together"),
    ):
        parser.add_argument(
            name,
            type=per_cent,
            default=default,
            metavar="PERCENT",
            help=f"that {what} may cost before it is warned of; default {default:g}",
        )
    return parser.parse_args(argv)

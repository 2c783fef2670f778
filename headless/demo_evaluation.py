"""The demo model's students beside their teacher, judged by the demo world's own rules."""

import argparse

from tqdm import tqdm

from ..evaluate.golden_set import fingerprint, shipped, with_seeds
from ..evaluate.report_page import Pair, Section
from ..evaluate.table import Row
from .demo import versions
from .demo_contenders import demo_contenders
from .demo_judgement import figures, judge, worst_rows
from .evaluation_report import WORST, write
from .golden_pictures import Contender, make_sets
from .processes import Processes

BATCH = 16
# of drawing prompts anew
SEED = 0
LEFT_OUT = {"told guidance, 24 steps", "endpoint 4 steps", "told lcm, 4 steps"}


def run(wanted: argparse.Namespace, here: Processes) -> None:
    """Make the pictures, judge them, and write what was found.

    Args:
        wanted: with prompts, seeds, only and out.
    """
    golden_set = with_seeds(shipped("demo")[: wanted.prompts], wanted.seeds)
    contenders, folder = chosen(wanted.only), wanted.out / "pictures"
    sets = make_sets(contenders, golden_set, folder, here, batch=BATCH)
    if not here.is_main:
        return
    judged = [judge(one, golden_set) for one in tqdm(sets, desc="judging", unit="set")]
    rows = [
        Row(one.name, one.passes, figures(judged[0], found, seed=SEED))
        for one, found in zip(contenders, judged, strict=True)
    ]
    told = {"golden set": fingerprint(golden_set), "reference": rows[0].name}
    told |= {"prompts": wanted.prompts, "seeds": wanted.seeds, "versions": versions()}
    told["requests"] = {one.name: one.request for one in contenders}
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

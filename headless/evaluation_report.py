"""What an evaluation found, in files: for people as text and as a page, and for programs."""

import json
from collections.abc import Sequence
from pathlib import Path

from ..evaluate.picture_set import write_whole
from ..evaluate.report_page import BY_CAPTION, Section, report_page
from ..evaluate.table import Row, as_json, as_text
from ..evaluate.verdict import lead
from .demo import say
from .evaluation_plot import plot

# pairs of each contender that the report shows
WORST = 12


def write(
    out: Path,
    rows: Sequence[Row],
    sections: Sequence[Section],
    told: dict,
    order: str = BY_CAPTION,
) -> None:
    """results.json, results.txt and results.html in a folder, and the text on the terminal.

    Args:
        rows: the reference first.
        told: with "golden set", "prompts", "seeds" and "versions"; it all goes into the JSON.
        order: in which the pairs of a section come, a sentence.

    Raises:
        OSError: the disk is full, or the folder cannot be written to.
    """
    text = as_text(rows)
    with_ = ", ".join(f"{name} {version}" for name, version in told["versions"].items())
    of = f"{told['prompts']} prompts of {told['seeds']} seeds, golden set {told['golden set']}"
    page = report_page(rows, sections, plot(rows), f"{of}; {with_}.", order)
    results = json.dumps(as_json(rows, told), indent=1)
    for name, content in (("json", results), ("txt", text), ("html", page)):
        write_whole(out / f"results.{name}", content.encode())
    say(f"\n{lead(rows)}\n\n{text}\nReport:   {out / 'results.html'}")

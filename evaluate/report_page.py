"""The report of an evaluation: verdict, table, plot, and the worst pairs with a slider."""

import base64
from collections.abc import Sequence
from html import escape
from typing import NamedTuple

from .page import document
from .table import Row, cell, figure_names, notes, passes
from .verdict import lead, verdict

STYLE = """
.lead { font-size: 1.15rem; max-width: 52rem }
.numbers .is-as-good th { border-left: 3px solid var(--right) }
.numbers .is-worse th { border-left: 3px solid var(--wrong) }
.numbers tbody th { border-left: 3px solid transparent }
.plot svg { max-width: 100%; height: auto; background: #fff; border-radius: 4px }
.slide { display: flex; gap: .75rem; align-items: center; max-width: 30rem; font-size: .875rem }
.slide input { flex: 1; min-width: 8rem; accent-color: var(--right) }
.pairs { display: grid; grid-template-columns: repeat(auto-fill, minmax(12rem, 1fr)); gap: 1rem;
  margin: 1rem 0 2rem }
figure { margin: 0 }
.pair { position: relative; line-height: 0; border-radius: 4px; overflow: hidden }
.pair img { width: 100%; height: auto }
.pair img + img { position: absolute; inset: 0; clip-path: inset(0 0 0 var(--cut, 50%)) }
.pair::after { content: ""; position: absolute; inset: 0 auto 0 var(--cut, 50%); width: 1px;
  background: #fff; mix-blend-mode: difference }
figcaption { font-size: .8125rem; line-height: 1.35; margin-top: .4rem; overflow-wrap: anywhere;
  max-height: 8em; overflow: auto }
figcaption b { font-weight: 500; color: var(--wrong) }
"""
# each slider moves all pairs of its contender
SCRIPT = """
for (const slider of document.querySelectorAll(".slide input"))
  slider.addEventListener("input", () =>
    slider.closest("section").style.setProperty("--cut", slider.value + "%"));
"""
# of a row by whether its contender is as good
KINDS = {True: "is-as-good", False: "is-worse", None: ""}
BY_CAPTION = "Those that lost what their prompt says come first, then those that are least alike."


class Pair(NamedTuple):
    """Two pictures of a row, as PNG files.

    Attributes:
        note: what is wrong with the contender's, "" where it is just unlike.
    """

    prompt: str
    note: str
    reference: bytes
    other: bytes


class Section(NamedTuple):
    """A contender's pairs, the worst first."""

    row: Row
    pairs: Sequence[Pair]


def report_page(
    rows: Sequence[Row],
    sections: Sequence[Section],
    plot: str,
    told: str,
    order: str = BY_CAPTION,
) -> str:
    """The whole page.

    Args:
        rows: the reference first.
        sections: of the others.
        plot: SVG, "" where there is none.
        told: under what conditions it was measured, a line of plain text.
        order: in which the pairs of a section come, a sentence.
    """
    listed = "".join(f"<li>{escape(note)}</li>" for note in notes(rows))
    shown = "".join(_section(section, rows[0].name) for section in sections)
    body = f"""<p class="lead">{escape(lead(rows))}</p>
<h2>Measured</h2>
<div class="scroll">{_numbers(rows)}</div>
<ul class="small">{listed}</ul>
{f'<h2>Quality by passes</h2><div class="plot">{plot}</div>' if plot else ""}
<h2>The worst pairs</h2>
<p class="small">Left of the line {escape(rows[0].name)}, right of it the other from the same noise.
{escape(order)}</p>
{shown}<p class="small">{escape(told)}</p>
<script>{SCRIPT}</script>
"""
    return document("FewStep evaluation", "What fewer passes cost", body, STYLE)


def _numbers(rows):
    names = figure_names(rows)
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in ("", "passes", *names))
    lines = []
    for k, row in enumerate(rows):
        known = {figure.name: cell(figure) for figure in row.figures}
        cells = [passes(row), *(known.get(name, "-") for name in names)]
        kind = KINDS[verdict(row).is_as_good] if k else ""
        numbers = "".join(f"<td>{escape(text)}</td>" for text in cells)
        lines.append(f'<tr class="{kind}"><th scope="row">{escape(row.name)}</th>{numbers}</tr>')
    table = f"<thead><tr>{head}</tr></thead><tbody>{''.join(lines)}</tbody>"
    return f'<table class="numbers">{table}</table>'


def _section(section, reference):
    name = escape(section.row.name)
    pairs = "".join(map(_pair, section.pairs))
    return f"""<section>
<h3>{name}</h3>
<p>{escape(verdict(section.row).text)}</p>
<label class="slide"><span>{escape(reference)}</span>
<input type="range" min="0" max="100" value="50" aria-label="how much of {escape(reference)}">
<span>{name}</span></label>
<div class="pairs">{pairs}</div>
</section>
"""


def _pair(pair):
    images = "".join(
        f'<img src="data:image/png;base64,{base64.b64encode(png).decode("ascii")}" alt="">'
        for png in (pair.reference, pair.other)
    )
    note = f" <b>{escape(pair.note)}</b>" if pair.note else ""
    words = f"{escape(pair.prompt)}{note}"
    return f'<figure><div class="pair">{images}</div><figcaption>{words}</figcaption></figure>'

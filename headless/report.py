"""The report of a demo run: one HTML page that needs no other file, no network and no script."""

import base64
import io
from collections.abc import Sequence
from html import escape

from PIL import Image

from ..evaluate.page import document
from .compare import STUDENT
from .results import HEADER, Result, Setting, cells, notes, threads

STYLE = """
.sheet th { font-weight: 400; text-align: left; vertical-align: bottom; font-size: .8125rem;
  line-height: 1.35; padding: 0 .5rem .5rem }
.sheet tbody th, .sheet thead td { position: sticky; left: 0; z-index: 1; background: var(--paper);
  vertical-align: middle; padding-left: 0; min-width: 7.5rem; white-space: nowrap }
.sheet tbody th b { display: block; font-size: .9375rem; font-weight: 600 }
.sheet tbody th span { color: var(--quiet) }
.sheet td { padding: .5rem; position: relative }
.sheet img { display: block; width: 128px; height: 128px; border-radius: 4px }
.sheet svg { position: absolute; right: 0; bottom: 0; width: 24px; height: 24px }
.sheet .ring { fill: var(--paper) } .sheet .is-right { fill: var(--right) }
.sheet .is-wrong { fill: var(--wrong) }
.sheet path { fill: none; stroke: #fff; stroke-width: 2.4; stroke-linecap: round;
  stroke-linejoin: round }
@media (max-width: 40rem) { .sheet tbody th, .sheet thead td { min-width: 5.5rem }
  .sheet img { width: 104px; height: 104px } }
"""
TICK, CROSS = "M7.4 12.6l3 3 6-6.6", "M8.4 8.4l7.2 7.2m0-7.2l-7.2 7.2"


def report(results: Sequence[Result], setting: Setting) -> str:
    """The whole page.

    Args:
        results: the rows; the first is the teacher as it is meant to be used.
        setting: what they were measured under, and the captions of their pictures.
    """
    versions = ", ".join(f"{name} {version}" for name, version in setting.versions.items())
    listed = "".join(f"<li>{escape(note)}</li>" for note in notes(setting))
    body = f"""<p>{escape(summary(results, setting))}</p>
<h2>Measured</h2>
<div class="scroll">{_numbers(results)}</div>
<h2>Pictures</h2>
<p class="small">The first {len(setting.captions)} captions, not chosen. A tick means the judge
reads the caption in the picture, a cross that it does not.</p>
<div class="scroll">{_sheet(results, setting.captions)}</div>
<h2>How it was measured</h2>
<ul>{listed}</ul>
<p class="small">{escape(setting.machine)}, {threads(setting)}; {escape(versions)};
seed {setting.seed}.</p>
"""
    return document("FewStep demo", "The same captions in fewer network passes", body, STYLE)


def summary(results: Sequence[Result], setting: Setting) -> str:
    """What is seen, in plain words."""
    teacher, students = results[0], [r for r in results[1:] if r.method.cfg_scale == 1.0]
    text = (
        f"Every row below shows what a small model makes of the same {setting.pictures} captions "
        "from the same noise. The teacher is used as diffusion models are meant to be: "
        f"{teacher.method.steps} steps with guidance, {teacher.method.passes} network passes, "
        f"{teacher.seconds:.2f} seconds a picture; {_share(teacher)} of its pictures show what the "
        "caption says."
    )
    for student in students:
        if (student.method.model, student.method.steps) == (STUDENT, 4):
            text += (
                f" With its LCM-LoRA it takes 4 steps without guidance, {student.ratio:.1f} times "
                f"less time, and {_share(student)} do."
            )
    forced = [r for r in results[1:] if r.method.model == teacher.method.model]
    for result in forced:
        if result.method.passes == 4:
            text += f" The teacher itself, forced to 4 passes, gets {_share(result)} right."
    return text


def _share(result):
    return f"{100 * result.scores['all'].accuracy:.1f} %"


def _numbers(results):
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in HEADER)
    rows = []
    for result in results:
        first, *rest = map(escape, cells(result))
        kind = "student" if result.method.cfg_scale == 1.0 else "teacher"
        numbers = "".join(f"<td>{cell}</td>" for cell in rest)
        rows.append(f'<tr class="{kind}"><th scope="row">{first}</th>{numbers}</tr>')
    table = f"<thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody>"
    return f'<table class="numbers">{table}</table>'


def _sheet(results, captions):
    head = "".join(f'<th scope="col">{escape(text)}</th>' for text in captions)
    body = "".join(_sheet_row(result, captions) for result in results)
    table = f"<thead><tr><td></td>{head}</tr></thead><tbody>{body}</tbody>"
    return f'<table class="sheet">{table}</table>'


def _sheet_row(result, captions):
    method = result.method
    label = f"<b>{escape(method.model)}</b>{method.steps} step{'s' * (method.steps > 1)}<br>"
    passes = f"{method.passes} pass{'es' * (method.passes > 1)}"
    label += f"<span>{passes}<br>{_share(result)} right</span>"
    shown = zip(result.pictures, result.verdicts, captions, strict=True)
    images = "".join(
        f'<td><img src="{data_uri(picture)}" alt="{escape(text)}">{_mark(is_right)}</td>'
        for picture, is_right, text in shown
    )
    return f'<tr><th scope="row">{label}</th>{images}</tr>'


def _mark(is_right):
    kind, words = ("right", "shows its caption") if is_right else ("wrong", "does not")
    return (
        f'<svg viewBox="0 0 24 24" role="img" aria-label="{words}"><circle class="ring" cx="12" '
        f'cy="12" r="12"/><circle class="is-{kind}" cx="12" cy="12" r="10"/>'
        f'<path d="{TICK if is_right else CROSS}"/></svg>'
    )


def data_uri(picture) -> str:
    """A [H, W, 3] uint8 picture as the address an img element can hold."""
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode("ascii")

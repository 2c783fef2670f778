"""Quality against network passes, each figure with its interval, as an SVG drawing."""

import io
from collections import Counter
from collections.abc import Sequence

from matplotlib import rc_context
from matplotlib.figure import Figure

from ..evaluate.table import Row

# figures that are drawn where they were measured, and what is best
DRAWN = {"accuracy": None, "CLIP score": None, "diversity": 1.0, "SSIM": 1.0, "LPIPS": 0.0}
# by which factor of passes points are moved that would lie on one another
APART = 1.12
# equal drawings are equal files
SETTINGS = {"svg.hashsalt": "fewstep", "svg.fonttype": "none", "font.family": "sans-serif"}


def plot(rows: Sequence[Row]) -> str:
    """SVG of those of DRAWN that any contender has."""
    known = [{figure.name: figure.estimate for figure in row.figures} for row in rows]
    names = [name for name in DRAWN if any(name in figures for figures in known)]
    with rc_context(SETTINGS):
        drawing = Figure(figsize=(5 * len(names) + 2, 4.2), layout="constrained")
        several = drawing.subplots(1, len(names), squeeze=False)[0]
        for axes, name in zip(several, names, strict=True):
            _draw(axes, name, rows, known)
        drawing.legend(*several[0].get_legend_handles_labels(), loc="outside right upper")
        file = io.StringIO()
        drawing.savefig(file, format="svg", metadata={"Date": None})
    # without its XML declaration, as HTML takes it
    return file.getvalue()[file.getvalue().index("<svg") :]


def _draw(axes, name, rows, known):
    beside = Counter()
    for k, (row, figures) in enumerate(zip(rows, known, strict=True)):
        estimate = figures.get(name)
        if estimate is None:
            continue
        value = estimate.value
        low, high = (value if limit is None else limit for limit in estimate[1:3])
        # a bias that was taken off may have moved the limits past the value
        spread = [[max(value - low, 0.0)], [max(high - value, 0.0)]]
        # those of as many passes stand beside each other
        place = row.passes * APART ** beside[row.passes]
        beside[row.passes] += 1
        axes.errorbar([place], [value], yerr=spread, fmt=f"oC{k}", capsize=3, label=row.name)
    if DRAWN[name] is not None:
        axes.axhline(DRAWN[name], color="gray", linewidth=0.8, linestyle=":")
    axes.set_xscale("log", base=2)
    ticks = sorted({row.passes for row in rows})
    axes.set_xticks(ticks, [str(tick) for tick in ticks])
    axes.minorticks_off()
    axes.margins(x=0.1, y=0.1)
    axes.set_xlabel("network passes of a picture")
    axes.set_ylabel(name)
    axes.grid(alpha=0.25)

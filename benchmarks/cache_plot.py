"""Speed against likeness to the uncached pictures, a line for each way of caching.

.venv/bin/python benchmarks/cache_plot.py FIGURES PICTURE

FIGURES is what cache.py --json wrote. Needs matplotlib, of the extra evaluate.
"""

import json
import sys
from pathlib import Path

from matplotlib.figure import Figure

# A row belongs to the series its name begins with; the rest of the name labels its point.
SERIES = {
    "fixed": ("FewStep, fixed", "o", "C0"),
    "first block": ("FewStep, first block", "s", "C1"),
    "accumulated change": ("FewStep, accumulated change", "^", "C2"),
    "whole step": ("FewStep, whole step", "D", "C3"),
    "guidance every": ("FewStep, guidance only", "P", "C4"),
    "EasyCache": ("ComfyUI's EasyCache", "x", "black"),
    "LazyCache": ("ComfyUI's LazyCache", "+", "gray"),
}
ASIDE = "no forecast", "guidance every 3 steps"  # of a row of "fixed": no part of its line


def main(arguments):
    if len(arguments) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    figures, picture = map(Path, arguments)
    draw(json.loads(figures.read_text(encoding="utf-8")), picture)
    return 0


def draw(figures, picture):
    """Draw the rows of figures, name to what a line of the table says, into a PNG file."""
    plot = Figure(figsize=(8, 5.2), layout="constrained")
    axes = plot.subplots()
    for start, (label, marker, colour) in SERIES.items():
        line = sorted(
            (of["speed"], of["psnr"], name.removeprefix(start).strip(" ,"))
            for name, of in figures.items()
            if name.startswith(start) and not (start == "fixed" and name.endswith(ASIDE))
        )
        if not line:
            continue
        speeds, errors, labels = zip(*line, strict=True)
        axes.plot(speeds, errors, marker=marker, color=colour, label=label, linewidth=1.2)
        for point in zip(labels, speeds, errors, strict=True):
            note(axes, *point, colour)
    for name, of in figures.items():
        if name.startswith("fixed") and name.endswith(ASIDE):
            axes.plot(of["speed"], of["psnr"], "o", color="C0", fillstyle="none")
            # below its point, where no line passes
            note(axes, name.removeprefix("fixed, "), of["speed"], of["psnr"], "C0", rise=-10)
    axes.margins(x=0.14)
    axes.set_xlabel("times as fast as no cache, CPU time")
    axes.set_ylabel("PSNR to the pictures without a cache, dB")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    plot.savefig(picture, dpi=100)


def note(axes, text, x, y, colour, rise=4):
    place = {"xytext": (4, rise), "textcoords": "offset points"}
    axes.annotate(text, (x, y), **place, fontsize=6.5, color=colour)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

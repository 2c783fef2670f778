"""Seconds of a picture, way by way, from the median to the 95th percentile, as an SVG drawing."""

import io
from collections.abc import Mapping

from matplotlib import rc_context
from matplotlib.figure import Figure

from ..evaluate.latency import Latency
from .evaluation_plot import SETTINGS


def plot(found: Mapping[str, Latency]) -> str:
    """SVG with a bar for each way, the first on top."""
    names = list(found)[::-1]
    medians, late = ([getattr(found[name], of) for name in names] for of in ("median", "late"))
    with rc_context(SETTINGS):
        drawing = Figure(figsize=(8, 0.32 * len(names) + 1), layout="constrained")
        axes = drawing.subplots()
        beyond = [high - low for low, high in zip(medians, late, strict=True)]
        axes.barh(names, medians, xerr=[[0.0] * len(names), beyond], capsize=2, color="C0")
        for place, name in enumerate(names):
            text, at = f"{found[name].ratio:.1f}x", (late[place], place)
            axes.annotate(text, at, (5, 0), textcoords="offset points", va="center", fontsize=8)
        axes.margins(x=0.12)
        axes.set_xlabel("seconds of a picture: median, and what 95 % of the runs stay below")
        axes.grid(axis="x", alpha=0.25)
        file = io.StringIO()
        drawing.savefig(file, format="svg", metadata={"Date": None})
    return file.getvalue()

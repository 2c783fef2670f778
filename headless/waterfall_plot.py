"""What each step of a ledger cost, from the first value to the last, as an SVG drawing."""

import io

from matplotlib import rc_context
from matplotlib.figure import Figure

from ..evaluate.waterfall import Waterfall
from .evaluation_plot import SETTINGS

WHOLE, LOSS, GAIN, TOO_MUCH = "#57606a", "#d4a72c", "#1a7f37", "#cf222e"


def plot(of: Waterfall) -> str:
    """SVG with a bar for each step, each beginning where the one before ends."""
    first, last = of.total.before, of.total.after
    with rc_context(SETTINGS):
        drawing = Figure(figsize=(1.6 * len(of.bars) + 4, 4.2), layout="constrained")
        axes = drawing.subplots()
        bars = [("before", 0.0, first, WHOLE, f"{first:.3g}")]
        bars += [(bar.name, bar.before, bar.after, _colour(bar), _told(bar)) for bar in of.bars]
        whole = TOO_MUCH if of.total.is_over_tolerance else WHOLE
        bars.append((of.total.name, 0.0, last, whole, _told(of.total)))
        for place, (_, begin, end, colour, told) in enumerate(bars):
            axes.bar(place, end - begin, bottom=begin, width=0.7, color=colour)
            at = (place, max(begin, end))
            axes.annotate(told, at, (0, 4), textcoords="offset points", ha="center")
            if place:
                before = bars[place - 1][2]
                axes.plot((place - 0.65, place - 0.35), (before, before), color="gray")
        axes.set_xticks(range(len(bars)), [name for name, *_ in bars])
        axes.set_ylabel(of.metric)
        axes.set_ylim(0.0, 1.12 * max(max(begin, end) for _, begin, end, *_ in bars) or 1.0)
        axes.set_axisbelow(True)
        axes.grid(axis="y", alpha=0.25)
        file = io.StringIO()
        drawing.savefig(file, format="svg", metadata={"Date": None})
    return file.getvalue()


def _colour(bar):
    return TOO_MUCH if bar.is_over_tolerance else LOSS if bar.change < 0 else GAIN


def _told(bar):
    # + 0.0, since -0.0 would be shown as a loss
    return f"{round(bar.change, 1) + 0.0:+.1f} %"

"""The noise levels of a run over those that its model was trained at, as the page draws them."""

from collections.abc import Iterable

from .host import patching

# digits that are told; the page compares to 1e-4
DIGITS = 6


def curve(sampling, sigmas: Iterable[float], grid: Iterable[float] | None) -> dict:
    """Levels as plain data, and the axis on which they are told apart.

    Args:
        sampling: model_sampling of the MODEL.
        grid: every trained level; None where they are not known.
    """
    is_flow = patching.prediction_of(sampling) == "flow"
    return {
        "axis": "linear" if is_flow else "log",
        "sigmas": _short(sigmas),
        "grid": None if grid is None else _short(grid),
    }


def _short(levels):
    return [float(f"{level:.{DIGITS}g}") for level in levels]

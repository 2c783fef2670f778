"""A plot of a few curves for the preview of a node that trains; ComfyUI has no plotting library."""

import math

from PIL import Image, ImageDraw

SIZE, MARGIN = (512, 256), 28
BACKGROUND, AXES = "#1e1e1e", "#8a8a8a"
COLOURS = ("#4fb0ff", "#ffb347", "#7ad67a", "#e97ad6")
# points of a curve; more would lie on one another
POINTS = 256


def plot(curves: dict[str, list[float]]) -> Image.Image:
    """Each curve between its own least and largest value, on a logarithmic scale where it can be.

    Args:
        curves: values by name, from left to right; empty ones are left out.
    """
    image = Image.new("RGB", SIZE, BACKGROUND)
    pen = ImageDraw.Draw(image)
    right, bottom = SIZE[0] - MARGIN // 2, SIZE[1] - MARGIN
    pen.line([(MARGIN, MARGIN // 2), (MARGIN, bottom), (right, bottom)], fill=AXES)
    drawn = {name: smoothed(values) for name, values in curves.items() if values}
    for k, (name, values) in enumerate(drawn.items()):
        colour = COLOURS[k % len(COLOURS)]
        heights = _heights(values)
        width = right - MARGIN
        points = [
            (MARGIN + width * i / max(len(heights) - 1, 1), bottom - (bottom - MARGIN) * height)
            for i, height in enumerate(heights)
        ]
        pen.line(points, fill=colour, width=2)
        pen.text((MARGIN + 8 + 160 * k, bottom + 8), f"{name} {values[-1]:.3g}", fill=colour)
    return image


def smoothed(values: list[float]) -> list[float]:
    """At most POINTS means of equal stretches."""
    size = math.ceil(len(values) / POINTS)
    parts = [values[i : i + size] for i in range(0, len(values), size)]
    return [sum(part) / len(part) for part in parts]


def _heights(values):
    if min(values) > 0:
        values = [math.log(value) for value in values]
    low, high = min(values), max(values)
    return [(value - low) / (high - low) if high > low else 0.5 for value in values]

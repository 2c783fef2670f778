"""How long ways to make a picture take, as an IMAGE; ComfyUI has no plotting library."""

from collections.abc import Mapping

import numpy
import torch
from PIL import Image, ImageDraw, ImageFont

from ...evaluate.latency import Latency

# pixels
WIDTH, NAMES, ROW, MARGIN = 900, 260, 34, 16
PAPER, INK, BAR, LATE = "#ffffff", "#1b1f24", "#4f86c6", "#b9cfe8"
LONGEST = 28  # characters of a name


def latency_plot(found: Mapping[str, Latency]) -> torch.Tensor:
    """IMAGE [1, H, W, 3] with a bar for each way: the median, and paler up to 95 % of the runs."""
    image = Image.new("RGB", (WIDTH, ROW * max(len(found), 1) + 2 * MARGIN), PAPER)
    pen, font = ImageDraw.Draw(image), ImageFont.load_default(15)
    longest = max((of.late for of in found.values()), default=1.0) or 1.0
    width = lambda seconds: seconds / longest * (WIDTH - NAMES - 150)
    for row, (name, of) in enumerate(found.items()):
        top = MARGIN + ROW * row
        middle, box = top + ROW / 2, (top + 6, top + ROW - 6)
        pen.text((NAMES - 10, middle), name[:LONGEST], fill=INK, font=font, anchor="rm")
        for seconds, colour in ((of.late, LATE), (of.median, BAR)):
            pen.rectangle((NAMES, box[0], NAMES + width(seconds), box[1]), fill=colour)
        told = f"{of.median:.2f} s, {of.ratio:.1f}x"
        pen.text((NAMES + width(of.late) + 8, middle), told, fill=INK, font=font, anchor="lm")
    return torch.from_numpy(numpy.asarray(image, dtype=numpy.float32) / 255.0)[None]

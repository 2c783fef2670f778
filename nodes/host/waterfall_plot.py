"""The waterfall of losses as an IMAGE; ComfyUI has no plotting library."""

import numpy
import torch
from PIL import Image, ImageDraw, ImageFont

from ...evaluate.waterfall import Waterfall

HEIGHT, ABOVE, BELOW = 480, 60, 60
# pixels of a bar with the gap beside it, and of the gap
STEP, GAP = 150, 40
PAPER, INK, QUIET = "#ffffff", "#1b1f24", "#8a939d"
WHOLE, LOSS, GAIN, TOO_MUCH = "#57606a", "#d4a72c", "#1a7f37", "#cf222e"
LONGEST = 18  # characters under a bar


def waterfall_plot(of: Waterfall) -> torch.Tensor:
    """IMAGE [1, H, W, 3]: the first value, what each step took or gave, and what is left."""
    first, last = of.total.before, of.total.after
    # what stands above a bar, from where to where it goes, its colour, what stands under it
    bars = [(f"{of.metric} {first:.3g}", 0.0, first, WHOLE, "before")]
    for bar in of.bars:
        colour = TOO_MUCH if bar.is_over_tolerance else LOSS if bar.change < 0 else GAIN
        bars.append((f"{bar.change:+.1f} %", bar.before, bar.after, colour, bar.name))
    colour = TOO_MUCH if of.total.is_over_tolerance else WHOLE
    bars.append((f"{of.total.change:+.1f} %", 0.0, last, colour, of.total.name))
    image = Image.new("RGB", (STEP * len(bars) + GAP, HEIGHT), PAPER)
    pen, font = ImageDraw.Draw(image), ImageFont.load_default(16)
    top = max(max(bar[1:3]) for bar in bars) or 1.0
    height = lambda value: HEIGHT - BELOW - value / top * (HEIGHT - ABOVE - BELOW)
    for place, (text, begin, end, colour, name) in enumerate(bars):
        left = GAP + STEP * place
        right, middle = left + STEP - GAP, left + (STEP - GAP) / 2
        high, low = sorted((height(begin), height(end)))
        pen.rectangle((left, high, right, max(low, high + 2)), fill=colour)
        pen.text((middle, high - 6), text, fill=INK, font=font, anchor="ms")
        pen.text((middle, HEIGHT - BELOW + 12), name[:LONGEST], fill=INK, font=font, anchor="mt")
        if place:
            before = height(bars[place - 1][2])
            pen.line((left - GAP, before, left, before), fill=QUIET)
    pen.line((GAP // 2, height(0), image.width - GAP // 2, height(0)), fill=QUIET)
    return torch.from_numpy(numpy.asarray(image, dtype=numpy.float32) / 255.0)[None]

"""Draws docs/icon.png and docs/banner.png: a star that comes out of noise in few steps."""

import math
import random
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

HERE = Path(__file__).resolve().parent
ICON, BANNER = 400, (1260, 540)
NIGHT, STAR, WORD, QUIET = (18, 24, 38), (255, 200, 61), (255, 255, 255), (160, 172, 194)
# of each tile of the banner: share of its cells that are noise
NOISE = 1.0, 0.45, 0.15, 0.0
CELLS = 24


def star(side: int, points: int = 5) -> Image.Image:
    """[side, side] grey, white where a star is."""
    picture = Image.new("L", (4 * side, 4 * side))
    middle, outer, inner = 2 * side, 1.72 * side, 0.74 * side
    corners = []
    for k in range(2 * points):
        radius, angle = (outer, inner)[k % 2], math.pi * (k / points - 0.5)
        corners.append((middle + radius * math.cos(angle), middle + radius * math.sin(angle)))
    ImageDraw.Draw(picture).polygon(corners, fill=255)
    return picture.resize((side, side), Image.Resampling.LANCZOS)


def tile(side: int, noise: float, dice: random.Random) -> Image.Image:
    """A star of which this share of cells is noise; without noise it is drawn smoothly."""
    if not noise:
        picture = Image.new("RGB", (side, side), NIGHT)
        picture.paste(STAR, mask=star(side))
        return picture
    shape, picture = star(CELLS), Image.new("RGB", (CELLS, CELLS), NIGHT)
    for x in range(CELLS):
        for y in range(CELLS):
            share = shape.getpixel((x, y)) / 255
            colour = tuple(round(n + share * (s - n)) for n, s in zip(NIGHT, STAR, strict=True))
            if dice.random() < noise:
                colour = tuple(dice.randrange(30, 235) for _ in range(3))
            picture.putpixel((x, y), colour)
    return picture.resize((side, side), Image.Resampling.NEAREST)


def icon() -> Image.Image:
    """Its left half comes out of noise, its right is there."""
    picture, noisy = tile(ICON, 0.0, random.Random(0)), tile(ICON, 0.6, random.Random(0))
    picture.paste(noisy.crop((0, 0, ICON // 2, ICON)), (0, 0))
    return picture


def banner() -> Image.Image:
    picture, dice = Image.new("RGB", BANNER, NIGHT), random.Random(1)
    pen = ImageDraw.Draw(picture)
    side, gap = 220, 40
    left = (BANNER[0] - len(NOISE) * side - (len(NOISE) - 1) * gap) // 2
    for k, noise in enumerate(NOISE):
        picture.paste(tile(side, noise, dice), (left + k * (side + gap), 230))
    pen.text((left, 60), "FewStep", fill=WORD, font=ImageFont.load_default(72))
    told = "a picture in 1 to 8 network passes"
    pen.text((left + 4, 152), told, fill=QUIET, font=ImageFont.load_default(34))
    return picture


if __name__ == "__main__":
    icon().save(HERE / "icon.png", optimize=True)
    banner().save(HERE / "banner.png", optimize=True)

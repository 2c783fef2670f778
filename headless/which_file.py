"""python run.py which-file: README.md's tables of what each file needs, from the recipes."""

import argparse
import re
from collections.abc import Iterable
from pathlib import Path

from ..recipes.read import read_all
from ..recipes.recipe import Recipe
from ..recipes.words import schedule, span

README = Path(__file__).resolve().parent.parent / "README.md"
BEGIN = "<!-- which-file: written by python run.py which-file -->"
END = "<!-- which-file: end -->"
OTHERS = "Others"
# architectures of each table; OTHERS are all that stand in none
GROUPS = {
    "SD 1.5": ("sd15",),
    "SDXL": ("sdxl", "ssd-1b"),
    "SD 2.1, SD 3": ("sd21", "sd3"),
    "FLUX": ("flux", "flux2", "flux3"),
    "Qwen-Image": ("qwen-image", "qwen-image-2.1"),
    "Z-Image, Krea, HiDream and other models for pictures": (
        *("z-image", "krea2", "hidream-i1", "hidream-o1", "hunyuan-image", "ernie-image"),
        *("fibo2", "lens", "mage-flow", "boogu-image", "anima", "sana", "prx", "dreamlite", "pid"),
    ),
    "Video": ("wan", "ltx2", "minimax-h3", "hunyuan-video", "seedvr2"),
    "Sound": ("ace-step", "stable-audio-3"),
}
HEADINGS = (
    *("model", "file, for example", "steps", "cfg", "sampler", "schedule"),
    *("shift", "strength", "notes"),
)
EMPTY = "-"
# longer lists would make the table too wide to read
MOST_SIGMAS = 5


def tables(recipes: Iterable[Recipe]) -> str:
    """A Markdown table for each group of architectures, of the recipes that are distilled.

    Recipes of a family with the same settings share a row, those that differ in nothing but their
    step count also a line of it, with N in place of the count.
    """
    recipes = [recipe for recipe in recipes if recipe.is_distilled]
    placed = [base for bases in GROUPS.values() for base in bases]
    others = dict.fromkeys(r.base for r in recipes if r.base not in placed)
    groups = {**GROUPS, OTHERS: tuple(others)}
    found = {title: _of(recipes, bases) for title, bases in groups.items()}
    return "\n".join(f"### {title}\n\n{_table(rows)}" for title, rows in found.items() if rows)


def put_into(text: str, made: str) -> str:
    """The text of README.md with `made` between its two marks.

    Raises:
        ValueError: a mark is missing or stands twice, or they stand in the wrong order.
    """
    if text.count(BEGIN) != 1 or text.count(END) != 1 or text.index(END) < text.index(BEGIN):
        raise ValueError(
            f"README.md needs the lines {BEGIN} and {END} once each, in this order. Put them back "
            "where the tables belong."
        )
    before, after = text.split(BEGIN)[0], text.split(END)[1]
    return f"{before}{BEGIN}\n\n{made}\n{END}{after}"


def main(argv: list[str]) -> int:
    """Write the tables into README.md, in place."""
    parser = argparse.ArgumentParser(
        prog="run.py which-file",
        description="Write README.md's tables of what each file needs anew, from the recipes.",
    )
    parser.parse_args(argv)
    recipes, _ = read_all()
    text = README.read_text(encoding="utf-8")
    README.write_text(put_into(text, tables(recipes.values())), encoding="utf-8", newline="\n")
    return 0


def _of(recipes, bases):
    return [recipe for base in bases for recipe in recipes if recipe.base == base]


def _table(recipes):
    shared = {}
    for recipe in recipes:
        lines = shared.setdefault(_settings(recipe), {})
        lines.setdefault(_names(recipe), []).append(recipe)
    rows = [[*_joined(lines.values()), *settings] for (_, *settings), lines in shared.items()]
    kept = [i for i in range(len(HEADINGS)) if any(row[i] != EMPTY for row in rows)]
    rows = [HEADINGS, ["---"] * len(HEADINGS), *rows]
    return "".join(f"| {' | '.join(row[i] for i in kept)} |\n" for row in rows)


def _settings(recipe):
    """The family, then what the columns behind the steps say."""
    guidance, sampler = recipe.guidance, recipe.sampler
    scale = span(guidance.default, guidance.low, guidance.high)
    return (
        recipe.family,
        scale if guidance.kind == "cfg" else f"1, guidance {scale}",
        sampler.name if sampler.eta is None else f"{sampler.name}, eta {sampler.eta:g}",
        _schedule(recipe),
        EMPTY if recipe.shift is None else f"{recipe.shift:g}",
        EMPTY if recipe.strength == 1.0 else f"{recipe.strength:g}",
        ", ".join(_notes(recipe)) or EMPTY,
    )


def _names(recipe):
    names = recipe.title, recipe.examples[0]
    return tuple(re.sub(r"(?<![\d.])\d+(?=[- ]?steps?)", "N", name) for name in names)


def _joined(lines):
    """The cells of model, file and steps; a line in each for recipes alike but for their count."""
    cells = []
    for found in lines:
        title, file = _names(found[0])
        if len(found) == 1:
            title, file = found[0].title, found[0].examples[0]
        steps = ", ".join(span(r.steps.default, r.steps.low, r.steps.high) for r in found)
        cells.append((title, f"`{file}`", steps))
    titles, files, steps = zip(*cells, strict=True)
    return "<br>".join(titles), "<br>".join(files), "<br>".join(steps)


def _schedule(recipe):
    sigmas = recipe.schedule.sigmas or ()
    if len(sigmas) <= MOST_SIGMAS:
        return schedule(recipe)
    return f"sigmas {sigmas[0]:g}, {sigmas[1]:g}, {sigmas[2]:g} ... {sigmas[-1]:g}"


def _notes(recipe):
    if recipe.prediction in ("v", "x0"):
        yield f"predicts {recipe.prediction}"
    if recipe.stage is not None:
        yield f"{recipe.stage} noise half"
    if not recipe.verified:
        yield "unverified"

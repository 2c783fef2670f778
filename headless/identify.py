"""python run.py identify FILE: which distilled model a file is, and what it needs.

Exit status 0 when a recipe was found, 3 when the file is sound and has none, 2 when it is refused.
"""

import argparse
import json
import sys
from pathlib import Path

from ..recipes.identify import Identification, identify
from ..recipes.recipe import Recipe

FOUND, REFUSED, NO_RECIPE = 0, 2, 3


def main(argv: list[str]) -> int:
    """Print what is known of one file."""
    parser = argparse.ArgumentParser(
        prog="run.py identify",
        description="Say which distilled model a safetensors file is, from its header alone.",
    )
    parser.add_argument("file", type=Path, metavar="FILE")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of text")
    wanted = parser.parse_args(argv)
    try:
        found = identify(wanted.file)
    except (ValueError, OSError) as error:
        tell(sys.stderr, f"{sentence(error)}\n")
        return REFUSED
    if wanted.json:
        tell(sys.stdout, json.dumps(found.as_json()) + "\n")
    else:
        tell(sys.stdout, as_text(found, wanted.file.name))
    return FOUND if found.recipe else NO_RECIPE


def tell(stream, text: str) -> None:
    """Write it; file names may hold letters that a terminal's encoding has not."""
    encoding = stream.encoding or "utf-8"
    stream.write(text.encode(encoding, "backslashreplace").decode(encoding))


def sentence(error: Exception) -> str:
    """An OSError's own text begins with a number that tells people nothing."""
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}."
    return str(error)


def as_text(found: Identification, name: str) -> str:
    """For the terminal: a line for each thing known, then why."""
    rows = [("file", name), ("architecture", found.base or "unknown")]
    rows += [("kind", found.kind or "unknown"), ("confidence", found.confidence)]
    rows += settings(found.recipe) if found.recipe else [("recipe", "none")]
    rows += [("because" if not i else "", reason) for i, reason in enumerate(found.reasons)]
    rows += [("warning", warning) for warning in found.warnings]
    return "".join(f"{label:<14}{value}\n" for label, value in rows)


def settings(recipe: Recipe) -> list[tuple[str, str]]:
    """What to set, as (label, value)."""
    steps, guidance = recipe.steps, recipe.guidance
    rows = [("recipe", f"{recipe.id}: {recipe.title}")]
    rows += [("steps", span(steps.default, steps.low, steps.high))]
    rows += [(guidance.kind, span(guidance.default, guidance.low, guidance.high))]
    eta = "" if recipe.sampler.eta is None else f", eta {recipe.sampler.eta:g}"
    rows += [("sampler", recipe.sampler.name + eta), ("schedule", schedule(recipe))]
    if recipe.shift is not None:
        rows += [("shift", f"{recipe.shift:g}")]
    if recipe.kind == "lora":
        rows += [("strength", f"{recipe.strength:g}")]
    if recipe.stage is not None:
        rows += [("stage", f"{recipe.stage} noise")]
    rows += [("licence", recipe.licence), ("source", recipe.sources[0])]
    return rows


def span(default, low, high):
    return f"{default:g}" if low == high else f"{default:g} ({low:g} to {high:g})"


def schedule(recipe):
    """The one field of a Schedule that is set, in words."""
    name, value = next((k, v) for k, v in recipe.schedule._asdict().items() if v is not None)
    if name in ("timesteps", "sigmas"):
        return f"{name} " + ", ".join(f"{number:g}" for number in value)
    return value if name == "spacing" else f"ComfyUI's {value}"

"""A recipe in words: what to set, for people to read."""

from .identify import Identification
from .recipe import Recipe


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


def cautions(recipe: Recipe) -> list[tuple[str, str]]:
    """Combinations known to fail, and what of the recipe is not verified, as (label, text)."""
    texts = [f"{bad.with_}: {bad.symptom}. Instead: {bad.fix}" for bad in recipe.bad]
    rows = [("known bad" if not i else "", text) for i, text in enumerate(texts)]
    return rows if recipe.verified else [*rows, ("unverified", recipe.how_verified)]


def span(default: float, low: float, high: float) -> str:
    """1.5 (1 to 2), or 1 alone where nothing else is allowed."""
    return f"{default:g}" if low == high else f"{default:g} ({low:g} to {high:g})"


def schedule(recipe: Recipe) -> str:
    """The one field of a Schedule that is set."""
    name, value = next((k, v) for k, v in recipe.schedule._asdict().items() if v is not None)
    if name in ("timesteps", "sigmas"):
        return f"{name} " + ", ".join(f"{number:g}" for number in value)
    return value if name == "spacing" else f"ComfyUI's {value}"


def told(found: Identification, name: str) -> str:
    """What is known of a file, a line for each thing, then why."""
    rows = [("file", name), ("architecture", found.base or "unknown")]
    rows += [("kind", found.kind or "unknown"), ("confidence", found.confidence)]
    rows += settings(found.recipe) if found.recipe else [("recipe", "none")]
    rows += [("because" if not i else "", reason) for i, reason in enumerate(found.reasons)]
    return table(rows + [("warning", warning) for warning in found.warnings])


def table(rows: list[tuple[str, str]]) -> str:
    """Rows of (label, value) as text with aligned columns, each line ended."""
    return "".join(f"{label:<14}{value}\n" for label, value in rows)

"""Which recipe a file is for, how sure that is, and why, from its header alone."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from ..lora.header import read_header
from .names import named
from .read import read_all
from .recipe import Recipe
from .structure import Structure, structure_of

# the one feature that is something missing, which tells less than something that is there
ABSENCE = "no guidance embedding"
KIND_WORDS = {"lora": "a LoRA", "unet": "a network alone", "checkpoint": "a whole checkpoint"}


class Identification(NamedTuple):
    """recipe is None where none was found or several are possible; reasons are sentences.

    confidence is "certain" (by content), "likely" (the evidence agrees), "unsure" (it is thin or
    disagrees) or "none".
    """

    recipe: Recipe | None
    base: str | None
    kind: str | None
    confidence: str
    reasons: tuple[str, ...]
    warnings: tuple[str, ...]

    def as_json(self) -> dict:
        """The object that `run.py identify --json` prints; its keys are a fixed format."""
        recipe = self.recipe
        return {
            "recipe": recipe and recipe.id,
            "family": recipe and recipe.family,
            "base": self.base,
            "kind": self.kind,
            "steps": list(recipe.steps.trained) if recipe else [],
            "cfg": [recipe.guidance.low, recipe.guidance.high] if recipe else [],
            "confidence": self.confidence,
            "reasons": list(self.reasons),
            "warnings": list(self.warnings),
        }


class _Evidence(NamedTuple):
    """Recipes that one kind of evidence speaks for."""

    what: str
    recipes: list[Recipe]

    @property
    def reason(self) -> str:
        return f"{self.what} those of {_titles(self.recipes)}."


def identify(
    path: str | Path, recipes: Iterable[Recipe] | None = None, *, sha256: str | None = None
) -> Identification:
    """Read a safetensors header and find the recipe of the file.

    Args:
        path: of the file. Nothing behind its header is read.
        recipes: to choose from; the shipped ones where None.
        sha256: of the whole file, 64 lower case hex digits, where somebody has computed it.

    Raises:
        ValueError: the file is no sound safetensors file.
    """
    header = read_header(path)
    known = list(read_all()[0].values() if recipes is None else recipes)
    return judge(structure_of(header), header.metadata, Path(path).name, known, sha256)


def judge(
    structure: Structure,
    metadata: dict[str, str],
    name: str,
    recipes: list[Recipe],
    sha256: str | None = None,
) -> Identification:
    """Weigh what is known of a file: content hash, structure, metadata, name, in this order."""
    for recipe in recipes:
        if sha256 in recipe.sha256:
            reason = f"Its content is that of {recipe.title}, by its SHA-256."
            return _found(recipe, structure, "certain", (reason,))
    fitting = _same_kind([r for r in recipes if _fits(r, structure)], structure)
    found = [
        _Evidence("Its tensors are", _by_structure(fitting, structure)),
        _Evidence("Its metadata are", _by_metadata(fitting, metadata)),
        _Evidence(f"Its name, {name}, is among", named(fitting, name)),
    ]
    misnamed = () if found[-1].recipes else _misnamed(named(recipes, name))
    return _weighed([evidence for evidence in found if evidence.recipes], structure, misnamed)


def _fits(recipe, structure):
    """Whether nothing in the structure speaks against a recipe."""
    if structure.base not in (None, recipe.base):
        return False
    if structure.kind is not None and (recipe.kind == "lora") != (structure.kind == "lora"):
        return False
    if structure.base is None:
        return True
    decisive = {"w embedding", "mean flow"} & structure.features
    return decisive <= set(recipe.structure) <= structure.features


def _same_kind(recipes, structure):
    """A network stands in for a checkpoint, and back, where the family lacks the right one."""
    exact = {recipe.family for recipe in recipes if recipe.kind == structure.kind}
    return [r for r in recipes if r.kind == structure.kind or r.family not in exact]


def _by_structure(recipes, structure):
    return [recipe for recipe in recipes if recipe.structure and structure.base]


def _by_metadata(recipes, metadata):
    return [
        recipe
        for recipe in recipes
        if recipe.metadata
        and all(re.search(p, metadata.get(key, "")) for key, p in recipe.metadata.items())
    ]


def _misnamed(ruled_out):
    """A sentence on recipes that the name speaks of and the tensors rule out."""
    if not ruled_out:
        return ()
    return (
        f"Its name speaks of {_titles(ruled_out)}, which is "
        f"{KIND_WORDS[ruled_out[0].kind]} for {ruled_out[0].base}; its tensors are not that.",
    )


def _weighed(found, structure, misnamed):
    if not found:
        nothing = "Nothing in it tells a distilled model: no known hash, structure, entry or name."
        reasons = (*structure.reasons, *(misnamed or (nothing,)))
        confidence = "unsure" if misnamed else "none"
        return Identification(None, structure.base, structure.kind, confidence, reasons, ())
    left = found[0].recipes
    reasons = list(structure.reasons)
    for evidence in found:
        reasons.append(evidence.reason)
        agreed = [recipe for recipe in left if recipe in evidence.recipes]
        if not agreed:
            reasons.append("That does not go together, so no recipe is chosen.")
            return _undecided(structure, reasons)
        left = agreed
    if len(left) > 1:
        reasons.append("More than one recipe is possible, and nothing tells which.")
        return _undecided(structure, reasons)
    if len(found) == 1 and left[0].structure == (ABSENCE,):
        reasons.append("A model trained on from it has the same tensors, so it may be one.")
        return _found(left[0], structure, "unsure", tuple(reasons))
    is_agreed = structure.base is not None and not misnamed
    reasons += misnamed
    return _found(left[0], structure, "likely" if is_agreed else "unsure", tuple(reasons))


def _undecided(structure, reasons):
    return Identification(None, structure.base, structure.kind, "unsure", tuple(reasons), ())


def _found(recipe, structure, confidence, reasons):
    warnings = ()
    if not recipe.verified:
        warnings = (f"The settings of {recipe.title} are unverified: {recipe.how_verified}",)
    base, kind = structure.base or recipe.base, structure.kind or recipe.kind
    return Identification(recipe, base, kind, confidence, reasons, warnings)


def _titles(recipes):
    shown = [recipe.title for recipe in recipes[:3]]
    more = len(recipes) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")

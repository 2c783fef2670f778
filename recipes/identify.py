"""Which recipe a file is for, how sure that is, and why, from its header alone."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from ..lora.header import read_header
from .claims import claims
from .evidence import KIND_WORDS, evidence, is_network_of, misfit
from .own import KEY, read_own
from .read import read_all
from .recipe import Recipe
from .structure import Structure, structure_of

# the one feature that is something missing, which tells less than something that is there
ABSENCE = "no guidance embedding"


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
    metadata: Mapping[str, str],
    name: str,
    recipes: list[Recipe],
    sha256: str | None = None,
) -> Identification:
    """Weigh what is known of a file: content hash, structure, metadata, name, in this order.

    What FewStep itself wrote into a file stands for all but the hash, unless the tensors are of
    another architecture or kind.
    """
    for recipe in recipes:
        if sha256 in recipe.sha256:
            reason = f"Its content is that of {recipe.title}, by its SHA-256."
            return _found(recipe, structure, "certain", (reason,))
    try:
        own = read_own(metadata)
    except ValueError as fault:
        found = _by_evidence(structure, metadata, name, recipes)
        return found._replace(warnings=(*found.warnings, f"{fault} This entry is left out."))
    return _by_own(own, structure) if own else _by_evidence(structure, metadata, name, recipes)


def as_said(
    found: Identification, structure: Structure, recipe: Recipe, date: str
) -> Identification:
    """What a file is by the user's own word, unless its tensors are of another kind or base.

    Args:
        found: what it is without that word.
        date: the day on which the user said so.
    """
    said = f"You said on {date} that it is {recipe.title}."
    if odd := misfit(recipe, structure):
        return found._replace(warnings=(*found.warnings, f"{said} That is left out: {odd}"))
    return _found(recipe, structure, "certain", (*structure.reasons, said))


def _by_own(own, structure):
    reasons = (*structure.reasons, f"FewStep wrote into it that it is {own.title} ({KEY}).")
    if is_network_of(own, structure):
        return _found(own, structure, "certain", reasons)
    odd = f"That entry is for {KIND_WORDS[own.kind]} for {own.base}; its tensors are not that."
    return _found(own, structure, "unsure", (*reasons, odd))


def _by_evidence(structure, metadata, name, recipes):
    told = claims(metadata)
    found, misnamed = evidence(structure, metadata, name, recipes, told)
    structure = structure._replace(reasons=(*structure.reasons, *_beside(told, structure)))
    weighed = _weighed(found, structure, misnamed) if found else _nothing(structure, misnamed)
    is_contradicted = any(structure.base not in (None, *claim.bases) for claim in told)
    return weighed._replace(confidence="unsure") if is_contradicted else weighed


def _nothing(structure, misnamed):
    nothing = "Nothing in it tells a distilled model: no known hash, structure, entry or name."
    thin = [*misnamed, *([structure.hint] if structure.hint else [])]
    return _undecided(structure, [*structure.reasons, *(thin or [nothing])], is_thin=bool(thin))


def _weighed(found, structure, misnamed):
    left = found[0].recipes
    reasons = list(structure.reasons)
    for each in found:
        reasons.append(each.reason)
        agreed = [recipe for recipe in left if recipe in each.recipes]
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


def _beside(told, structure):
    """What the metadata say of the architecture, put beside what the tensors are."""
    for claim in told:
        agrees = structure.base in (None, *claim.bases)
        tensors = "do not contradict that" if agrees else f"are those of {structure.base}"
        yield f"Its metadata say {claim.value} ({claim.key}); its tensors {tensors}."


def _undecided(structure, reasons, is_thin=True):
    confidence = "unsure" if is_thin else "none"
    return Identification(None, structure.base, structure.kind, confidence, tuple(reasons), ())


def _found(recipe, structure, confidence, reasons):
    warnings = ()
    if not recipe.verified:
        warnings = (f"The settings of {recipe.title} are unverified: {recipe.how_verified}",)
    base, kind = structure.base or recipe.base, structure.kind or recipe.kind
    return Identification(recipe, base, kind, confidence, reasons, warnings)

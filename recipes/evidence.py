"""What speaks for a recipe: a file's tensors, its metadata, and the names it was given."""

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from .claims import Claim, given_names
from .names import named, normalised
from .recipe import Recipe
from .structure import Structure

KIND_WORDS = {"lora": "a LoRA", "unet": "a network alone", "checkpoint": "a whole checkpoint"}


class Evidence(NamedTuple):
    """Recipes that one thing known of a file speaks for."""

    what: str
    recipes: list[Recipe]

    @property
    def reason(self) -> str:
        return f"{self.what} those of {titles(self.recipes)}."


def evidence(
    structure: Structure,
    metadata: Mapping[str, str],
    name: str,
    recipes: Iterable[Recipe],
    told: list[Claim],
) -> tuple[list[Evidence], list[str]]:
    """All that speaks for one or more recipes, the strongest first.

    Returns:
        (evidence, a sentence for each name that speaks of what the tensors rule out)
    """
    recipes = list(recipes)
    possible = [r for r in recipes if _fits(r, structure) and _is_claimed(r, structure, told)]
    fitting = _same_kind(possible, structure)
    by_names, misnamed = [], []
    for words, given in _names(metadata, name):
        by_names.append(Evidence(f"{words}, is among", named(fitting, given)))
        if not by_names[-1].recipes:
            misnamed += _misnamed(words, named(recipes, given))
    found = [
        Evidence("Its tensors are", _by_structure(fitting, structure)),
        Evidence("Its metadata are", _by_metadata(fitting, metadata)),
        *by_names,
    ]
    return [each for each in found if each.recipes], misnamed


def is_network_of(recipe: Recipe, structure: Structure) -> bool:
    """Whether architecture and kind are those of a recipe, as far as the tensors tell."""
    if structure.base not in (None, recipe.base):
        return False
    return structure.kind is None or (recipe.kind == "lora") == (structure.kind == "lora")


def misfit(recipe: Recipe, structure: Structure) -> str:
    """A sentence on a recipe that a file cannot have; empty where nothing speaks against it."""
    if is_network_of(recipe, structure):
        return ""
    kind = KIND_WORDS.get(structure.kind, "a file")
    found = f"{kind} for {structure.base}" if structure.base else kind
    return (
        f"{recipe.title} is {KIND_WORDS[recipe.kind]} for {recipe.base}, and by its tensors the "
        f"file is {found}."
    )


def titles(recipes: list[Recipe]) -> str:
    """Three at most, and how many more there are."""
    shown = [recipe.title for recipe in recipes[:3]]
    more = len(recipes) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")


def _fits(recipe, structure):
    """Whether nothing in the structure speaks against a recipe."""
    if not is_network_of(recipe, structure):
        return False
    if structure.base is None:
        return True
    decisive = {"w embedding", "mean flow"} & structure.features
    return decisive <= set(recipe.structure) <= structure.features


def _is_claimed(recipe, structure, told):
    """The tensors go before what the metadata say of the architecture."""
    return structure.base is not None or all(recipe.base in claim.bases for claim in told)


def _same_kind(recipes, structure):
    """A network stands in for a checkpoint, and back, where the family lacks the right one."""
    exact = {recipe.family for recipe in recipes if recipe.kind == structure.kind}
    return [r for r in recipes if r.kind == structure.kind or r.family not in exact]


def _names(metadata, name):
    """(words that begin a sentence, name), the strongest first; equal names stand once."""
    # a slash is no folder in metadata
    given = {k: re.sub(r"[\\/]", "-", value) for k, value in given_names(metadata).items()}
    seen = {normalised(name)}
    for key, value in given.items():
        if normalised(value) not in seen:
            seen.add(normalised(value))
            yield f"The name in its metadata, {value} ({key})", value
    yield f"Its name, {name}", name


def _by_structure(recipes, structure):
    return [recipe for recipe in recipes if recipe.structure and structure.base]


def _by_metadata(recipes, metadata):
    return [
        recipe
        for recipe in recipes
        if recipe.metadata
        and all(re.search(p, metadata.get(key, "")) for key, p in recipe.metadata.items())
    ]


def _misnamed(words, ruled_out):
    """A sentence on recipes that a name speaks of and the tensors rule out."""
    if not ruled_out:
        return []
    return [
        f"{words}, speaks of {titles(ruled_out)}, which is "
        f"{KIND_WORDS[ruled_out[0].kind]} for {ruled_out[0].base}; its tensors are not that."
    ]

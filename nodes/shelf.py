"""Every model file that ComfyUI finds, with what it is and needs, a part at a time."""

import time
from pathlib import Path
from typing import Any

from ..lora.header import read_header
from ..recipes.evidence import misfit
from ..recipes.structure import structure_of
from ..recipes.words import cautions, settings
from .host import files
from .known import chosen, identified, recipes, recipes_stamp
from .said import said_about, said_stamp, say
from .schema import check_choice

# of one answer, so that the first files are seen soon
MOST, SECONDS = 500, 0.3

# path: (what it was made from, entry); a file is read again only when that changes
_seen: dict[Path, tuple[str, dict]] = {}


def listed(start: int) -> dict[str, Any]:
    """The files from this place of the whole list on, as many as are looked at in a moment.

    Returns:
        an object for JSON; next is the place to go on from, None at the end. The first part has
        the recipes to choose from.

    Raises:
        ValueError: start is below 0.
    """
    if start < 0:
        raise ValueError(f"start is {start}; allowed is 0 or above.")
    places = [(folder, name) for folder in files.ALL for name in files.names((folder,))]
    stamp, deadline = recipes_stamp(), time.monotonic() + SECONDS
    entries = []
    for folder, name in places[start : start + MOST]:
        entries.append(_entry(folder, name, stamp))
        if time.monotonic() > deadline:
            break
    reached = start + len(entries)
    found = {"files": entries, "total": len(places)}
    found["next"] = reached if reached < len(places) else None
    return found | ({} if start else {"recipes": _choices()})


def give(folder: str, name: str, recipe_id: str | None) -> dict[str, Any]:
    """Keep which recipe a listed file has by the user's word; None takes it back.

    Returns:
        the file's entry, as of `listed`.

    Raises:
        ValueError: there is no such file or recipe, the file is refused, the recipe is for another
            kind of file, or what was said before cannot be read.
        OSError: it cannot be written.
    """
    check_choice("folder", folder, files.ALL)
    if name not in files.names((folder,)):
        raise ValueError(
            f"file is {name!r}, which is not in ComfyUI's folder for {folder}. Press R to read the "
            "folders again."
        )
    if not isinstance(recipe_id, str | None):
        raise ValueError(f"recipe_id is {recipe_id!r}; allowed is the id of a recipe, or null.")
    path = files.path_of(name, (folder,))
    recipe = None if recipe_id is None else chosen(recipe_id)
    odd = "" if recipe is None else misfit(recipe, structure_of(read_header(path)))
    if odd:
        raise ValueError(f"{odd} Choose a recipe that is made for such a file.")
    say(path, recipe)
    return _entry(folder, name, recipes_stamp())


def _choices():
    found = sorted(recipes().values(), key=lambda one: one.title)
    return [{"id": r.id, "title": r.title, "base": r.base, "kind": r.kind} for r in found]


def _entry(folder, name, stamp):
    place = {"name": name, "folder": folder}
    try:
        path = files.path_of(name, (folder,))
        made_from = files.stamp(name, (folder,)) + stamp + said_stamp(path)
        if _seen.get(path, ("",))[0] != made_from:
            _seen[path] = made_from, _told(path)
        return place | _seen[path][1]
    except (OSError, ValueError) as fault:
        return place | _refused(fault)


def _told(path):
    try:
        found = identified(read_header(path), path)
    except (OSError, ValueError) as fault:
        return _refused(fault)
    recipe = found.recipe
    return {
        **found.as_json(),
        "refused": None,
        "said": _day(path),
        "title": recipe and recipe.title,
        "is_distilled": recipe is not None and recipe.is_distilled,
        "needs": recipe and _needs(recipe),
        # the id and title stand above
        "settings": settings(recipe)[1:] if recipe else [],
        "cautions": cautions(recipe) if recipe else [],
    }


def _day(path):
    try:
        said = said_about(path)
    except ValueError:
        return None
    return said and said.date


def _needs(recipe):
    return {
        "steps": recipe.steps.default,
        "guidance": recipe.guidance.kind,
        "scale": recipe.guidance.default,
        "sampler": recipe.sampler.name,
    }


def _refused(fault):
    return {
        "refused": str(fault),
        "recipe": None,
        "family": None,
        "base": None,
        "kind": None,
        "confidence": "none",
        "reasons": [],
        "warnings": [],
        "said": None,
        "title": None,
        "is_distilled": False,
        "needs": None,
        "settings": [],
        "cautions": [],
    }

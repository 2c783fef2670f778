"""The recipes that the nodes know, the user's own included, and what files are by them."""

import logging
from functools import cache
from pathlib import Path

from ..lora.header import Header
from ..recipes.identify import Identification, as_said, judge
from ..recipes.read import read_all, shipped_ids
from ..recipes.recipe import Recipe
from ..recipes.structure import structure_of
from .host import files
from .said import said_about, said_stamp
from .schema import check_choice

STOP, WARN = "stop", "warn"


def recipes() -> dict[str, Recipe]:
    """All recipes by id; a file of the user's that is refused is named in the log."""
    found, refused = read_all([_own_folder()])
    for sentence in refused:
        _warn_once(sentence)
    return found


def recipe_ids() -> list[str]:
    """The ids to choose from; without recipes of the user's nothing has to be read for them."""
    return sorted(recipes()) if any(_own_folder().glob("*.json")) else list(shipped_ids())


def recipes_stamp() -> str:
    """Changes whenever a recipe file of the user's does; for nodes that must run again then."""
    found = [(path.name, path.stat()) for path in sorted(_own_folder().glob("*.json"))]
    return "".join(f" {name} {state.st_size} {state.st_mtime_ns}" for name, state in found)


def file_stamp(name: str, folders: tuple[str, ...]) -> str:
    """Changes whenever a listed file does, or what is known of it."""
    path = files.path_of(name, folders)
    return files.stamp(name, folders) + recipes_stamp() + said_stamp(path)


def _own_folder():
    return files.own_folder() / "recipes"


def chosen(recipe_id: str) -> Recipe:
    """The recipe that the user has chosen from the list.

    Raises:
        ValueError: there is none of this id; ComfyUI 0.3 does not look at what it is sent.
    """
    known = recipes()
    if recipe_id not in known:
        raise ValueError(
            f"recipe_id is {recipe_id!r}, and no recipe is called so. Choose one from the list; "
            "where a file of your own is left out of it, ComfyUI's log says why."
        )
    return known[recipe_id]


@cache
def _warn_once(sentence):
    # the recipes are read several times for one graph
    logging.warning("FewStep leaves out recipes of yours: %s", sentence)


def identified(header: Header, path: Path, sha256: str | None = None) -> Identification:
    """What a file with this header is; sha256 of its content where somebody asked for it.

    What the user has said of it by hand stands above all that it tells.
    """
    structure, known = structure_of(header), recipes()
    found = judge(structure, header.metadata, path.name, list(known.values()), sha256)
    try:
        said = said_about(path)
    except ValueError as fault:
        return found._replace(warnings=(*found.warnings, str(fault)))
    if said is None:
        return found
    if said.recipe not in known:
        lost = f"You said on {said.date} that it is {said.recipe}, and no recipe is called so now."
        return found._replace(warnings=(*found.warnings, lost))
    return as_said(found, structure, known[said.recipe], said.date)


def settle(header: Header, path: Path, given: Recipe | None, if_unsure: str) -> Identification:
    """Decide which recipe a file is loaded with, and say why.

    Args:
        path: of the file that has this header.
        given: the recipe that the user has connected; then the file is not asked.
        if_unsure: "stop" or "warn", for a file that does not tell.

    Raises:
        ValueError: the file does not tell, and the user wants to stop; or if_unsure is neither.
    """
    check_choice("if_unsure", if_unsure, (STOP, WARN))
    found = identified(header, path)
    if given is not None:
        reason = f"You said that it is {given.title}."
        found = found._replace(recipe=given, confidence="certain", reasons=(reason,), warnings=())
    if found.confidence in ("unsure", "none") and if_unsure == STOP:
        raise ValueError(
            f"{path.name} does not tell which distilled model it is. {' '.join(found.reasons)} "
            "Connect Recipe (FewStep) to say it by hand, give it a recipe in the sidebar's tab "
            "FewStep for good, or set if_unsure to warn to load it as it "
            "is; a file that is not distilled belongs into ComfyUI's own loader."
        )
    return found


def trained_on(header: Header) -> str | None:
    """The model that a LoRA's trainer says it was trained on; None where it says nothing."""
    return header.metadata.get("ss_sd_model_name")

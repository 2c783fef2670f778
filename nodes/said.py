"""What the user has said that files are, kept in ComfyUI's user folder."""

import datetime
import threading
from functools import lru_cache
from pathlib import Path

from ..evaluate.picture_set import write_whole
from ..recipes.recipe import Recipe
from ..recipes.said import Said, fingerprint, read_said, said_of, written
from .host import files

FILE = "said.json"
# two windows may say something at once
_writing = threading.Lock()


def said_about(path: Path) -> Said | None:
    """What the user has said of a file; None where nothing.

    Raises:
        ValueError: the file with all that was said is broken, or of a newer FewStep.
    """
    return said_of(path, _said())


def said_stamp(path: Path) -> str:
    """Changes whenever what is said of this file does."""
    try:
        return f" {said_about(path)}"
    except ValueError as fault:
        return f" {fault}"


def say(path: Path, recipe: Recipe | None) -> None:
    """Keep that a file has this recipe; None takes back what was said of it.

    Raises:
        ValueError: what was said before is in a file that is broken or newer, which stays as it is.
        OSError: the disk is full, or the folder cannot be written to; what was there stays.
    """
    with _writing:
        said = dict(_said())
        mark = fingerprint(path)
        said.pop(mark, None)
        if recipe is not None:
            today = datetime.date.today().isoformat()
            said[mark] = Said(recipe.id, today, path.stat().st_size)
        _file().parent.mkdir(parents=True, exist_ok=True)
        write_whole(_file(), written(said))


def _said():
    try:
        found = _file().stat()
    except FileNotFoundError:
        return {}
    return _read(_file(), (found.st_ino, found.st_size, found.st_mtime_ns))


@lru_cache(maxsize=1)
def _read(path, state):
    # every file of a long list asks
    return read_said(path)


def _file():
    return files.own_folder() / FILE

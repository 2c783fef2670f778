"""Where the ComfyUI installations of this machine are."""

import os
import re
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
USUAL_PLACE = Path.home() / "comfy" / "ComfyUI"


class Misnamed(Exception):
    """An environment variable names something that is not there."""


class ComfyUI(NamedTuple):
    folder: Path
    version: tuple[int, ...]

    def __str__(self):
        return f"ComfyUI {'.'.join(map(str, self.version))} in {self.folder}"


def find():
    """The ComfyUI to use, or None.

    Raises:
        Misnamed: COMFYUI_PATH is set, but no ComfyUI is there.
    """
    named = os.environ.get("COMFYUI_PATH")
    if named and not looks_like_comfyui(Path(named)):
        raise Misnamed(
            f"COMFYUI_PATH is {named!r}, but there is no ComfyUI in it: expected the folder that "
            "holds ComfyUI's main.py. Correct or unset COMFYUI_PATH."
        )
    for place in places():
        if looks_like_comfyui(place):
            return describe(place)
    return None


def find_all():
    """Every ComfyUI the tests run in, newest first: the one of find() and ~/comfy/ComfyUI-*."""
    first = find()
    siblings = sorted(USUAL_PLACE.parent.glob("ComfyUI*"))
    folders = {place.resolve() for place in siblings if looks_like_comfyui(place)}
    if first:
        folders.add(first.folder)
    return sorted(map(describe, folders), key=lambda comfyui: comfyui.version, reverse=True)


def places():
    """The folders looked at, in order."""
    named = os.environ.get("COMFYUI_PATH")
    if named:
        yield Path(named).expanduser()
    if ROOT.parent.name == "custom_nodes":
        yield ROOT.parent.parent
    yield USUAL_PLACE


def not_found():
    looked = ", ".join(str(place) for place in places())
    return (
        f"No ComfyUI found (looked in {looked}). "
        "Set COMFYUI_PATH to the folder that holds ComfyUI's main.py."
    )


def looks_like_comfyui(folder):
    folder = folder.expanduser()
    files = ("main.py", "requirements.txt", "comfy/samplers.py")
    return all((folder / file).is_file() for file in files)


def describe(folder):
    folder = folder.expanduser().resolve()
    return ComfyUI(folder, read_version(folder))


def read_version(folder):
    """(0, 3, 64) from comfyui_version.py; () where it tells nothing, which sorts as the oldest."""
    file = folder / "comfyui_version.py"
    text = file.read_text(encoding="utf-8") if file.is_file() else ""
    found = re.search(r"__version__\s*=\s*[\"'](\d+(?:\.\d+)*)", text)
    return tuple(map(int, found[1].split("."))) if found else ()

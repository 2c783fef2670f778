"""Where a Chromium for the browser tests is."""

import os
import shutil
from pathlib import Path

from .find_comfyui import Misnamed

COMMANDS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
MAC = (
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
)
WINDOWS = ("Google/Chrome/Application/chrome.exe", "Chromium/Application/chrome.exe")
WINDOWS_FOLDERS = ("PROGRAMFILES", "PROGRAMFILES(X86)", "LOCALAPPDATA")


def find():
    """Path of the browser, or None.

    Raises:
        Misnamed: CHROMIUM_PATH is set, but names no file.
    """
    named = os.environ.get("CHROMIUM_PATH")
    if named:
        if not Path(named).is_file():
            raise Misnamed(
                f"CHROMIUM_PATH is {named!r}, which is no file. Correct or unset CHROMIUM_PATH."
            )
        return named
    for command in COMMANDS:
        found = shutil.which(command)
        if found:
            return found
    windows = [Path(os.environ.get(name, ""), end) for name in WINDOWS_FOLDERS for end in WINDOWS]
    return next((str(path) for path in [*map(Path, MAC), *windows] if path.is_file()), None)


def not_found():
    return (
        "no Chromium or Chrome found (looked for the commands "
        f"{', '.join(COMMANDS)} and in the usual folders). Set CHROMIUM_PATH to name one."
    )

"""python run.py identify FILE: which distilled model a file is, and what it needs.

Exit status 0 when a recipe was found, 3 when the file is sound and has none, 2 when it is refused.
"""

import argparse
import json
import os
import re
import sys
from pathlib import Path

from ..recipes.hashes import sha256_of
from ..recipes.identify import identify
from ..recipes.words import table, told

FOUND, REFUSED, NO_RECIPE = 0, 2, 3
# what a terminal obeys instead of showing it, except the end of a line
CONTROL = r"[\x00-\x09\x0b-\x1f\x7f-\x9f]"


def main(argv: list[str]) -> int:
    """Print what is known of one file."""
    parser = argparse.ArgumentParser(
        prog="run.py identify",
        description="Say which distilled model a safetensors file is, from its header alone.",
    )
    parser.add_argument("file", type=Path, metavar="FILE")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of text")
    parser.add_argument(
        "--hash",
        action="store_true",
        help="read the whole file for its SHA-256 too, which tells a published file for certain; "
        "remembered until the file changes",
    )
    wanted = parser.parse_args(argv)
    sha256 = None
    try:
        found = identify(wanted.file)
        if wanted.hash:
            sha256 = sha256_of(wanted.file, cache_folder())
            found = identify(wanted.file, sha256=sha256)
    except (ValueError, OSError) as error:
        tell(sys.stderr, f"{sentence(error)}\n")
        return REFUSED
    if wanted.json:
        tell(sys.stdout, json.dumps(found.as_json()) + "\n")
    else:
        rows = [("sha256", sha256)] if sha256 else []
        tell(sys.stdout, told(found, wanted.file.name) + table(rows))
    return FOUND if found.recipe else NO_RECIPE


def cache_folder() -> Path:
    """Where this user's programs keep what they can compute again, and FewStep's folder there."""
    chosen = os.environ.get("XDG_CACHE_HOME")
    if chosen:
        return Path(chosen) / "fewstep"
    if sys.platform == "win32" and os.environ.get("LOCALAPPDATA"):
        return Path(os.environ["LOCALAPPDATA"]) / "fewstep"
    usual = "Library/Caches" if sys.platform == "darwin" else ".cache"
    return Path.home() / usual / "fewstep"


def tell(stream, text: str) -> None:
    """Write it; names may hold letters that a terminal's encoding has not, or that it obeys."""
    encoding = stream.encoding or "utf-8"
    shown = re.sub(CONTROL, lambda found: f"\\x{ord(found[0]):02x}", text)
    stream.write(shown.encode(encoding, "backslashreplace").decode(encoding))


def sentence(error: Exception) -> str:
    """An OSError's own text begins with a number that tells people nothing."""
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}."
    return str(error)

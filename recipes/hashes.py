"""SHA-256 of whole files, on request, remembered until a file changes."""

import contextlib
import hashlib
import json
import os
import re
import tempfile
from pathlib import Path

# in the folder that the caller gives
FILE = "sha256.json"
# files whose hashes are kept; those asked for longest ago go first
MOST_FILES = 1000
MOST_BYTES = 8_000_000
AT_ONCE = 1 << 20


def ignore(done):
    """An `on_read` that does nothing."""


def sha256_of(path: str | Path, folder: str | Path, on_read=ignore) -> str:
    """The SHA-256 of a file: remembered where path, size and time of change are as they were.

    Args:
        folder: where hashes are remembered. One that cannot be read or written does no harm.
        on_read: (bytes read so far), called after each part; an exception ends the reading.

    Returns:
        64 lower case hex digits.

    Raises:
        OSError: the file itself cannot be read.
        ValueError: it changed while it was read.
    """
    path = Path(path).absolute()
    memory = Path(folder) / FILE
    state = _state(path)
    known = _remembered(memory)
    entry = known.pop(str(path), None)
    if entry is None or entry["state"] != state:
        entry = {"state": state, "sha256": _computed(path, on_read)}
        if _state(path) != state:
            raise ValueError(f"{path.name} changed while it was read; ask again when it is whole.")
    _remember(memory, {**known, str(path): entry})
    return entry["sha256"]


def _state(path):
    found = os.stat(path)
    return [found.st_size, found.st_mtime_ns]


def _computed(path, on_read):
    digest, done = hashlib.sha256(), 0
    with open(path, "rb") as file:
        while part := file.read(AT_ONCE):
            digest.update(part)
            done += len(part)
            on_read(done)
    return digest.hexdigest()


def _remembered(memory):
    """What the file holds that is sound; a broken one is written anew."""
    try:
        if memory.stat().st_size > MOST_BYTES:
            return {}
        found = json.loads(memory.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    if not isinstance(found, dict):
        return {}
    return {path: entry for path, entry in found.items() if _is_entry(entry)}


def _is_entry(entry):
    if not isinstance(entry, dict) or entry.keys() != {"state", "sha256"}:
        return False
    sha256 = entry["sha256"]
    return isinstance(sha256, str) and re.fullmatch("[0-9a-f]{64}", sha256) is not None


def _remember(memory, known):
    kept = dict(list(known.items())[-MOST_FILES:])
    with contextlib.suppress(OSError):
        memory.parent.mkdir(parents=True, exist_ok=True)
        # whole under another name first: two programs may write at once
        handle, made = tempfile.mkstemp(prefix=f".{FILE}-", dir=memory.parent)
        try:
            with open(handle, "w", encoding="utf-8") as file:
                json.dump(kept, file)
            os.replace(made, memory)
        except OSError:
            os.unlink(made)
            raise

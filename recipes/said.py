"""What the user has said that files are, by a fingerprint that a file keeps when it is renamed."""

import hashlib
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from . import fields
from .values import Wrong, matching, parts, texts_by_key, whole

VERSION = 1
# an entry has 200 bytes
MOST_BYTES = 8_000_000
# parts of the tensors that are looked at, and bytes of each; LoRAs often have equal headers
PLACES, SAMPLE = (0.25, 0.5, 0.75), 4096
FINGERPRINT = "[0-9a-f]{64}"


class Said(NamedTuple):
    """The id of a recipe, the day as 2026-01-31, and the size of the file in bytes."""

    recipe: str
    date: str
    size: int


ENTRY = {
    "recipe": fields.identifier,
    "date": matching(r"\d{4}-\d\d-\d\d", "a date such as 2026-01-31"),
    "size": whole(0, 2**63),
}
WHOLE = {"version": whole(VERSION, VERSION), "files": texts_by_key(lambda one: parts(one, ENTRY))}


def fingerprint(path: str | Path) -> str:
    """Of a sound safetensors file: its header, its size, and 12 KB of its tensors.

    Raises:
        OSError: it cannot be read.
    """
    digest = hashlib.sha256()
    # unbuffered, because a buffer would be filled up with the bytes of tensors
    with open(path, "rb", buffering=0) as file:
        size = os.fstat(file.fileno()).st_size
        start = file.read(8)
        begin = min(8 + int.from_bytes(start, "little"), size)
        digest.update(start + file.read(begin - 8) + size.to_bytes(8, "little"))
        for place in PLACES:
            file.seek(begin + int(place * (size - begin)))
            digest.update(file.read(SAMPLE))
    return digest.hexdigest()


def said_of(path: str | Path, said: Mapping[str, Said]) -> Said | None:
    """What was said of a file; its header is read only where one of its size was spoken of."""
    if os.stat(path).st_size not in {one.size for one in said.values()}:
        return None
    return said.get(fingerprint(path))


def read_said(path: Path) -> dict[str, Said]:
    """All that was said, by fingerprint; nothing where there is no such file.

    Raises:
        ValueError: the file is broken, or of a newer FewStep; says what to do.
    """
    try:
        if path.stat().st_size > MOST_BYTES:
            raise ValueError(f"it is larger than {MOST_BYTES} bytes")
        content = json.loads(path.read_text(encoding="utf-8"))
        version = content.get("version") if isinstance(content, dict) else None
        if isinstance(version, int) and version > VERSION:
            raise _Newer(version)
        found = parts(content, WHOLE)["files"]
        return {_fingerprint(key): Said(**one) for key, one in found.items()}
    except FileNotFoundError:
        return {}
    except _Newer as newer:
        raise ValueError(
            f"{path} is of version {newer}, and this FewStep reads version {VERSION}. Update "
            "FewStep; until then what you said of files is not heard."
        ) from None
    except (ValueError, RecursionError, Wrong) as error:
        raise ValueError(
            f"{path} is broken: {_told(error)} Mend it, or delete it and say again which recipes "
            "your files have."
        ) from None


def written(said: Mapping[str, Said]) -> bytes:
    """What `read_said` reads."""
    entries = {key: one._asdict() for key, one in said.items()}
    return json.dumps({"version": VERSION, "files": entries}, indent=1).encode()


class _Newer(Exception):
    """Written by a FewStep to come."""


def _fingerprint(key):
    if not re.fullmatch(FINGERPRINT, key):
        raise Wrong("a fingerprint of 64 hex digits", key, ("files", key))
    return key


def _told(error):
    if isinstance(error, Wrong):
        return f"{'.'.join(str(step)[:64] for step in error.path) or 'it'} {error.told()}"
    return f"{error or 'it is nested too deeply'}."

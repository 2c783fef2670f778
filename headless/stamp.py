"""What tells a set of files from another without reading gigabytes."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

# bytes read at either end of a file
BLOCK = 1 << 20


def stamp_of(paths: Iterable[Path]) -> str:
    """Equal for files of equal names, sizes, beginnings and ends.

    Args:
        paths: files, and folders with all that lies in them.

    Raises:
        OSError: one cannot be read.
    """
    digest = hashlib.sha256()
    for path in sorted(file for given in paths for file in _files(Path(given))):
        size = path.stat().st_size
        digest.update(f"{path.parent.name}/{path.name} {size}\n".encode())
        with open(path, "rb") as file:
            digest.update(file.read(BLOCK))
            file.seek(max(size - BLOCK, 0))
            digest.update(file.read(BLOCK))
    return digest.hexdigest()


def _files(path):
    return [found for found in path.rglob("*") if found.is_file()] if path.is_dir() else [path]

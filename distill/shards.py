"""Rows of tensors in several files that grow one by one, survive being cut off, and are checked."""

import hashlib
import json
import os
from pathlib import Path

import torch
from safetensors import safe_open

from ..lora.save import save

VERSION = 1
INDEX = "index.json"
# bytes read at a time
BLOCK = 1 << 20


class Shards:
    """A folder of safetensors files, `per_file` rows in each, and an index of the whole ones.

    Args:
        folder: made where it is not there; belongs to these shards alone.
        kind: what the rows are, in words.
        request: what they were made of, as JSON; shards of another request are refused.
        count: how many rows there are to be.
        per_file: rows of one file.

    Raises:
        ValueError: the folder holds other shards, or an index that cannot be read.
    """

    def __init__(self, folder: Path, kind: str, request: dict, count: int, per_file: int):
        self.folder, self.count = Path(folder), count
        # as it will be read back: tuples are lists in JSON
        self.request = json.loads(json.dumps(request))
        wanted = {"version": VERSION, "kind": kind, "request": self.request}
        self._index = self._read_index(wanted) or {**wanted, "per_file": per_file, "files": {}}
        self.per_file = self._index["per_file"]
        self._drop_missing_files()

    @classmethod
    def opened(cls, folder: Path, kind: str) -> "Shards":
        """The shards in a folder, whatever they were made of.

        Raises:
            ValueError: there are none, or not of this kind.
        """
        index = _read(Path(folder) / INDEX)
        if index is None:
            raise ValueError(f"{folder} holds no {kind}; there is no {INDEX}. Make them first.")
        rows = len(index.get("request", {}).get("rows", ()))
        return cls(folder, kind, index.get("request"), rows, index.get("per_file"))

    def missing(self):
        """The numbers of the rows of each file that is not there, file by file."""
        for first in range(0, self.count, self.per_file):
            if self._name(first) not in self._index["files"]:
                yield range(first, min(first + self.per_file, self.count))

    def write(self, rows: range, tensors: dict[str, torch.Tensor]) -> None:
        """Add the file of these rows; it counts once it is whole.

        Raises:
            ValueError: a number is NaN or infinite.
            OSError: the disk is full, or the folder cannot be written to.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / self._name(rows[0])
        save(path, tensors, {}, overwrite=True)
        self._index["files"][path.name] = _checksum(path)
        unfinished = self.folder / f"{INDEX}.unfinished"
        unfinished.write_text(json.dumps(self._index, indent=1), encoding="utf-8")
        os.replace(unfinished, self.folder / INDEX)

    def tensors(self, name: str) -> list[torch.Tensor]:
        """One tensor of every row, read from disk when it is used.

        Raises:
            ValueError: files are missing or damaged.
        """
        rows = []
        for first in range(0, self.count, self.per_file):
            rows.extend(self._opened(self._name(first)).get_tensor(name))
        return rows

    def check(self) -> None:
        """Compare every file with its checksum.

        Raises:
            ValueError: files are missing or damaged.
        """
        if left := sum(len(rows) for rows in self.missing()):
            raise ValueError(
                f"{self.folder} lacks {left} of {self.count} rows. Run the node that makes them "
                "again; it goes on where it was cut off."
            )
        for name, checksum in self._index["files"].items():
            if _checksum(self.folder / name) != checksum:
                raise ValueError(
                    f"{self.folder / name} is not what was written (its checksum differs). Delete "
                    "this file and run the node that makes it again."
                )

    def _opened(self, name):
        if name not in self._index["files"]:
            self.check()
        return safe_open(self.folder / name, framework="pt")

    def _name(self, first):
        return f"rows-{first:06d}.safetensors"

    def _read_index(self, wanted):
        index = _read(self.folder / INDEX)
        if index is None:
            return None
        for field in ("version", "kind", "request"):
            if index.get(field) != wanted[field]:
                raise ValueError(_other(self.folder, field, index.get(field), wanted[field]))
        return index

    def _drop_missing_files(self):
        there = {name for name in self._index["files"] if (self.folder / name).is_file()}
        self._index["files"] = {k: v for k, v in self._index["files"].items() if k in there}


def lost(folder: Path) -> int:
    """How many files of a folder's index have gone; 0 too where nothing was ever made."""
    index = _read(folder / INDEX) or {"files": {}}
    return sum(not (folder / name).is_file() for name in index["files"])


def _read(path):
    if not path.exists():
        return None
    try:
        index = json.loads(path.read_text(encoding="utf-8"))
        return index if isinstance(index["files"], dict) else _fail(path)
    except (ValueError, KeyError, TypeError):
        return _fail(path)


def _fail(path):
    raise ValueError(
        f"{path} cannot be read. Delete the folder {path.parent.name} and make it anew."
    )


def _other(folder, field, found, wanted):
    if field == "request" and isinstance(found, dict):
        field = next(key for key in {**found, **wanted} if found.get(key) != wanted.get(key))
        found, wanted = found.get(field), wanted.get(field)
    return (
        f"{folder} was made with another {field}: {shortened(found)}, and now it is "
        f"{shortened(wanted)}. Choose another name, or delete the folder to make it anew."
    )


def shortened(value) -> str:
    """A value as JSON, for an error of one line."""
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _checksum(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(BLOCK):
            digest.update(block)
    return digest.hexdigest()

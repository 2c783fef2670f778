"""A folder of pictures, one for each row of a golden set, each made once whatever happens."""

import json
import os
from pathlib import Path

VERSION = 1
MANIFEST = "manifest.json"
UNFINISHED = ".unfinished"


class PictureSet:
    """Pictures by the number of their row, from 0 on, and a manifest of what they were made of.

    A picture that is there is whole: it is written beside its place, onto the disk, and then takes
    its place at once. So a set that was killed at any moment goes on with those that are missing,
    and ends as one that was not. Several processes may write one set, each its own rows, once the
    first has made the manifest.

    Args:
        folder: made where it is not there; belongs to this set alone.
        request: what the pictures are made of, as JSON; pictures of another request are refused.
        count: pictures of the whole set.

    Raises:
        ValueError: the folder holds another set, a manifest that cannot be read, or other files.
        OSError: it cannot be made or written to.
    """

    def __init__(self, folder: Path, request: dict, count: int):
        self.folder, self.count = Path(folder), count
        # as it will be read back: tuples are lists in JSON
        self.request = json.loads(json.dumps(request))
        manifest = {"version": VERSION, "count": count, "request": self.request}
        found = _manifest(self.folder)
        if found is None:
            _check_empty(self.folder)
        # a set that was refused or cut off before its first picture holds nobody up
        elif found != manifest and any(self.folder.glob("*.png")):
            raise ValueError(_other(self.folder, found, manifest))
        if found != manifest:
            self.folder.mkdir(parents=True, exist_ok=True)
            text = json.dumps(manifest, indent=1, ensure_ascii=False)
            write_whole(self.folder / MANIFEST, text.encode())

    @classmethod
    def opened(cls, folder: Path) -> "PictureSet":
        """The set in a folder, whatever it was made of.

        Raises:
            ValueError: there is none, or of another version.
        """
        found = _manifest(Path(folder))
        if found is None:
            raise ValueError(
                f"{folder} holds no set of pictures; there is no {MANIFEST}. Make one."
            )
        return cls(folder, found["request"], found["count"])

    def path(self, number: int) -> Path:
        """Where the picture of a row is, or will be."""
        return self.folder / f"{number:05d}.png"

    def missing(self) -> list[int]:
        """Rows whose pictures are not there."""
        return [number for number in range(self.count) if not self.path(number).is_file()]

    def put(self, number: int, data: bytes) -> None:
        """Add the picture of a row.

        Raises:
            OSError: the disk is full, or the folder cannot be written to; what was there stays.
        """
        write_whole(self.path(number), data)


def write_whole(path: Path, data: bytes) -> None:
    """Write a file that is there whole or not at all, whatever happens in between.

    Raises:
        OSError: the disk is full, or the folder cannot be written to; what was there stays.
    """
    unfinished = path.with_name(path.name + UNFINISHED)
    try:
        with open(unfinished, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(unfinished, path)
    except OSError as error:
        unfinished.unlink(missing_ok=True)
        raise OSError(
            error.errno, f"{error.strerror or error}; nothing that was there is lost", str(path)
        ) from error


def _manifest(folder):
    """What a folder's manifest says; None where there is none."""
    path = folder / MANIFEST
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (ValueError, NotADirectoryError):
        found = None
    if not (
        isinstance(found, dict)
        and isinstance(found.get("request"), dict)
        and isinstance(found.get("count"), int)
    ):
        raise ValueError(
            f"{path} cannot be read. Delete the folder {folder.name} and make its pictures anew."
        )
    return found


def _check_empty(folder):
    """Refuse a folder of something else, so that no file of the user's is written over."""
    there = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    if others := [name for name in there if name != MANIFEST + UNFINISHED]:
        raise ValueError(
            f"{folder} holds {len(others)} other files, such as {others[0]}. Choose a folder that "
            "is empty or not there."
        )


def _other(folder, found, wanted):
    flat = [{**one.pop("request", {}), **one} for one in ({**found}, {**wanted})]
    field = next(key for key in {**flat[0], **flat[1]} if flat[0].get(key) != flat[1].get(key))
    there, now = (_shortened(one.get(field)) for one in flat)
    return (
        f"{folder} was made with another {field}: {there}, and now it is {now}. Choose another "
        "name, or delete the folder to make it anew."
    )


def _shortened(value):
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:57]}..."

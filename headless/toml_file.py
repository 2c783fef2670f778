"""A TOML file that a command is given, read whole, with what is wrong in it said by its place."""

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

from ..recipes.values import Wrong, parts

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

Config = TypeVar("Config")


def read_toml(
    path: Path | str,
    build: Callable[[dict, Path], Config],
    required: Mapping,
    optional: Mapping,
    *,
    says: str,
) -> Config:
    """What a file says, as `build` makes it.

    Args:
        build: (sections by name, as their readers leave them; the file's folder) -> the result.
        required, optional: readers of `recipes.values` by the name of a section.
        says: what such a file says, in words.

    Raises:
        ValueError: the file is not there or no TOML; or a reader or `build` refuses what it says.
            Begins with the path, then the section and key.
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"{path} is not there. Give the TOML file that says {says}.")
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is no TOML: {error}.") from None
    try:
        # dates, which TOML has and no key here, as texts
        return build(
            parts(json.loads(json.dumps(found, default=str)), required, optional), path.parent
        )
    except Wrong as wrong:
        section, *keys = map(str, wrong.path or ("the file",))
        place = " ".join([f"[{section}]" if wrong.path else section, *keys])
        raise ValueError(f"{path}: {place} {wrong.told()}") from None
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def section(required: Mapping, optional: Mapping | None = None) -> Callable[[object], dict]:
    """The reader of a section with these keys."""
    return lambda value: parts(value, dict(required), optional or {})


def any_text(value):
    """The reader of a text that may be empty or have several lines."""
    if not isinstance(value, str):
        raise Wrong("a text", value)
    return value

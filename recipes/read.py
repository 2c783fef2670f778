"""Read recipes from JSON files; what is wrong is told with file, line and field."""

import json
import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from . import fields
from .recipe import Recipe
from .values import Wrong, parts

FOLDER = Path(__file__).parent / "data"
# a file of ours is 20 KB; beyond this somebody has put a model into the folder
MOST_BYTES = 4_000_000


OPTIONAL = {name: read for name, (read, _) in fields.OPTIONAL.items()}
DEFAULTS = {name: default for name, (_, default) in fields.OPTIONAL.items()}
FORMS = {dict: "an object of fields", list: "a list of objects"}


class RecipeError(ValueError):
    """A recipe file that is refused; the message names file, line and field."""


def read_all(folders: Iterable[Path] = ()) -> tuple[dict[str, Recipe], list[str]]:
    """The shipped recipes, then those of the user's folders.

    Returns:
        (recipes by id, a sentence for each file of the user's that was refused)

    Raises:
        RecipeError: a shipped file is broken.
    """
    recipes, refused = dict(_shipped(FOLDER)), []
    for path in (path for folder in folders for path in sorted(Path(folder).glob("*.json"))):
        try:
            recipes |= _new(read_file(path), recipes, path)
        except (RecipeError, OSError) as error:
            refused.append(str(error))
    return recipes, refused


@cache
def shipped_ids() -> tuple[str, ...]:
    """The shipped ids alone; whoever reads the recipes compiles 160 regular expressions."""
    contents = (json.loads(path.read_text(encoding="utf-8")) for path in FOLDER.glob("*.json"))
    return tuple(sorted(entry["id"] for content in contents for entry in content["recipes"]))


@cache
def _shipped(folder):
    # they do not change while a program runs, and every node that shows a list asks for them
    recipes = {}
    for path in sorted(folder.glob("*.json")):
        recipes |= _new(read_file(path), recipes, path)
    return recipes


def _new(found, known, path):
    for recipe in found:
        if recipe.id in known:
            raise RecipeError(
                f"{path.name}, id: {recipe.id!r} is the id of a recipe that is there already; give "
                "yours another one."
            )
    return {recipe.id: recipe for recipe in found}


def read_file(path: Path) -> list[Recipe]:
    """The recipes of one file.

    Raises:
        RecipeError: it is no JSON or holds something that a recipe may not.
    """
    text = _text(path)
    try:
        content = json.loads(text, object_pairs_hook=_without_repeats)
    except json.JSONDecodeError as error:
        raise RecipeError(f"{path.name}, line {error.lineno}: no JSON, {error.msg}.") from None
    except RecursionError:
        raise RecipeError(f"{path.name}: nested too deeply to be recipes.") from None
    except ValueError as error:
        # Python does not read whole numbers of thousands of digits
        raise RecipeError(f"{path.name}: holds a number that cannot be read, {error}.") from None
    except _Repeated as error:
        raise RecipeError(
            f"{path.name}, {error}: stands twice in one object; keep one of them."
        ) from None
    if not isinstance(content, dict) or set(content) - {"common"} != {"family", "recipes"}:
        raise RecipeError(
            f'{path.name}: allowed is {{"family": "...", "common": {{...}}, "recipes": [...]}}; '
            "common may be left out."
        )
    for name, kind in (("common", dict), ("recipes", list)):
        if not isinstance(content.get(name, kind()), kind):
            raise RecipeError(f"{path.name}, {name}: allowed is {FORMS[kind]}.")
    return _recipes(content, text, path)


def _recipes(content, text, path):
    def located(where, read, *values):
        try:
            return read(*values)
        except Wrong as wrong:
            raise _error(path, text, where, wrong) from None

    family = located(("family",), fields.identifier, content["family"])
    common = located(("common",), _common, content.get("common", {}))
    recipes = [
        located(("recipes", i), _recipe, family, common, entry)
        for i, entry in enumerate(content["recipes"])
    ]
    ids = [recipe.id for recipe in recipes]
    if len(set(ids)) < len(ids):
        twice = next(name for i, name in enumerate(ids) if name in ids[:i])
        raise RecipeError(f"{path.name}, id: {twice!r} stands twice; ids are unique.")
    return recipes


def _common(entry):
    return parts(entry, {}, fields.REQUIRED | OPTIONAL)


def _recipe(family, common, entry):
    required = {name: read for name, read in fields.REQUIRED.items() if name not in common}
    own = parts(entry, required, fields.REQUIRED | OPTIONAL)
    found = DEFAULTS | common | own
    return Recipe(family=family, **found | {"bad": common.get("bad", ()) + own.get("bad", ())})


def _text(path):
    if path.stat().st_size > MOST_BYTES:
        raise RecipeError(f"{path.name}: larger than {MOST_BYTES} bytes, which no recipes are.")
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise RecipeError(f"{path.name}: no UTF-8 text; save it as UTF-8.") from None


class _Repeated(Exception):
    """A key that stands twice in one object."""


def _without_repeats(pairs):
    found = {}
    for name, value in pairs:
        if name in found:
            raise _Repeated(name)
        found[name] = value
    return found


def _error(path, text, where, wrong):
    steps = (*where, *wrong.path)
    field = ".".join(str(step) for step in steps if step != "recipes")
    return RecipeError(f"{path.name}, line {_line(text, steps)}, {field}: {wrong.told()}")


def _line(text, steps):
    """The line of the value that `steps`, keys and list indices, lead to; text is sound JSON."""
    at = _skip(text, 0)
    for step in steps:
        inside = _entries(text, at)
        if step not in inside:
            break
        at = inside[step]
    return text.count("\n", 0, at) + 1


def _entries(text, at):
    """Where each value of the object or list at this place begins, by key or index."""
    found, opener = {}, text[at]
    if opener not in "{[":
        return found
    decoder = json.JSONDecoder()
    at = _skip(text, at + 1)
    while text[at] not in "}]":
        key = len(found)
        if opener == "{":
            key, at = decoder.raw_decode(text, at)
            at = _skip(text, _skip(text, at) + 1)
        found[key] = at
        _, at = decoder.raw_decode(text, at)
        at = _skip(text, at)
        at = _skip(text, at + 1) if text[at] == "," else at
    return found


def _skip(text, at):
    return re.compile(r"\s*").match(text, at).end()

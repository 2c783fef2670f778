"""The recipe that FewStep writes into the files it makes, so that they need no name to be known."""

import json
import math
from collections.abc import Mapping

from . import fields
from .recipe import GUIDANCE_KINDS, Guidance, Recipe, Steps
from .values import Wrong, list_of, number, one_of, or_null, parts, text, whole

KEY = "fewstep.recipe"
VERSION = 1
# id of a recipe that only its file has
UNNAMED = "in-the-file"
# an entry of ours has 1 KB and 7 lists and objects
MOST_CHARACTERS, MOST_BRACKETS = 100_000, 100
# what a file says of itself besides what it needs
NOT_SAID = {
    "names": (),
    "examples": (),
    "sha256": (),
    "metadata": {},
    "structure": (),
    "bad": (),
    "licence": "not said in the file",
    "sources": ("the file itself",),
    "verified": True,
}


def describe(recipe: Recipe, teacher: str | None = None) -> dict:
    """The entry of a file that was made after this recipe, ready for JSON.

    Args:
        teacher: the model that it was distilled from.
    """
    guidance, sampler = recipe.guidance, recipe.sampler
    schedule = {key: value for key, value in recipe.schedule._asdict().items() if value is not None}
    return {
        "version": VERSION,
        "id": None if recipe.id == UNNAMED else recipe.id,
        "title": recipe.title,
        "family": recipe.family,
        "base": recipe.base,
        "kind": recipe.kind,
        "steps": list(recipe.steps.trained),
        "default_steps": recipe.steps.default,
        "guidance": guidance._asdict(),
        "sampler": sampler._asdict(),
        "schedule": {k: list(v) if isinstance(v, tuple) else v for k, v in schedule.items()},
        "shift": recipe.shift,
        "prediction": recipe.prediction,
        "start": recipe.start,
        "strength": recipe.strength,
        "stage": recipe.stage,
        "negative_works": recipe.negative_works,
        "teacher": teacher,
    }


def read_own(metadata: Mapping[str, str]) -> Recipe | None:
    """The recipe in a file's metadata; None where the file has no such entry.

    Steps are allowed from the fewest to the most that it was trained for.

    Raises:
        ValueError: the entry is broken, or of a newer FewStep; names field, value and allowed.
    """
    if KEY not in metadata:
        return None
    entry = _json(metadata[KEY])
    version = entry.get("version", VERSION) if isinstance(entry, dict) else VERSION
    if version != VERSION:
        raise ValueError(
            f"{KEY} is of version {json.dumps(version)[:20]}, and this FewStep reads version "
            f"{VERSION}. Update FewStep."
        )
    try:
        found = DEFAULTS | parts(entry, REQUIRED, OPTIONAL)
    except Wrong as wrong:
        field = ".".join([KEY, *map(str, wrong.path)])
        raise ValueError(f"{field} {wrong.told()}") from None
    return _recipe(found)


def _json(entry):
    if len(entry) > MOST_CHARACTERS:
        raise ValueError(f"{KEY} has {len(entry)} characters; allowed are {MOST_CHARACTERS}.")
    # what nests deeply makes Python's reader stop in a way of its own
    if (brackets := sum(map(entry.count, "[{"))) > MOST_BRACKETS:
        raise ValueError(f"{KEY} has {brackets} brackets; allowed are {MOST_BRACKETS}.")
    try:
        return json.loads(entry)
    except ValueError as error:
        raise ValueError(f"{KEY} is no JSON: {error}.") from None


def _recipe(found):
    counts = (*found["steps"], found["default_steps"])
    steps = Steps(found["default_steps"], found["steps"], min(counts), max(counts))
    teacher = found["teacher"]
    source = "Its own entry says so" + (f"; it was distilled from {teacher}." if teacher else ".")
    same = {name: found[name] for name in SAME}
    return Recipe(id=found["id"] or UNNAMED, steps=steps, how_verified=source, **same, **NOT_SAID)


def _guidance(value):
    scale = number(0.0, 1000.0)
    read = {"kind": one_of(*GUIDANCE_KINDS), "default": scale, "low": scale, "high": scale}
    return fields.within_allowed(Guidance(**parts(value, read)))


def _sampler(value):
    # the entry spells out that a sampler has no eta, which the data leave away
    is_without = isinstance(value, dict) and value.get("eta", math.nan) is None
    return fields.sampler({"name": value.get("name")} if is_without else value)


STEPS = whole(1, fields.MOST_STEPS)
# fields that a Recipe has under the same name
SAME = {
    **{name: fields.REQUIRED[name] for name in ("title", "base", "kind", "prediction", "schedule")},
    "family": fields.identifier,
    "guidance": _guidance,
    "sampler": _sampler,
    "negative_works": fields.REQUIRED["negative_works"],
    **{name: fields.OPTIONAL[name][0] for name in ("shift", "start", "strength", "stage")},
}
OPTIONAL = {
    "id": or_null(fields.identifier),
    "teacher": or_null(text),
    **{name: SAME[name] for name in ("shift", "start", "strength", "stage")},
}
REQUIRED = {
    "version": whole(VERSION, VERSION),
    "steps": list_of(STEPS, 1),
    "default_steps": STEPS,
    **{name: read for name, read in SAME.items() if name not in OPTIONAL},
}
DEFAULTS = {
    name: fields.OPTIONAL[name][1] if name in fields.OPTIONAL else None for name in OPTIONAL
}

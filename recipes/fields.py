"""What may stand in each field of a recipe."""

from .recipe import (
    FEATURES,
    GUIDANCE_KINDS,
    KINDS,
    PREDICTIONS,
    SPACINGS,
    STAGES,
    STARTS,
    Bad,
    Guidance,
    Sampler,
    Schedule,
    Steps,
)
from .values import (
    Wrong,
    falling,
    interval,
    list_of,
    matching,
    number,
    one_of,
    or_null,
    parts,
    pattern,
    text,
    texts_by_key,
    truth,
    whole,
)

MOST_STEPS = 1000

identifier = matching(r"[a-z0-9]+([.-][a-z0-9]+)*", "lower case letters, digits, dots and hyphens")
sha256 = matching(r"[0-9a-f]{64}", "64 lower case hex digits")
link = matching(r"https://\S+", "a link that begins with https://")


def steps(value):
    count = whole(1, MOST_STEPS)
    read = {"default": count, "trained": list_of(count, 1), "allowed": interval(count)}
    found = parts(value, read)
    made = Steps(found["default"], found["trained"], *found["allowed"])
    for path, tried in (("default", made.default), *(("trained", n) for n in made.trained)):
        if not made.low <= tried <= made.high:
            raise Wrong(f"within allowed, {made.low} to {made.high}", tried, (path,))
    return made


def guidance(value):
    scale = number(0.0, 1000.0)
    read = {"kind": one_of(*GUIDANCE_KINDS), "default": scale, "allowed": interval(scale)}
    found = parts(value, read)
    return within_allowed(Guidance(found["kind"], found["default"], *found["allowed"]))


def within_allowed(made):
    if not made.low <= made.default <= made.high:
        allowed = f"within allowed, {made.low:g} to {made.high:g}"
        raise Wrong(allowed, made.default, ("default",))
    return made


def sampler(value):
    found = parts(value, {"name": text}, {"eta": number(0.0, 1.0)})
    made = Sampler(found["name"], found.get("eta"))
    if (made.name == "tcd") != (made.eta is not None):
        raise Wrong("eta for tcd, and for no other sampler", value)
    return made


def schedule(value):
    read = {
        "spacing": one_of(*SPACINGS),
        "timesteps": falling(whole(0, 999)),
        "sigmas": _levels,
        "scheduler": text,
    }
    found = parts(value, {}, read)
    if len(found) != 1:
        raise Wrong(f"exactly one of {', '.join(read)}", value)
    return Schedule(**found)


def _levels(value):
    found = falling(number(0.0), 2)(value)
    if found[-1] != 0.0:
        raise Wrong("a list that ends in 0", value)
    return found


def bad(value):
    found = parts(value, {"with": text, "symptom": text, "fix": text})
    return Bad(found["with"], found["symptom"], found["fix"])


# field of the JSON: its reader
REQUIRED = {
    "id": identifier,
    "title": text,
    "base": identifier,
    "kind": one_of(*KINDS),
    "names": list_of(pattern),
    "examples": list_of(text, 1),
    "steps": steps,
    "guidance": guidance,
    "negative_works": truth,
    "prediction": one_of(*PREDICTIONS),
    "sampler": sampler,
    "schedule": schedule,
    "licence": text,
    "sources": list_of(link, 1),
    "verified": truth,
    "how_verified": text,
}
# field: its reader, and its value where it is left out
OPTIONAL = {
    "sha256": (list_of(sha256), ()),
    "metadata": (texts_by_key(pattern), {}),
    "structure": (list_of(one_of(*FEATURES)), ()),
    "shift": (or_null(number(above=0.0)), None),
    "start": (one_of(*STARTS), STARTS[0]),
    "strength": (number(above=0.0), 1.0),
    "stage": (or_null(one_of(*STAGES)), None),
    "bad": (list_of(bad), ()),
}

"""Readers of JSON values that say what they allow.

A reader is a function from a JSON value to the value it stands for. It raises Wrong with the path
to the part of the value it will not have.
"""

import json
import math
import re

# any number beyond is a slip; it also keeps what becomes a float within a float
LARGEST = 1e12
UNPRINTABLE = r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]"


class Wrong(Exception):
    """A value that is not allowed: path to it within the field, and what is allowed."""

    def __init__(self, allowed, value, path=()):
        super().__init__(allowed)
        self.allowed, self.value, self.path = allowed, value, tuple(path)

    def told(self) -> str:
        """The rest of a sentence that begins with the place."""
        shown = json.dumps(self.value, ensure_ascii=False)
        shown = shown if len(shown) <= 60 else shown[:57] + "..."
        return f"is {shown}; allowed is {self.allowed}."


def text(value):
    # a terminal obeys control characters, and half a surrogate pair cannot be printed
    if not isinstance(value, str) or not value.strip() or re.search(UNPRINTABLE, value):
        raise Wrong("a text without control characters", value)
    return value


def matching(expression, allowed):
    """A text that the whole of a regular expression fits."""

    def read(value):
        if not isinstance(value, str) or not re.fullmatch(expression, value):
            raise Wrong(allowed, value)
        return value

    return read


def pattern(value):
    try:
        re.compile(text(value))
    except (re.error, OverflowError, RecursionError) as error:
        raise Wrong(f"a regular expression ({error})", value) from None
    return value


def truth(value):
    if not isinstance(value, bool):
        raise Wrong("true or false", value)
    return value


def number(low=-math.inf, high=math.inf, *, above=None):
    """A finite number from low to high, or above a bound."""
    floor = f"a number above {above:g}" if above is not None else f"a number from {low:g}"
    allowed = floor if high == math.inf else f"{floor} to {high:g}"

    def read(value):
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise Wrong(allowed, value)
        # comparing is exact for whole numbers that no float can hold, and false for NaN
        if not (max(low, -LARGEST) <= value <= min(high, LARGEST)):
            raise Wrong(allowed, value)
        if above is not None and value <= above:
            raise Wrong(allowed, value)
        return float(value)

    return read


def whole(low, high):
    def read(value):
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise Wrong(f"a whole number from {low} to {high}", value)
        return value

    return read


def one_of(*allowed):
    def read(value):
        if value not in allowed:
            raise Wrong("one of " + ", ".join(allowed), value)
        return value

    return read


def or_null(read):
    return lambda value: None if value is None else read(value)


def list_of(read, least=0):
    def read_list(value):
        if not isinstance(value, list) or len(value) < least:
            raise Wrong(f"a list of {least} or more" if least else "a list", value)
        return tuple(_within(read, item, i) for i, item in enumerate(value))

    return read_list


def texts_by_key(read):
    def read_object(value):
        if not isinstance(value, dict):
            raise Wrong("an object", value)
        return {key: _within(read, item, key) for key, item in value.items()}

    return read_object


def parts(value, required, optional=()):
    """The parts of an object, read; what it lacks or has too much is refused."""
    known = required | dict(optional)
    if not isinstance(value, dict):
        raise Wrong(f"an object with {', '.join(known)}", value)
    for key in value:
        if key not in known:
            raise Wrong(f"one of {', '.join(known)} as a key", key, (key,))
    for key in required:
        if key not in value:
            raise Wrong(f"an object with {', '.join(required)}; {key} is missing", value)
    return {key: _within(known[key], item, key) for key, item in value.items()}


def _within(read, value, step):
    try:
        return read(value)
    except Wrong as wrong:
        raise Wrong(wrong.allowed, wrong.value, (step, *wrong.path)) from None


def interval(read):
    """[lowest, highest], each read with `read`."""

    def read_interval(value):
        low_and_high = list_of(read)(value)
        if len(low_and_high) != 2 or low_and_high[0] > low_and_high[1]:
            raise Wrong("[lowest, highest]", value)
        return low_and_high

    return read_interval


def falling(read, least=1):
    """A list in which every number is below the one before it."""

    def read_falling(value):
        found = list_of(read, least)(value)
        for i, (before, after) in enumerate(zip(found, found[1:], strict=False)):
            if after >= before:
                raise Wrong(f"a number below {before:g}, which stands before it", after, (i + 1,))
        return found

    return read_falling

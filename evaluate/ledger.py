"""The ledger of a model line: what was changed step by step to make it fast, with its figures.

A file of JSON Lines (jsonlines.org) that is only ever appended to. A line counts once it is whole:
what a crash cuts off is marked by the next append, so that readers tell it from a damaged line.
"""

import errno
import json
import logging
import os
import re
import reprlib
import sys
from collections.abc import Mapping
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from .bootstrap import Estimate

VERSION = 1
# metrics whose direction is known; False is lower is better
HIGHER_IS_BETTER = {
    **dict.fromkeys(("accuracy", "CLIP score", "PSNR (dB)", "SSIM", "diversity", "win rate"), True),
    **dict.fromkeys(
        ("FID", "KID x 1000", "CMMD", "LPIPS", "milliseconds", "passes", "memory"), False
    ),
}
# ends a line that was cut off; JSON never ends so
CUT_OFF = b" <cut off>"
WHEN = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|\+00:00)"
# without O_BINARY Windows would write \r\n
FLAGS = os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0)
# a byte that no ledger reaches, since Windows lets nobody read a locked one
LOCKED_BYTE = 1 << 30


class Entry(NamedTuple):
    """A step on the way to a fast model.

    Attributes:
        name: of the step ("fp8"), on one line.
        change: what is in force from here on (recipe, lora, precision, cache, steps, cfg, ...), to
            texts, numbers, booleans or None.
        figures: by metric, one or more. One that chance has no part in, such as memory, has
            low = high = value.
        golden_set: fingerprint of the prompts and seeds that were measured on.
        when: in UTC, as "2026-01-31T12:00:00Z" or with +00:00 at its end.
    """

    name: str
    change: Mapping[str, str | int | float | bool | None]
    figures: Mapping[str, Estimate]
    golden_set: str
    when: str


FIELDS = ("version", *Entry._fields)


def append(path: Path | str, entry: Entry) -> None:
    """Add an entry as the last line; once this returns, it outlives the end of the process.

    Several processes may append at once. The file is made where it is missing, its folder is not.

    Raises:
        ValueError: the entry would not be read back.
        OSError: the disk is full or read-only, or the folder is missing. What was there stays.
    """
    path = Path(path)
    fields = _fields(entry)
    try:
        _entry(fields)
    except ValueError as error:
        raise ValueError(f"the new entry: {error} Nothing was written.") from None
    # half a surrogate pair is no UTF-8 and becomes an escape, which JSON knows
    line = (json.dumps(fields, ensure_ascii=False) + "\n").encode("utf-8", "backslashreplace")
    try:
        file = os.open(path, FLAGS, 0o666)
        try:
            with _locked(file):
                _write(file, _ending(path.read_bytes()) + line)
        finally:
            os.close(file)
    except OSError as error:
        raise OSError(
            f"{path} could not be written: {error.strerror or error}. Free some of the disk, allow "
            "writing there, or keep the ledger elsewhere; what stood there before is still there."
        ) from error


def read(path: Path | str) -> list[Entry]:
    """The entries of a ledger in the order of their steps; none where the file is empty.

    A line that a crash cut off is left out with a warning: it was never acknowledged.

    Raises:
        ValueError: there is no such file, or a line is damaged: no JSON, without a field, with a
            wrong one, or of another version.
        OSError: it may not be read.
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(
            f"{path} is no file. Check the folder and the name; the first entry makes it."
        )
    data = path.read_bytes()
    entries = []
    for number, line in enumerate((data + _ending(data)).split(b"\n")[:-1], 1):
        place = f"{path.name}, line {number}"
        if line.rstrip().endswith(CUT_OFF):
            logging.warning(
                "%s: was cut off and is left out. Measure that step again if its entry is missing.",
                place,
            )
        else:
            entries.append(_parsed(place, line))
    return entries


@contextmanager
def _locked(file):
    """Let no other process append meanwhile; a killed one holds nobody up."""
    if os.name == "nt":
        import msvcrt

        def lock(is_on):
            os.lseek(file, LOCKED_BYTE, os.SEEK_SET)
            msvcrt.locking(file, msvcrt.LK_LOCK if is_on else msvcrt.LK_UNLCK, 1)
    else:
        import fcntl

        def lock(is_on):
            fcntl.flock(file, fcntl.LOCK_EX if is_on else fcntl.LOCK_UN)

    lock(True)
    try:
        yield
    finally:
        # not left to closing, since a process forked meanwhile has the file open as well
        lock(False)


def _write(file, data):
    size = os.fstat(file).st_size
    try:
        written = os.write(file, data)
        if written < len(data):
            raise OSError(errno.ENOSPC, f"only {written} of {len(data)} bytes fitted")
        os.fsync(file)
    except BaseException:
        # where even this fails, a line that is cut off remains, which readers leave out
        with suppress(OSError):
            os.ftruncate(file, size)
        raise


def _ending(data):
    """What the last line still needs to be one: nothing, its line end, or a mark as cut off."""
    last = data.rpartition(b"\n")[2]
    if not last:
        return b""
    try:
        # whole but for its line end, as some editors leave it; a part of an object is never JSON
        json.loads(last.decode("utf-8"))
    except (ValueError, RecursionError):
        return CUT_OFF + b"\n"
    return b"\n"


def _fields(entry):
    """An entry as the object of its line; what is no figure stays as it is, to be refused."""
    fields = {"version": VERSION, **entry._asdict()}
    for field in ("change", "figures"):
        if isinstance(fields[field], Mapping):
            fields[field] = dict(fields[field])
    if isinstance(fields["figures"], dict):
        for metric, figure in fields["figures"].items():
            if isinstance(figure, tuple) and len(figure) == len(Estimate._fields):
                fields["figures"][metric] = Estimate(*figure)._asdict()
    return fields


def _parsed(place, line):
    remedy = "Restore the line from a copy of the file, or delete it."
    try:
        fields = json.loads(line.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        # the error's own text counts lines within this one
        reason = getattr(error, "msg", error)
        raise ValueError(f"{place}: no JSON, {reason}. {remedy}") from None
    version = fields.get("version", VERSION) if isinstance(fields, dict) else VERSION
    if type(version) is not int or version != VERSION:
        raise ValueError(
            f"{place}: version is {reprlib.repr(version)}, and this FewStep reads version "
            f"{VERSION}. Read the ledger with the FewStep that wrote this line."
        )
    try:
        return _entry(fields)
    except ValueError as error:
        raise ValueError(f"{place}: {error} {remedy}") from None


def _entry(fields):
    _check(isinstance(fields, dict), "the line", fields, "an object")
    _check_names("the line", fields, FIELDS)
    for field in ("name", "golden_set"):
        _check_word(field, fields[field])
    _check_change(fields["change"])
    figures = fields["figures"]
    _check(isinstance(figures, dict) and figures, "figures", figures, "a figure by each metric")
    estimates = {metric: _estimate(metric, figure) for metric, figure in figures.items()}
    _check(_is_time(fields["when"]), "when", fields["when"], "UTC such as 2026-01-31T12:00:00Z")
    return Entry(**{field: fields[field] for field in Entry._fields} | {"figures": estimates})


def _estimate(metric, figure):
    _check_word("a metric in figures", metric)
    where = f"figures, {metric}"
    _check(isinstance(figure, dict), where, figure, ", ".join(Estimate._fields))
    _check_names(where, figure, Estimate._fields)
    value, low, high, count = (figure[name] for name in Estimate._fields)
    _check(_is_finite(value), f"{where}, value", value, "a finite number")
    # the value itself may lie outside, where a bias is taken off the limits
    has_none = low is None and high is None
    has_both = _is_finite(low) and _is_finite(high) and low <= high
    _check(has_none or has_both, f"{where}, low and high", (low, high), "low <= high, or no limit")
    _check(type(count) is int and count > 0, f"{where}, count", count, "a whole number above 0")
    return Estimate(float(value), *(None if has_none else float(x) for x in (low, high)), count)


def _check_change(change):
    _check(isinstance(change, dict), "change", change, "an object")
    for key, value in change.items():
        _check_word("a key in change", key)
        is_scalar = value is None or isinstance(value, str | bool) or _is_finite(value)
        _check(is_scalar, f"change, {key}", value, "a text, a finite number, true, false or null")


def _check_names(where, given, names):
    if missing := [name for name in names if name not in given]:
        raise ValueError(f"{where} has no {', '.join(missing)}; needed are {', '.join(names)}.")
    if unknown := [name for name in given if name not in names]:
        raise ValueError(
            f"{where} has {reprlib.repr(unknown)}; allowed are no more than {', '.join(names)}."
        )


def _check_word(where, text):
    is_word = isinstance(text, str) and text.strip() and text.isprintable()
    _check(is_word, where, text, "a text on one line")


def _check(is_right, where, value, allowed):
    if not is_right:
        raise ValueError(f"{where} is {reprlib.repr(value)}; allowed is {allowed}.")


def _is_finite(value):
    # not math.isfinite, which fails on whole numbers of more than 308 digits
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and abs(value) <= sys.float_info.max


def _is_time(when):
    if not isinstance(when, str) or not re.fullmatch(WHEN, when, re.ASCII):
        return False
    with suppress(ValueError):
        return bool(datetime.fromisoformat(when[:19]))
    return False

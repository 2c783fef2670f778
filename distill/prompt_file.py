"""The prompts that a student is distilled with, from a file or a text box.

Sources: RFC 4180 for CSV, jsonlines.org for JSON Lines.
"""

import csv
import io
import json
import re
import reprlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

SHIPPED = Path(__file__).parent / "prompts" / "general.txt"
# bytes; 100 000 prompts have about 10 MB, and a larger file is a data set
MOST_BYTES = 20_000_000
# characters; no text encoder reads as far, so a longer prompt is a slip
MOST_CHARACTERS = 5000
# what files call a negative prompt
NEGATIVES = ("negative", "negative_prompt")
FORM = '{"prompt": "...", "negative": "..."}'


class Prompt(NamedTuple):
    """A prompt, and what its guidance leads away from; None where the file does not say."""

    text: str
    negative: str | None = None


def read_prompts(path: Path | str) -> list[Prompt]:
    """The prompts of a file in its order, repeated ones as often as they stand there.

    Args:
        path: a UTF-8 text of at most 20 MB, with any line ends, that ends in
            .txt: one prompt a line; blank lines and lines that start with # are skipped.
            .csv: commas between columns; the first row names a column prompt, perhaps one
                negative or negative_prompt, and others, which are not read.
            .jsonl: one object a line, {"prompt": "...", "negative": "..."}; negative may be left
                out, and other keys are not read.

    Returns:
        at least one; blanks around a prompt are no part of it, and a blank negative is None.

    Raises:
        ValueError: the file is not there, is a folder, is too large, has another ending, is not
            UTF-8, or holds no prompt; or a line is broken or has no prompt of 1 to 5000 characters.
        OSError: it may not be read.
    """
    path = Path(path)
    _check_file(path)
    text = _decoded(path.name, path.read_bytes())
    return _prompts(path.name, READERS[path.suffix.lower()], text)


def read_caption(path: Path | str) -> str:
    """The caption that is the whole of a UTF-8 text file, on one line.

    Returns:
        "" where the file is blank.

    Raises:
        ValueError: it is too large, is not UTF-8, or has more than 5000 characters.
        OSError: it may not be read.
    """
    path = Path(path)
    _check_size(path)
    text = _decoded(path.name, path.read_bytes()).removeprefix("\ufeff")
    try:
        return _stripped(1, "the caption", " ".join(text.split()))
    except _Wrong as wrong:
        raise ValueError(f"{path.name}: {wrong.args[1]}") from None


def from_text(text: str) -> list[Prompt]:
    """The prompts of a text box, by the rules of a .txt file.

    Raises:
        ValueError: there are none, or one has more than 5000 characters.
    """
    return _prompts("text", _txt, text)


def shipped() -> list[Prompt]:
    """The prompts that come with FewStep."""
    return read_prompts(SHIPPED)


def take(prompts: Sequence[Prompt], count: int) -> list[Prompt]:
    """The first count prompts; all of them where count is 0.

    Raises:
        ValueError: there are fewer.
    """
    if not 0 <= count <= len(prompts):
        raise ValueError(
            f"count is {count}, and there are {len(prompts)} prompts. Choose 1 to {len(prompts)}, "
            "or 0 for all."
        )
    return list(prompts[:count] if count else prompts)


class _Wrong(Exception):
    """The number of a line that is refused, and a sentence that says why and what to do."""


def only_negative(prompts: Sequence[Prompt], negative: str, where: str) -> str:
    """The one negative prompt of all.

    Args:
        negative: what a prompt without one of its own has.
        where: negative and the prompts come from, for the error.

    Raises:
        ValueError: not all have the same.
    """
    wanted = {negative if prompt.negative is None else prompt.negative for prompt in prompts}
    if negative:
        wanted.add(negative)
    if len(wanted) > 1:
        raise ValueError(
            f"prompts have {len(wanted)} different negatives, {where} together, and a student has "
            "one negative prompt baked in. Use one for all."
        )
    return wanted.pop()


def _check_file(path):
    allowed = ", ".join(READERS)
    if path.is_dir():
        raise ValueError(f"{path} is a folder. Choose a file of prompts in it: {allowed}.")
    if not path.is_file():
        raise ValueError(f"{path} is not there. Check the folder, the name and its ending.")
    if path.suffix.lower() not in READERS:
        raise ValueError(
            f"{path.name}: ends in {path.suffix!r}; allowed are {allowed}. Save it as one of these."
        )
    _check_size(path)


def _check_size(path):
    size = path.stat().st_size
    if size > MOST_BYTES:
        raise ValueError(
            f"{path.name}: has {size} bytes; allowed are at most {MOST_BYTES} (20 MB). Split it."
        )


def _decoded(name, data):
    # a zero byte is UTF-8, but it comes from UTF-16; 0xff never is
    data = data.replace(b"\0", b"\xff")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = len((data[: error.start] + b"?").splitlines())
        raise ValueError(f"{name}, line {line}: no UTF-8 text. Save it as UTF-8.") from None


def _prompts(name, reader, text):
    try:
        # a byte order mark is no part of the first line
        prompts = [_prompt(*values) for values in reader(text.removeprefix("\ufeff"))]
    except _Wrong as wrong:
        line, sentence = wrong.args
        raise ValueError(f"{name}, line {line}: {sentence}") from None
    if not prompts:
        raise ValueError(f"{name}: holds no prompt. Write at least one.")
    return prompts


def _prompt(line, text, negative):
    text = _stripped(line, "prompt", text)
    if not text:
        raise _Wrong(line, "prompt is blank. Write one, or delete the line.")
    return Prompt(text, None if negative is None else _stripped(line, "negative", negative) or None)


def _stripped(line, what, value):
    if not isinstance(value, str):
        raise _Wrong(line, f"{what} is {reprlib.repr(value)}, no text. Write it in quotes.")
    value = value.strip()
    if len(value) > MOST_CHARACTERS:
        raise _Wrong(
            line,
            f"{what} has {len(value)} characters; allowed are at most {MOST_CHARACTERS}. "
            "Shorten it.",
        )
    # tokenizers cannot encode it
    if re.search("[\ud800-\udfff]", value):
        raise _Wrong(line, f"{what} holds half a surrogate pair. Write that character anew.")
    return value


def _txt(text):
    for number, line in _lines(text):
        if not line.startswith("#"):
            yield number, line, None


def _csv(text):
    columns = None
    for number, cells in _rows(text):
        if columns is None:
            columns = _columns(number, cells)
            continue
        if len(cells) > len(columns):
            raise _Wrong(
                number,
                f"has {len(cells)} cells for {len(columns)} columns. Put quotes around a prompt "
                "that holds commas.",
            )
        row = dict(zip(columns, cells, strict=False))
        yield number, row.get("prompt", ""), _negative(row)


def _columns(number, cells):
    columns = [cell.strip().lower() for cell in cells]
    if columns.count("prompt") != 1 or sum(map(columns.count, NEGATIVES)) > 1:
        raise _Wrong(
            number,
            f"the columns are {reprlib.repr(columns)}. Name one of them prompt, at most one "
            "negative, and separate them by commas.",
        )
    return columns


def _rows(text):
    # strict, since otherwise a quote that is never closed takes in the rest of the file
    reader = csv.reader(io.StringIO(text, newline=""), strict=True, skipinitialspace=True)
    while True:
        # where the row begins; a cell in quotes may go on for lines
        number = reader.line_num + 1
        try:
            cells = next(reader, None)
        except csv.Error as error:
            raise _Wrong(
                number, f"no CSV, {error}. Put quotes around whole cells, and double those inside."
            ) from None
        if cells is None:
            return
        if cells:
            yield number, cells


def _jsonl(text):
    for number, line in _lines(text):
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError) as error:
            # the error's own text counts lines within this one
            reason = getattr(error, "msg", error)
            raise _Wrong(number, f"no JSON, {reason}. Write one object a line, {FORM}.") from None
        if not isinstance(entry, dict):
            raise _Wrong(number, f"is {reprlib.repr(entry)}, no object. Write {FORM}.")
        if "prompt" not in entry:
            raise _Wrong(number, f'has no "prompt". Write {FORM}.')
        if all(name in entry for name in NEGATIVES):
            raise _Wrong(number, f"has both {' and '.join(NEGATIVES)}. Write one of them, {FORM}.")
        yield number, entry["prompt"], _negative(entry)


def _negative(row):
    """What a row has under either name; None where it has neither."""
    return next((row[name] for name in NEGATIVES if name in row), None)


def _lines(text):
    # not splitlines, which ends a line at characters that a prompt may hold, such as U+2028
    for number, line in enumerate(io.StringIO(text, newline=None), 1):
        if line := line.strip():
            yield number, line


# (text) -> (line, prompt, negative) of each prompt, not yet checked
READERS = {".txt": _txt, ".csv": _csv, ".jsonl": _jsonl}

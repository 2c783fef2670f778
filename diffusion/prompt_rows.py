"""Files and text boxes of prompts, a row for each prompt: plain text, CSV, JSON Lines.

Sources: RFC 4180 for CSV, jsonlines.org for JSON Lines.
"""

import csv
import io
import json
import re
import reprlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

# bytes; 100 000 prompts have about 10 MB, and a larger file is a data set
MOST_BYTES = 20_000_000
# characters; no text encoder reads as far, so a longer prompt is a slip
MOST_CHARACTERS = 5000
# what files call a negative prompt
NEGATIVES = ("negative", "negative_prompt")
FORM = '{"prompt": "...", "negative": "..."}'

T = TypeVar("T")


class Row(NamedTuple):
    """A prompt as its file has it: the line it begins on, and what stands under each name."""

    line: int
    values: dict[str, Any]

    def prompt(self, most: int = MOST_CHARACTERS) -> str:
        """The prompt, without blanks around it.

        Args:
            most: characters that are allowed.

        Raises:
            WrongRow: it is blank, no text, too long, or cannot be encoded.
        """
        text = _stripped(self.line, "prompt", self.values.get("prompt", ""), most)
        if not text:
            raise WrongRow(self.line, "prompt is blank. Write one, or delete the line.")
        return text

    def negative(self, most: int = MOST_CHARACTERS) -> str | None:
        """What stands under either name of a negative prompt; None where neither, or a blank.

        Raises:
            WrongRow: as of `prompt`.
        """
        found = next((self.values[name] for name in NEGATIVES if name in self.values), None)
        return None if found is None else _stripped(self.line, "negative", found, most) or None


class WrongRow(Exception):
    """The number of a line that is refused, and a sentence that says why and what to do."""


def read_rows(path: Path | str, of_row: Callable[[Row], T]) -> list[T]:
    """What a file's rows say, in their order.

    Args:
        path: a UTF-8 text of at most 20 MB, with any line ends, that ends in
            .txt: one prompt a line; blank lines and lines that start with # are skipped.
            .csv: commas between columns; the first row names a column prompt, perhaps one
                negative or negative_prompt, and others.
            .jsonl: one object a line, {"prompt": "...", "negative": "..."}; negative may be left
                out, and there may be other keys.
        of_row: what to make of a row; may raise WrongRow.

    Returns:
        at least one.

    Raises:
        ValueError: the file is not there, is a folder, is too large, has another ending, is not
            UTF-8, or holds no prompt; or a line is broken or refused by of_row.
        OSError: it may not be read.
    """
    path = Path(path)
    _check_file(path)
    text = _decoded(path.name, path.read_bytes())
    return _all(path.name, READERS[path.suffix.lower()], text, of_row)


def rows_of_text(text: str, of_row: Callable[[Row], T]) -> list[T]:
    """What the rows of a text box say, by the rules of a .txt file.

    Raises:
        ValueError: there are none, or of_row refuses one.
    """
    return _all("text", _txt, text, of_row)


def read_whole(path: Path | str, what: str) -> str:
    """A UTF-8 text file that is one text, on one line; "" where it is blank.

    Args:
        what: it is, for errors.

    Raises:
        ValueError: it is too large, is not UTF-8, or has more than 5000 characters.
        OSError: it may not be read.
    """
    path = Path(path)
    _check_size(path)
    text = _decoded(path.name, path.read_bytes()).removeprefix("\ufeff")
    try:
        return _stripped(1, what, " ".join(text.split()))
    except WrongRow as wrong:
        raise ValueError(f"{path.name}: {wrong.args[1]}") from None


def _stripped(line, what, value, most=MOST_CHARACTERS):
    if not isinstance(value, str):
        raise WrongRow(line, f"{what} is {reprlib.repr(value)}, no text. Write it in quotes.")
    value = value.strip()
    if len(value) > most:
        raise WrongRow(
            line, f"{what} has {len(value)} characters; allowed are at most {most}. Shorten it."
        )
    # tokenizers cannot encode it
    if re.search("[\ud800-\udfff]", value):
        raise WrongRow(line, f"{what} holds half a surrogate pair. Write that character anew.")
    return value


def _all(name, reader, text, of_row):
    try:
        # a byte order mark is no part of the first line
        found = [of_row(Row(*row)) for row in reader(text.removeprefix("\ufeff"))]
    except WrongRow as wrong:
        line, sentence = wrong.args
        raise ValueError(f"{name}, line {line}: {sentence}") from None
    if not found:
        raise ValueError(f"{name}: holds no prompt. Write at least one.")
    return found


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


def _txt(text):
    for number, line in _lines(text):
        if not line.startswith("#"):
            yield number, {"prompt": line}


def _csv(text):
    columns = None
    for number, cells in _rows(text):
        if columns is None:
            columns = _columns(number, cells)
            continue
        if len(cells) > len(columns):
            raise WrongRow(
                number,
                f"has {len(cells)} cells for {len(columns)} columns. Put quotes around a prompt "
                "that holds commas.",
            )
        yield number, dict(zip(columns, cells, strict=False))


def _columns(number, cells):
    columns = [cell.strip().lower() for cell in cells]
    if columns.count("prompt") != 1 or sum(map(columns.count, NEGATIVES)) > 1:
        raise WrongRow(
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
            raise WrongRow(
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
            raise WrongRow(number, f"no JSON, {reason}. Write one object a line, {FORM}.") from None
        if not isinstance(entry, dict):
            raise WrongRow(number, f"is {reprlib.repr(entry)}, no object. Write {FORM}.")
        if "prompt" not in entry:
            raise WrongRow(number, f'has no "prompt". Write {FORM}.')
        if all(name in entry for name in NEGATIVES):
            raise WrongRow(
                number, f"has both {' and '.join(NEGATIVES)}. Write one of them, {FORM}."
            )
        yield number, entry


def _lines(text):
    # not splitlines, which ends a line at characters that a prompt may hold, such as U+2028
    for number, line in enumerate(io.StringIO(text, newline=None), 1):
        if line := line.strip():
            yield number, line


# (text) -> (line, values) of each row, the values not yet checked
READERS = {".txt": _txt, ".csv": _csv, ".jsonl": _jsonl}

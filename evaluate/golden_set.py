"""Golden sets: the prompts, seeds and sizes that a model and its faster twin are compared on."""

import hashlib
import json
import re
import reprlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from ..diffusion.prompt_rows import Row, WrongRow, read_rows, rows_of_text

FOLDER = Path(__file__).parent / "golden"
SHIPPED = ("general", "demo")
# characters
MOST = 20_000
MOST_SEED = 2**64 - 1
# of the seeds of one picture; 2^32 / golden ratio, since torch's generator on the CPU takes a seed
# modulo 2^32
SEEDS_APART = 0x9E3779B9
MOST_TAGS, LONGEST_TAG = 20, 40
# pixels of a side
SMALLEST, LARGEST, MULTIPLE = 64, 16384, 8
# pixels; a scaled side is a multiple of it, which every kind of model takes
SCALED_MULTIPLE = 32
SIZE = re.compile(r"\s*(\d{1,6})\s*[x×]\s*(\d{1,6})\s*")


class Golden(NamedTuple):
    """One picture of a golden set.

    Attributes:
        negative: None where the set does not say.
        tags: what the picture is hard for, such as faces or text.
        width, height: pixels; None where the set does not say, both or neither.
    """

    prompt: str
    negative: str | None
    seed: int
    tags: tuple[str, ...] = ()
    width: int | None = None
    height: int | None = None


def read_golden_set(path: Path | str) -> list[Golden]:
    """The pictures of a golden set, in the order of its file.

    Args:
        path: as of `prompt_rows.read_rows`. Besides prompt and negative, a column or key may be
            seed: a whole number; without one, row n has seed n, from 0 on.
            tags: a list of words, or in one text with commas or semicolons between them.
            size: width and height in pixels, "832x1216".

    Raises:
        ValueError: as of `read_rows`, or a field is broken; file, line and field are named. Or a
            row stands there twice.
        OSError: it may not be read.
    """
    rows = read_rows(path, lambda row: (row.line, _golden(row)))
    found = _with_own_seeds([golden for _, golden in rows])
    first = {}
    for (line, _), golden in zip(rows, found, strict=True):
        if (before := first.setdefault(golden._replace(tags=()), line)) != line:
            raise ValueError(
                f"{Path(path).name}, line {line}: the same prompt, seed and size as in line "
                f"{before}. Give it another seed, or delete it."
            )
    return found


def of_text(text: str) -> list[Golden]:
    """The golden set of a text box, by the rules of a .txt file.

    Raises:
        ValueError: there is no prompt, or one is too long.
    """
    return _with_own_seeds(rows_of_text(text, _golden))


def shipped(name: str) -> list[Golden]:
    """A golden set that comes with FewStep, one of SHIPPED.

    general has 300 prompts for any text-to-image model, demo 300 captions of the demo's world.
    """
    return read_golden_set(FOLDER / f"{name}.jsonl")


def fingerprint(golden_set: Sequence[Golden]) -> str:
    """16 hexadecimal digits that differ where two sets do, in order too; tags make no picture."""
    told = json.dumps([golden._replace(tags=()) for golden in golden_set], ensure_ascii=False)
    return hashlib.sha256(told.encode()).hexdigest()[:16]


def with_seeds(golden_set: Sequence[Golden], count: int) -> list[Golden]:
    """Each picture with count seeds, its own the first, one after the other."""
    return [
        golden._replace(seed=(golden.seed + k * SEEDS_APART) % (MOST_SEED + 1))
        for golden in golden_set
        for k in range(count)
    ]


class Size(NamedTuple):
    """Of pictures whose row does not say, and what all sizes are multiplied by.

    Attributes:
        width, height: pixels; None where every row has to say.
    """

    width: int | None
    height: int | None
    scale: float = 1.0


def chosen(golden_set: Sequence[Golden], *, tag: str, count: int, size: Size) -> list[Golden]:
    """The first rows with a tag, a size in each.

    Args:
        tag: "" takes all.
        count: 0 takes all.

    Raises:
        ValueError: no row has the tag, there are fewer than count, or a row has no size.
    """
    rows = _tagged(golden_set, tag)
    if not 0 <= count <= len(rows):
        raise ValueError(
            f"count is {count}, and there are {len(rows)} rows. Choose 1 to {len(rows)}, or 0 for "
            "all."
        )
    return [_sized(golden, size) for golden in rows[: count or None]]


def _tagged(rows, tag):
    found = [golden for golden in rows if not tag or tag in golden.tags]
    if not found:
        known = sorted({tag for golden in rows for tag in golden.tags})
        raise ValueError(
            f"tag is {tag!r}; allowed are those of the set: {', '.join(known) or 'it has none'}."
        )
    return found


def _sized(golden, size):
    sides = golden.width or size.width, golden.height or size.height
    if None in sides:
        raise ValueError(
            f"width and height are missing, and {golden.prompt[:40]!r} has no size. Set both, or "
            "write a size in every row."
        )
    if size.scale != 1.0:
        multiples = (round(side * size.scale / SCALED_MULTIPLE) for side in sides)
        sides = (max(1, multiple) * SCALED_MULTIPLE for multiple in multiples)
    width, height = sides
    return golden._replace(width=width, height=height)


def prompt_numbers(golden_set: Sequence[Golden]) -> list[int]:
    """Of each picture the number of the first row that has its prompt."""
    first = {}
    return [first.setdefault(golden.prompt, row) for row, golden in enumerate(golden_set)]


def _with_own_seeds(rows):
    return [
        golden if golden.seed is not None else golden._replace(seed=number)
        for number, golden in enumerate(rows)
    ]


def _golden(row: Row):
    sizes = _size(row.line, row.values.get("size"))
    seed, tags = row.values.get("seed"), row.values.get("tags")
    return Golden(
        row.prompt(MOST), row.negative(MOST), _seed(row.line, seed), _tags(row.line, tags), *sizes
    )


def _seed(line, value):
    if value is None or value == "":
        return None
    # a table has text, JSON has numbers; true is no seed
    is_whole = isinstance(value, int) and not isinstance(value, bool)
    if isinstance(value, str) and re.fullmatch(r"\s*[0-9]{1,20}\s*", value):
        value, is_whole = int(value), True
    if not is_whole or not 0 <= value <= MOST_SEED:
        raise WrongRow(
            line,
            f"seed is {reprlib.repr(value)}; allowed are whole numbers from 0 to {MOST_SEED}, or "
            "leave it out.",
        )
    return value


def _tags(line, value):
    tags = re.split("[,;]", value) if isinstance(value, str) else [] if value is None else value
    if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
        raise WrongRow(
            line, f'tags is {reprlib.repr(value)}; write words in a list, ["faces", "text"].'
        )
    # in order, each once
    tags = tuple(dict.fromkeys(tag.strip() for tag in tags if tag.strip()))
    if len(tags) > MOST_TAGS or any(len(tag) > LONGEST_TAG for tag in tags):
        raise WrongRow(
            line,
            f"tags are {len(tags)}, the longest of {max(map(len, tags))} characters; allowed are "
            f"at most {MOST_TAGS} of {LONGEST_TAG}.",
        )
    return tags


def _size(line, value):
    if value is None or value == "":
        return None, None
    match = SIZE.fullmatch(value) if isinstance(value, str) else None
    sides = tuple(map(int, match.groups())) if match else ()
    if not sides or not all(SMALLEST <= s <= LARGEST and s % MULTIPLE == 0 for s in sides):
        raise WrongRow(
            line,
            f'size is {reprlib.repr(value)}; write width and height as "832x1216", multiples of '
            f"{MULTIPLE} from {SMALLEST} to {LARGEST}.",
        )
    return sides

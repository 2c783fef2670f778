"""The prompts that a student is distilled with, from a file or a text box."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from ..diffusion.prompt_rows import Row, read_rows, rows_of_text

SHIPPED = Path(__file__).parent / "prompts" / "general.txt"


class Prompt(NamedTuple):
    """A prompt, and what its guidance leads away from; None where the file does not say."""

    text: str
    negative: str | None = None


def read_prompts(path: Path | str) -> list[Prompt]:
    """The prompts of a file in its order, repeated ones as often as they stand there.

    Args:
        path: as of `prompt_rows.read_rows`; what stands there besides is not read.

    Returns:
        at least one; blanks around a prompt are no part of it, and a blank negative is None.

    Raises:
        ValueError: as of `read_rows`, or a line has no prompt of 1 to 5000 characters.
        OSError: it may not be read.
    """
    return read_rows(path, _prompt)


def from_text(text: str) -> list[Prompt]:
    """The prompts of a text box, by the rules of a .txt file.

    Raises:
        ValueError: there are none, or one has more than 5000 characters.
    """
    return rows_of_text(text, _prompt)


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


def _prompt(row: Row):
    return Prompt(row.prompt(), row.negative())

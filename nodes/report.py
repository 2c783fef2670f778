"""What a node says of a run: lines under it and in the log."""

import logging
from collections.abc import Callable, Iterable

from ..recipes.check import fits, headline
from ..recipes.pieces import Verdict
from .host import texts


def say(node, title: str, verdicts: Iterable[Verdict]) -> str:
    """Show under a node a title and what does not fit, which is also logged; returns the text."""
    verdicts = list(verdicts)
    text = f"{title}\n{headline(verdicts)}"
    texts.show(node, text)
    if not fits(verdicts):
        logging.warning("FewStep, %s: %s", title, headline(verdicts))
    return text


def sayer(node, text: str) -> Callable[[str], None]:
    """A function that logs a line and shows it under a node above the text that is there.

    The node may have ended long before: a guider is used by the sampler that comes after it.
    """

    def say_line(line):
        texts.show(node, f"{line}\n{text}")
        logging.info("FewStep: %s", line)

    return say_line

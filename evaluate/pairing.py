"""Which pairs of pictures a rater of a blind comparison sees, in which order and on which sides.

Every pair of contenders is shown for every prompt, so that none is seen more often for being good
or bad; sides are balanced as in a randomised trial. A share of the pairs comes again with its sides
swapped: who then votes otherwise could not tell the pictures apart, or votes for a side.
"""

import random
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from itertools import combinations
from operator import attrgetter
from types import MappingProxyType
from typing import NamedTuple

# of the pairs, shown again
REPEATS = 0.1
# pairs from a showing to its repeat, so that a vote is not remembered
APART = 10
# characters
LONGEST_NAME = 64
QUESTION = "Which picture is better?"


class Prompt(NamedTuple):
    """What one picture of each contender shows; two seeds of a text are two prompts."""

    text: str
    tags: tuple[str, ...] = ()


class Study(NamedTuple):
    """What is compared.

    Attributes:
        id, contenders: 1 to 64 printable characters each.
        prompts: every contender has one picture of each.
        seed: of order and sides.
        question: what raters are asked, where `questions` has nothing for a prompt.
        questions: by tag.
        repeats: share of the pairs that a rater sees again.
    """

    id: str
    contenders: tuple[str, ...]
    prompts: tuple[Prompt, ...]
    seed: int
    question: str = QUESTION
    questions: Mapping[str, str] = MappingProxyType({})
    repeats: float = REPEATS

    def asked(self, prompt: int) -> str:
        """What a rater is asked of the pictures of a prompt; its first tag that has one counts."""
        tags = self.prompts[prompt].tags
        return next((self.questions[tag] for tag in tags if tag in self.questions), self.question)


class Pair(NamedTuple):
    """Two pictures of a prompt next to each other.

    Attributes:
        number: 0, 1, ... in the order in which a rater sees them.
        prompt: of the study's prompts, from 0 on.
        left, right: the contenders, which a rater must not know.
        is_repeat: an earlier pair of the same rater with its sides swapped.
    """

    number: int
    prompt: int
    left: str
    right: str
    is_repeat: bool


def check_name(what: str, name: str) -> None:
    """Refuse a name that could be taken for another, or breaks a table.

    Raises:
        ValueError: it has not 1 to 64 printable characters, or begins or ends with a blank.
    """
    is_short = isinstance(name, str) and 1 <= len(name) <= LONGEST_NAME
    if not (is_short and name.isprintable() and name == name.strip()):
        raise ValueError(
            f"{what} is {name!r}; a name has 1 to {LONGEST_NAME} printable characters, without a "
            "blank at its ends."
        )


def check_contenders(contenders: Sequence[str]) -> None:
    """Refuse contenders that cannot be compared.

    Raises:
        ValueError: there are fewer than 2, one is there twice, or has no name.
    """
    for name in contenders:
        check_name("a contender", name)
    if len(contenders) < 2:
        raise ValueError(f"contenders are {list(contenders)}; a comparison needs 2 or more.")
    twice = next((name for i, name in enumerate(contenders) if name in contenders[:i]), None)
    if twice is not None:
        raise ValueError(f"contenders have {twice!r} twice; give each once.")


def check_study(study: Study) -> None:
    """Refuse what cannot be compared.

    Raises:
        ValueError: as of `check_contenders`; there are no prompts; the id is no name; repeats lies
            outside 0 to 1.
    """
    check_name("id", study.id)
    check_contenders(study.contenders)
    if not study.prompts:
        raise ValueError("there are no prompts; a comparison needs one or more.")
    if not 0.0 <= study.repeats <= 1.0:
        raise ValueError(f"repeats is {study.repeats}; it is a share of the pairs, from 0 to 1.")


def pairs_of(rater: str, study: Study) -> list[Pair]:
    """All pairs that a rater sees, the same ones whenever they are asked for.

    However early he stops, two pairs of contenders differ by at most one in how often they were
    shown, repeats left out. Each pair is repeated at most once, 10 pairs later or more; in a study
    of fewer pairs, when all have been shown.

    Raises:
        ValueError: as of `check_study` and `check_name`.
    """
    check_name("rater", rater)
    check_study(study)
    # of it only random() is drawn, which alone gives the same numbers in every Python
    dice = random.Random(f"{study.seed} {rater}")
    prompts = len(study.prompts)
    columns = [_sided(a, b, prompts, dice) for a, b in combinations(study.contenders, 2)]
    firsts = [pair for row in zip(*columns, strict=True) for pair in _shuffled(row, dice)]
    return _with_repeats(firsts, round(study.repeats * len(firsts)), dice)


def _sided(a, b, prompts, dice):
    """Each prompt with a left and a right, in any order."""
    # who has the left once more of an odd number of prompts is chance too
    ways = _shuffled([(a, b), (b, a)], dice)
    sides = _shuffled([ways[i % 2] for i in range(prompts)], dice)
    order = _shuffled(range(prompts), dice)
    return [(prompt, *side) for prompt, side in zip(order, sides, strict=True)]


def _with_repeats(firsts, repeats, dice):
    total = len(firsts) + repeats
    # with fewer, a repeat could lack a pair that is long enough ago, so all come at the end
    is_mixed = len(firsts) - repeats >= APART
    coming = iter(firsts)
    shown, unrepeated = [], []
    for number in range(total):
        old = bisect_right(unrepeated, number - APART, key=attrgetter("number"))
        # every remaining place is as likely as any other to have one of the remaining repeats
        is_drawn = dice.random() * (total - number) < repeats
        if (old and is_mixed and is_drawn) or repeats == total - number:
            first = unrepeated.pop(int(dice.random() * max(old, 1)))
            pair = Pair(number, first.prompt, first.right, first.left, True)
            repeats -= 1
        else:
            pair = Pair(number, *next(coming), False)
            unrepeated.append(pair)
        shown.append(pair)
    return shown


def _shuffled(items, dice):
    return sorted(items, key=lambda _: dice.random())

"""What a blind comparison found, in sentences for people and as values for a page."""

from collections.abc import Sequence
from typing import NamedTuple

from .bootstrap import Estimate
from .pairing import Study
from .preference import (
    Tally,
    agreement,
    prompts_won,
    self_agreement,
    sign_test,
    strengths,
    win_rate,
)
from .votes import Vote

# of drawing prompts anew, so that votes have one interval
SEED = 0
# below it a result is taken for one
SIGNIFICANT = 0.05
# prompts of a tag, below which it says nothing
LEAST = 10


class Duel(NamedTuple):
    """Two contenders.

    Attributes:
        rate: share of the votes that a won.
        won: prompts, by the most of their votes.
        p: of the sign test over prompts.
        by_tag: rate, of the prompts of a tag.
    """

    a: str
    b: str
    rate: Estimate
    won: Tally
    p: float
    by_tag: dict[str, Estimate]


class Outcome(NamedTuple):
    """All that votes of one kind say.

    Attributes:
        raters: with how many votes each.
        skipped: votes that count for nothing.
        strengths: logits of each contender, the strongest first; {} with two contenders, whose rate
            says the same, or where some were not compared.
        agreement: Krippendorff's alpha between raters.
        self_agreement: of raters with themselves, on repeats.
    """

    raters: dict[str, int]
    skipped: int
    duels: Sequence[Duel]
    strengths: dict[str, Estimate]
    agreement: float | None
    self_agreement: Estimate | None


def outcome(study: Study, votes: Sequence[Vote]) -> Outcome:
    """What votes of one kind say of a study's contenders.

    Raises:
        ValueError: votes are of two kinds.
    """
    raters = {name: sum(vote.rater == name for vote in votes) for name in _raters(votes)}
    counted = [vote for vote in votes if vote.score is not None and not vote.is_repeat]
    met = dict.fromkeys((vote.a, vote.b) for vote in counted)
    order = sorted(met, key=lambda duel: [study.contenders.index(name) for name in duel])
    return Outcome(
        raters,
        sum(vote.score is None for vote in votes),
        [_duel(votes, *duel) for duel in order],
        _strengths(votes, study.contenders),
        agreement(votes),
        self_agreement(votes, seed=SEED),
    )


def sentences(found: Outcome) -> list[str]:
    """The result first, then what must be known to read it."""
    if not found.duels:
        return ["There are no votes yet, so neither is better."]
    told = [_sentence(duel) for duel in found.duels]
    if any(duel.rate.low is None for duel in found.duels):
        told.append("Fewer than 10 prompts with votes, or votes all alike, have no interval.")
    if found.self_agreement is not None:
        same = found.self_agreement
        told.append(
            f"Shown again with their sides swapped, {_percent(same.value)} of the pairs got the "
            "same answer; what is far below 100 % is guessing."
        )
    if found.agreement is not None:
        told.append(
            f"Raters agree with Krippendorff's alpha of {found.agreement:.2f}; 1 is agreement, 0 "
            "what chance gives."
        )
    return told


def as_json(found: Outcome) -> dict:
    """The same as values that JSON has."""
    return _plain(found)


def _plain(value):
    if hasattr(value, "_asdict"):
        value = value._asdict()
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    return [_plain(one) for one in value] if isinstance(value, list) else value


def _raters(votes):
    return dict.fromkeys(vote.rater for vote in votes)


def _duel(votes, a, b):
    won = prompts_won(votes, a, b)
    tags = dict.fromkeys(tag for vote in votes for tag in vote.tags)
    of = {tag: _of_tag(votes, tag, a, b) for tag in tags}
    by_tag = {
        tag: win_rate(some, a, b, seed=SEED)
        for tag, some in of.items()
        if len({vote.text for vote in some}) >= LEAST
    }
    rate = win_rate(votes, a, b, seed=SEED)
    return Duel(a, b, rate, won, sign_test(won.won, won.lost), by_tag)


def _of_tag(votes, tag, a, b):
    """Votes on two contenders that count, on prompts of a tag."""
    return [
        vote
        for vote in votes
        if tag in vote.tags
        and (vote.a, vote.b) == (a, b)
        and vote.score is not None
        and not vote.is_repeat
    ]


def _strengths(votes, contenders):
    if len(contenders) < 3:
        return {}
    try:
        found = strengths(votes, contenders, seed=SEED)
    except ValueError:
        # some have no votes yet
        return {}
    return dict(sorted(found.items(), key=lambda one: -one[1].value))


def _sentence(duel):
    better, worse, rate = duel.a, duel.b, duel.rate
    if rate.value < 0.5:
        better, worse, rate = worse, better, _reversed(rate)
    share = f"{_percent(rate.value)} of the votes"
    if rate.low is not None:
        share += f" ({_percent(rate.low)} to {_percent(rate.high)})"
    more, fewer = sorted((duel.won.won, duel.won.lost), reverse=True)
    told = f"{share}, {more} prompts against {fewer}; p = {duel.p:.2g} by the sign test."
    if duel.p < SIGNIFICANT:
        return f"{better} is preferred to {worse}: {told}"
    return f"Neither {better} nor {worse} is shown to be better. {better} has {told}"


def _reversed(rate):
    if rate.low is None:
        return rate._replace(value=1 - rate.value)
    return rate._replace(value=1 - rate.value, low=1 - rate.high, high=1 - rate.low)


def _percent(share):
    return f"{100 * share:.0f} %"

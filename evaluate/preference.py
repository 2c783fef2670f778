"""What the votes of a blind comparison say of its contenders, with the interval chance leaves.

Prompts are what is drawn anew: votes on one prompt, by several raters or seeds, are no independent
votes. Repeats of pairs count for `self_agreement` alone, skipped pairs for nothing. Bradley-Terry:
Hunter, "MM algorithms for generalized Bradley-Terry models", Annals of Statistics 32(1), 2004.
Agreement: Krippendorff, "Computing Krippendorff's alpha-reliability", 2011.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from functools import cache
from typing import NamedTuple

import torch

from .bootstrap import RESAMPLES, Estimate, estimate
from .votes import Vote

# of a logit, in the last step of a fit
TOLERANCE = 1e-9


class Tally(NamedTuple):
    """Prompts on which a contender has more of the votes, as many, and fewer."""

    won: int
    tied: int
    lost: int


def win_rate(
    votes: Iterable[Vote], a: str, b: str, *, seed: int, resamples: int = RESAMPLES
) -> Estimate:
    """Share of the votes that a wins against b, a tie being half a win.

    Returns:
        limits None with fewer than 10 prompts, or where all have the same share, of which draws
            tell nothing.

    Raises:
        ValueError: there is no vote on a and b, or votes are of two kinds.
    """
    scores, counts = _by_prompt((vote.text, score) for vote, score in _between(votes, a, b))
    return _share(scores, counts, seed, resamples)


def prompts_won(votes: Iterable[Vote], a: str, b: str) -> Tally:
    """On how many prompts a has more of the votes than b.

    Raises:
        ValueError: there is no vote on a and b, or votes are of two kinds.
    """
    scores, counts = _by_prompt((vote.text, score) for vote, score in _between(votes, a, b))
    signs = Counter((2 * scores - counts).sign().tolist())
    return Tally(signs[1.0], signs[0.0], signs[-1.0])


def sign_test(won: int, lost: int) -> float:
    """How likely so uneven a result or a more uneven one is if neither is better, exactly.

    Args:
        won, lost: prompts, so that they are independent; ties are left out.

    Raises:
        ValueError: a number is negative.
    """
    if min(won, lost) < 0:
        raise ValueError(f"won and lost are {won} and {lost}; allowed are 0 or more.")
    count = won + lost
    tail = sum(math.comb(count, k) for k in range(max(won, lost), count + 1))
    return min(1.0, 2 * tail / 2**count)


def strengths(
    votes: Iterable[Vote], contenders: Sequence[str], *, seed: int, resamples: int = RESAMPLES
) -> dict[str, Estimate]:
    """Bradley-Terry strengths: a wins against b with odds of exp(strength of a - strength of b).

    A tie is half a win for each. One tie is added for every two contenders that met, so that who
    won or lost all has a finite strength too. Votes on any but the contenders given do not count.

    Returns:
        logits whose mean over the contenders is 0; limits None as in `win_rate`.

    Raises:
        ValueError: there are fewer than 2 contenders, or one is there twice; some were not
            compared, not even by way of others; or votes are of two kinds.
    """
    if len(set(contenders)) < max(2, len(contenders)):
        raise ValueError(f"contenders are {list(contenders)}; give 2 or more, each once.")
    wins = _wins(votes, contenders)
    met = (wins + wins.mT).sum(0) > 0
    _check_connected(met, contenders)

    # one seed draws the same prompts for every contender, so that one fit serves all
    @cache
    def fit(weights):
        drawn = torch.tensor(weights, dtype=torch.float64)
        return _bradley_terry((torch.einsum("p,pab->ab", drawn, wins) + 0.5 * met).tolist())

    found = {}
    for i, name in enumerate(contenders):
        strength = lambda weights, i=i: fit(tuple(weights.tolist()))[i]
        limits = estimate(strength, [len(wins)], seed=seed, resamples=resamples)
        found[name] = _without_spread_no_limits(limits)
    return found


def agreement(votes: Iterable[Vote]) -> float | None:
    """Krippendorff's alpha of raters who saw the same pair: 1 is agreement, 0 what chance gives.

    Win, tie and loss are three answers without an order.

    Returns:
        None where no pair has two raters, or all gave the same answer throughout.

    Raises:
        ValueError: votes are of two kinds.
    """
    answers = defaultdict(list)
    for vote in _first_showings(votes):
        answers[vote.prompt, vote.a, vote.b].append(vote.score)
    paired = [Counter(scores) for scores in answers.values() if len(scores) > 1]
    totals = sum(paired, Counter())
    different = sum(_unequal(counts) / (counts.total() - 1) for counts in paired)
    expected = _unequal(totals) / max(totals.total() - 1, 1)
    return 1.0 - different / expected if expected else None


def self_agreement(
    votes: Iterable[Vote], *, seed: int, resamples: int = RESAMPLES
) -> Estimate | None:
    """Share of repeated pairs to which a rater gave the same answer with the sides swapped.

    Returns:
        None where no repeat was answered; limits None as in `win_rate`.

    Raises:
        ValueError: votes are of two kinds.
    """
    votes = [*votes]
    key = lambda vote: (vote.rater, vote.prompt, vote.a, vote.b)
    first = {key(vote): vote.score for vote in _first_showings(votes)}
    again = [vote for vote in votes if vote.is_repeat and vote.score is not None]
    same = [
        (vote.text, float(first[key(vote)] == vote.score)) for vote in again if key(vote) in first
    ]
    return _share(*_by_prompt(same), seed, resamples) if same else None


def _first_showings(votes):
    """Votes that are neither repeated nor skipped."""
    votes = [*votes]
    kinds = sorted({vote.kind for vote in votes})
    if len(kinds) > 1:
        raise ValueError(f"votes are of {' and '.join(kinds)}; give those of one kind.")
    return [vote for vote in votes if not vote.is_repeat and vote.score is not None]


def _between(votes, a, b):
    """Votes on two contenders, each with a's score."""
    found = [
        (vote, vote.score if vote.a == a else 1.0 - vote.score)
        for vote in _first_showings(votes)
        if {vote.a, vote.b} == {a, b}
    ]
    if not found:
        raise ValueError(f"there is no vote on {a!r} and {b!r}, so neither is better.")
    return found


def _by_prompt(scored):
    """[P] sums of scores and [P] how many, of (text, score)."""
    sums, counts = Counter(), Counter()
    for text, score in scored:
        sums[text] += score
        counts[text] += 1
    as_tensor = lambda values: torch.tensor([*values], dtype=torch.float64)
    return as_tensor(sums.values()), as_tensor(counts.values())


def _share(scores, counts, seed, resamples):
    share = lambda weights: (weights @ scores / (weights @ counts)).item()
    found = estimate(share, [len(scores)], seed=seed, resamples=resamples)
    found = _without_spread_no_limits(found)
    if found.low is None:
        return found
    # the bias taken off the limits may take them out of what a share can be
    return found._replace(low=max(found.low, 0.0), high=min(found.high, 1.0))


def _without_spread_no_limits(found):
    return found._replace(low=None, high=None) if found.low == found.high else found


def _wins(votes, contenders):
    """[P, C, C] votes that each contender won against each other one, by prompt."""
    index = {name: i for i, name in enumerate(contenders)}
    texts = {}
    votes = [vote for vote in _first_showings(votes) if vote.a in index and vote.b in index]
    for vote in votes:
        texts.setdefault(vote.text, len(texts))
    wins = torch.zeros(len(texts), len(index), len(index), dtype=torch.float64)
    for vote in votes:
        a, b, prompt = index[vote.a], index[vote.b], texts[vote.text]
        wins[prompt, a, b] += vote.score
        wins[prompt, b, a] += 1.0 - vote.score
    return wins


def _check_connected(met, contenders):
    reached = torch.eye(len(contenders), dtype=torch.bool)[0]
    for _ in contenders:
        reached = reached | met[reached].any(0)
    if not reached.all():
        apart = [
            name for name, is_in in zip(contenders, reached.tolist(), strict=True) if not is_in
        ]
        raise ValueError(
            f"{', '.join(apart)} was compared with {contenders[0]} by no vote, nor by way of "
            "others, so that there is no common scale. Gather votes, or leave it out."
        )


def _bradley_terry(wins):
    """Logits of the most likely strengths, by Hunter's equation 3; wins[i][j] of i against j."""
    everyone = range(len(wins))
    won = [sum(row) for row in wins]
    games = [[wins[i][j] + wins[j][i] for j in everyone] for i in everyone]
    p = [1.0 for _ in everyone]
    step = math.inf
    while step > TOLERANCE:
        new = [
            won[i] / sum(games[i][j] / (p[i] + p[j]) for j in everyone if j != i) for i in everyone
        ]
        mean = math.exp(sum(map(math.log, new)) / len(new))
        new = [value / mean for value in new]
        step = max(abs(math.log(value / before)) for value, before in zip(new, p, strict=True))
        p = new
    return [math.log(value) for value in p]


def _unequal(counts):
    """Ordered pairs of answers that differ."""
    return counts.total() ** 2 - sum(count**2 for count in counts.values())

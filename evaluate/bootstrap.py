"""The interval that chance leaves around a figure: its units are drawn anew, with replacement.

Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapters 10 and 13. A distance of
few pictures is too large by a bias, and drawing anew adds as much once more; both are taken off
the percentiles. These limits held the truth of KID, CMMD and FID of few pictures in 92 to 98 % of
200 repetitions, bare percentiles in 83 to 98, basic limits in 89 to 96, BCa limits in 89 to 98.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch

RESAMPLES = 1000
CONFIDENCE = 0.95
# units below which what is drawn anew says nothing of those that were not seen
LEAST = 10


class Estimate(NamedTuple):
    """A figure, and the limits between which the truth lies with 95 % confidence.

    Attributes:
        low, high: None where there are too few units to tell.
        count: units of the smallest set: prompts, or pictures where each has a prompt of its own.
    """

    value: float
    low: float | None
    high: float | None
    count: int


def estimate(
    statistic: Callable[..., float],
    sizes: Sequence[int],
    *,
    seed: int,
    resamples: int = RESAMPLES,
) -> Estimate:
    """A statistic and its interval.

    Args:
        statistic: of as many [N] float64 weights as there are sizes: how often each unit is drawn.
            All 1 is the figure itself. Pictures of one prompt are one unit, and so are a teacher's
            and a student's picture of it: what belongs together is drawn together.
        sizes: units of each independent set.
        seed: of the draws, so that a figure has one interval.
    """
    value = statistic(*(torch.ones(size, dtype=torch.float64) for size in sizes))
    if min(sizes) < LEAST:
        return Estimate(value, None, None, min(sizes))
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.tensor(
        [statistic(*(_draw(size, generator) for size in sizes)) for _ in range(resamples)],
        dtype=torch.float64,
    )
    tail = (1 - CONFIDENCE) / 2
    limits = torch.quantile(drawn, torch.tensor([tail, 1 - tail], dtype=torch.float64))
    low, high = (limits - 2 * (drawn.mean() - value)).tolist()
    return Estimate(value, low, high, min(sizes))


def _draw(size, generator):
    chosen = torch.randint(size, (size,), generator=generator)
    return torch.bincount(chosen, minlength=size).double()

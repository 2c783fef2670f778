"""How many pictures show what their caption says, with the interval chance leaves around it.

Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22 (1927): the
interval stays inside 0..1 and keeps a width when all or none are right.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

from .world import Wanted

KINDS = ("single-object", "two-object", "all")
Z = 1.959964  # of a normal distribution, 95 % of which lie within -Z..Z


class Score(NamedTuple):
    """`right` of `total` pictures were right."""

    right: int
    total: int

    @property
    def accuracy(self) -> float:
        """Share of right pictures, 0..1."""
        return self.right / self.total

    @property
    def interval(self) -> tuple[float, float]:
        """Lowest and highest true share, 0..1, that 95 % confidence leaves (Wilson)."""
        spread = Z * Z / self.total
        middle = (self.accuracy + spread / 2) / (1 + spread)
        variance = self.accuracy * (1 - self.accuracy) / self.total
        half = Z * math.sqrt(variance + (spread / 2 / Z) ** 2) / (1 + spread)
        return max(0.0, middle - half), min(1.0, middle + half)


def score(verdicts: Sequence[bool], wanted: Sequence[Wanted]) -> dict[str, Score]:
    """Count right pictures by kind of caption.

    Args:
        verdicts: for each picture, whether the judge reads its caption in it.
        wanted: what these captions demand.

    Returns:
        a Score for each of KINDS that has pictures.

    Raises:
        ValueError: there is no picture, or not one verdict for each caption.
    """
    if not wanted or len(verdicts) != len(wanted):
        raise ValueError(
            f"got {len(verdicts)} verdicts for {len(wanted)} captions; "
            "it needs one for each, and at least one."
        )
    things = [len(demand.things) for demand in wanted]
    kinds = zip(KINDS, ((1,), (2,), (1, 2)), strict=True)
    chosen = {
        kind: [bool(v) for v, count in zip(verdicts, things, strict=True) if count in counts]
        for kind, counts in kinds
    }
    return {kind: Score(sum(votes), len(votes)) for kind, votes in chosen.items() if votes}

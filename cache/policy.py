"""Whether a step may reuse what an earlier one has computed.

- first block: what the first blocks add has changed little since the step that was computed last.
  First block cache of chengzeyi/ParaAttention, DBCache of vipshop/cache-dit.
- accumulated change: the same, from step to step and added up. Liu et al., "Timestep Embedding
  Tells: It's Time to Cache for Video Diffusion Model" (TeaCache), arXiv:2411.19108.
- whole step: the change of the output, estimated from that of the input, added up. Zhou et al.,
  "Less is Enough: Training-Free Video Diffusion Acceleration via Runtime-Adaptive Caching"
  (EasyCache), arXiv:2507.02860.
- fixed: every so many steps. Ma et al., "DeepCache", arXiv:2312.00858.
"""

import math
from typing import NamedTuple

import torch

FIRST_BLOCK, ACCUMULATED = "first block", "accumulated change"
FIXED, WHOLE_STEP = "fixed", "whole step"
KINDS = (FIRST_BLOCK, ACCUMULATED, FIXED, WHOLE_STEP)
# below, every step differs too much from the one before to be reused
LEAST_STEPS = 10
# of TeaCache's polynomial, of degree 4
COEFFICIENTS = 5


class Policy(NamedTuple):
    """How a run decides.

    threshold is a relative change, 0.1 = 10 %; 0 never reuses, and fixed does not look at it.
    max_skips is how many steps in a row may be reused. coefficients are those of a polynomial that
    the change is put into before it is added up, highest power first; none is the change itself.
    """

    kind: str
    threshold: float
    max_skips: int
    coefficients: tuple[float, ...] = ()


def check_policy(policy: Policy) -> None:
    """Refuse a policy that no run can follow.

    Raises:
        ValueError: a value is out of range, or does not go with the kind.
    """
    kind, threshold, max_skips, coefficients = policy
    if kind not in KINDS:
        raise ValueError(f"policy is {kind!r}; allowed is one of {', '.join(KINDS)}.")
    if not (math.isfinite(threshold) and threshold >= 0.0):
        raise ValueError(
            f"threshold is {threshold:g}; allowed is a number from 0, which never reuses, upwards. "
            "It is a relative change: 0.1 is 10 %."
        )
    if max_skips < 0:
        raise ValueError(
            f"max_skips is {max_skips}; allowed is 0, which never reuses, or more steps in a row."
        )
    if coefficients and kind != ACCUMULATED:
        raise ValueError(
            f"coefficients are given and policy is {kind!r}; they go with {ACCUMULATED!r} only. "
            "Leave them empty."
        )
    _check_coefficients(coefficients)


def _check_coefficients(coefficients):
    if len(coefficients) not in (0, COEFFICIENTS):
        raise ValueError(
            f"coefficients are {len(coefficients)} numbers; allowed are none or {COEFFICIENTS}, "
            "of a polynomial as TeaCache has it, highest power first."
        )
    for value in coefficients:
        if not math.isfinite(value):
            raise ValueError(f"coefficients have {value}; allowed are finite numbers.")


def relative_change(now: list[torch.Tensor], before: list[torch.Tensor]) -> float:
    """Sum of |now - before| over sum of |before|; inf where before is all 0 and now is not."""
    moved = sum((a.float() - b.float()).abs().sum() for a, b in zip(now, before, strict=True))
    size = sum(b.float().abs().sum() for b in before)
    moved, size = torch.stack([moved, size]).tolist()
    if size == 0.0:
        return 0.0 if moved == 0.0 else math.inf
    return moved / size


class Gate:
    """The decisions of one run, a step after the other."""

    def __init__(self, policy: Policy):
        self.policy = policy
        self.computed()

    def computed(self) -> None:
        """A step has been computed whole."""
        self._sum, self._skipped = 0.0, 0

    def opens(self, change: float = math.inf) -> bool:
        """Whether the next step may reuse.

        Args:
            change: relative change that the policy looks at; inf where there is nothing to compare
                with; fixed does not look at it.
        """
        if self._is_small(change) and self._skipped < self.policy.max_skips:
            self._skipped += 1
            return True
        self.computed()
        return False

    def _is_small(self, change):
        kind, threshold, _, coefficients = self.policy
        if kind == FIXED:
            return True
        if kind == FIRST_BLOCK:
            return change < threshold
        self._sum += _polynomial(coefficients, change) if coefficients else change
        return self._sum < threshold


def _polynomial(coefficients, x):
    value = 0.0
    for coefficient in coefficients:
        value = value * x + coefficient
    return value

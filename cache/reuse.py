"""One sampling run's cache: what a step compares, decides, remembers and counts."""

import math
from collections import Counter
from collections.abc import Hashable
from typing import NamedTuple

import torch

from .memory import Memory
from .policy import ACCUMULATED, Gate, Policy, relative_change


class Tally(NamedTuple):
    """Passes of the network under one condition each, and blocks of it."""

    computed: int = 0
    reused: int = 0
    blocks: int = 0  # that ran
    all_blocks: int = 0  # that would have run without the cache

    @property
    def passes(self) -> int:
        """All passes, computed or not."""
        return self.computed + self.reused

    @property
    def passes_saved(self) -> float:
        """Work left out, in passes of the whole network."""
        return self.passes * (1.0 - self.blocks / self.all_blocks) if self.all_blocks else 0.0


class Reuse:
    """The cache of one sampling run.

    A step begins with `begin`. Within it every call of the network has keys, one for each condition
    in its batch. The first call decides for the step: all conditions are reused or none, since
    guidance would multiply a difference between them.

    Where the network is compiled, none of this is: what changes from step to step a compiler takes
    for what it was in an earlier one.
    """

    def __init__(self, policy: Policy, order: int, start: float = math.inf, end: float = 0.0):
        """start, end: noise levels within which steps may be reused."""
        self.policy, self.start, self.end = policy, start, end
        self.tally = Tally()
        self._gate = Gate(policy)
        self._values, self._signals = Memory(order), Memory(0)
        self._run, self._step, self._sigma = 0, -1, math.inf
        self._seen, self._decision, self._complete = Counter(), None, set()

    @torch.compiler.disable
    def begin(self, sigma: float) -> None:
        """Begin a step at this noise level; where the level rises, nothing earlier counts."""
        if sigma > self._sigma:
            self._run += 1
            self._values.forget()
            self._signals.forget()
            self._complete.clear()
        self._step, self._sigma = self._step + 1, sigma
        self._seen, self._decision = Counter(), None

    @torch.compiler.disable
    def keys(self, conditions: list[Hashable], x: torch.Tensor) -> list[Hashable]:
        """Name the parts of a call's batch.

        Args:
            conditions: one for each equal part of the rows of x, in their order.
            x: [B, C, ...] what the network is given.
        """
        like = (x.shape[0] // len(conditions), *x.shape[1:], x.dtype, x.device, self._run)
        # some nodes ask for a condition twice in a step, with the network changed in between
        self._seen.update(conditions)
        return [(condition, self._seen[condition], *like) for condition in conditions]

    @torch.compiler.disable
    def judge(self, keys: list[Hashable], signal: torch.Tensor) -> bool:
        """Whether a call reuses, by the change of a signal [B, ...].

        It is compared with the step before where changes are added up, else with the step that was
        computed last.
        """
        reuses = self.decide(keys, self._change(keys, signal))
        if self.policy.kind == ACCUMULATED or not reuses:
            self._keep(self._signals, keys, signal)
        return reuses

    @torch.compiler.disable
    def decide(self, keys: list[Hashable], change: float = math.inf) -> bool:
        """Whether a call reuses; the step's first call decides, the others need their values.

        Args:
            change: relative change that the policy looks at; inf where it is not known.
        """
        known = self._complete.issuperset(keys)
        if self._decision is None:
            may = known and self.end <= self._sigma <= self.start
            self._decision = may and self._gate.opens(change)
            if not self._decision:
                self._gate.computed()
        return self._decision and known

    @torch.compiler.disable
    def keep(self, keys: list[Hashable], **values: torch.Tensor) -> None:
        """Remember what a call has computed: tensors [B, ...] by name, the same at every step."""
        for name, value in values.items():
            self._keep(self._values, _named(keys, name), value)
        self._complete.update(keys)

    @torch.compiler.disable
    def has(self, keys: list[Hashable], name: str) -> bool:
        """Whether a tensor of this name is remembered for a call."""
        return self._values.has(_named(keys, name))

    @torch.compiler.disable
    def recall(self, keys: list[Hashable], name: str) -> torch.Tensor:
        """The tensor [B, ...] of this name for a call that reuses; a new one."""
        parts = [self._values.recall(key, self._step) for key in _named(keys, name)]
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    @torch.compiler.disable
    def count(self, keys: list[Hashable], reused: bool, blocks: int, all_blocks: int) -> None:
        """Count a call, the blocks it ran, and those it would have run."""
        n, old = len(keys), self.tally
        self.tally = Tally(
            old.computed + n * (not reused),
            old.reused + n * reused,
            old.blocks + n * blocks,
            old.all_blocks + n * all_blocks,
        )

    def _change(self, keys, signal):
        if self._decision is not None or not self._signals.has(keys):
            return math.inf
        parts = list(signal.chunk(len(keys)))
        return relative_change(parts, [self._signals.last(key) for key in keys])

    def _keep(self, memory, keys, value):
        for key, part in zip(keys, value.chunk(len(keys)), strict=True):
            memory.keep(key, self._step, part)


def _named(keys, name):
    return [(key, name) for key in keys]

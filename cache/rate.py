"""How much a network's output has changed, judged by its input before the network has run.

Zhou et al., "Less is Enough: Training-Free Video Diffusion Acceleration via Runtime-Adaptive
Caching" (EasyCache), arXiv:2507.02860: the ratio of the two changes is stable from step to step.
"""

import math
from collections.abc import Hashable

import torch


class Rate:
    """The ratio as one run's steps have shown it, and what it is to be applied to."""

    def __init__(self):
        self._inputs: dict[Hashable, torch.Tensor] = {}
        self._outputs: dict[Hashable, torch.Tensor] = {}
        self._moved, self._rate = math.inf, None

    def change(self, keys: list[Hashable], x: torch.Tensor) -> float:
        """Relative change of the output that this input [B, ...] lets expect; inf where unknown."""
        parts = dict(zip(keys, x.chunk(len(keys)), strict=True))
        known = all(key in self._inputs and key in self._outputs for key in keys)
        self._moved = _distance(parts, self._inputs) if known else math.inf
        self._inputs |= parts
        if self._rate is None or not known:
            return math.inf
        size = sum(self._outputs[key].float().abs().sum().item() for key in keys)
        return self._rate * self._moved / size if size else math.inf

    def computed(self, keys: list[Hashable], output: torch.Tensor) -> None:
        """Learn the ratio from an output [B, ...] that was computed for the input just shown."""
        parts = dict(zip(keys, output.chunk(len(keys)), strict=True))
        if 0.0 < self._moved < math.inf:
            self._rate = _distance(parts, self._outputs) / self._moved
        self._outputs |= parts


def _distance(now, before):
    return sum((now[key].float() - before[key].float()).abs().sum().item() for key in now)

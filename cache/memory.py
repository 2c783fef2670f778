"""What one run remembers of its steps; it is thrown away with the run."""

from collections.abc import Hashable

import torch

from .forecast import forecast


class Memory:
    """The last values at each place, by keys that name condition, shape and number type."""

    def __init__(self, order: int):
        """order: how many values before the last one are kept."""
        self.order = order
        self._known: dict[Hashable, list[tuple[float, torch.Tensor]]] = {}

    def keep(self, key: Hashable, at: float, value: torch.Tensor) -> None:
        """Remember a value of the step at this place, instead of any that is there already."""
        older = [(place, tensor) for place, tensor in self._known.get(key, []) if place < at]
        self._known[key] = [*older, (at, value)][-1 - self.order :]

    def has(self, keys) -> bool:
        """Whether every one of the keys is known."""
        return all(key in self._known for key in keys)

    def last(self, key: Hashable) -> torch.Tensor:
        """The newest value of a key that is known."""
        return self._known[key][-1][1]

    def recall(self, key: Hashable, at: float) -> torch.Tensor:
        """The value of a key that is known, continued to this place; a new tensor."""
        return forecast(self._known[key], at)

    def forget(self) -> None:
        """Drop everything."""
        self._known.clear()

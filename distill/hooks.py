"""The places where changes enter a network; with none on, it computes what it always did."""

from collections.abc import Mapping
from contextlib import contextmanager
from functools import partial

from torch import nn
from torch.utils.checkpoint import checkpoint


class Hooks:
    """Forward hooks on some layers of a network, and which changes they add at the moment.

    One network in memory thereby serves as teacher, student, target and fake score by turns.

    Args:
        layers: linear and convolution layers by their dotted paths.
        blocks: modules that are to forget what they computed and compute it again for the
            gradient, for less memory (Chen et al., arXiv:1604.06174).
    """

    def __init__(self, layers: Mapping[str, nn.Module], blocks=()):
        self.layers = dict(layers)
        self._changes = ()
        self._handles = [
            layer.register_forward_hook(partial(self._add, path))
            for path, layer in self.layers.items()
        ]
        # with what stood in the way of the class's own forward, usually nothing
        self._blocks = [(block, vars(block).get("forward")) for block in blocks]
        for block, _ in self._blocks:
            block.forward = partial(self._recomputed, block.forward)

    @contextmanager
    def using(self, *changes):
        """Add these changes, and no others, to what the network computes meanwhile."""
        before, self._changes = self._changes, changes
        try:
            yield
        finally:
            self._changes = before

    def close(self) -> None:
        """Leave the network as it was found."""
        for handle in self._handles:
            handle.remove()
        for block, forward in self._blocks:
            del block.forward
            if forward is not None:
                block.forward = forward
        self._handles, self._blocks = [], []

    def _add(self, path, layer, inputs, output):
        for change in self._changes:
            output = output + change.added(path, layer, inputs[0])
        return output

    def _recomputed(self, forward, *args, **kwargs):
        # the second time round is during backward, when other changes may be on
        again = partial(self._with, self._changes, forward)
        return checkpoint(again, *args, use_reentrant=False, preserve_rng_state=False, **kwargs)

    def _with(self, changes, forward, *args, **kwargs):
        with self.using(*changes):
            return forward(*args, **kwargs)

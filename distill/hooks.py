"""The places where changes enter a network; with none on, it computes what it always did."""

from collections.abc import Mapping
from contextlib import contextmanager
from functools import partial

import torch
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
        self._watched = {}
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

    @contextmanager
    def watching(self, paths):
        """Keep what layers give meanwhile.

        Args:
            paths: of some of the layers.

        Yields:
            for each path a list that grows by one output in every pass of the network.
        """
        before, self._watched = self._watched, {path: [] for path in paths}
        try:
            yield self._watched
        finally:
            self._watched = before

    def in_order(self, parts) -> None:
        """Make one output of what was watched in the last passes, each over a part of a batch.

        Args:
            parts: for each of these passes the places of its samples in the batch.

        Raises:
            ValueError: the passes gave outputs of different sizes.
        """
        order = torch.tensor([place for part in parts for place in part]).argsort()
        for path, outputs in self._watched.items():
            of_parts = outputs[-len(parts) :]
            if len({output.shape[1:] for output in of_parts}) > 1:
                raise ValueError(
                    f"{path} gives outputs of different sizes, since prompts are of different "
                    "lengths. Set accumulation to the batch, so that each is looked at by itself."
                )
            outputs[-len(parts) :] = [torch.cat(of_parts)[order]]

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
        if path in self._watched:
            self._watched[path].append(output)
        return output

    def _recomputed(self, forward, *args, **kwargs):
        # the second time round is during backward, when other changes may be on
        again = partial(self._with, self._changes, forward)
        return checkpoint(again, *args, use_reentrant=False, preserve_rng_state=False, **kwargs)

    def _with(self, changes, forward, *args, **kwargs):
        with self.using(*changes):
            return forward(*args, **kwargs)

"""How many passes a network takes; what a cache leaves out after the first block is none."""

import torch
from torch import nn


class PassCount:
    """Counts passes, each condition of each picture as one, from now on.

    A cache calls every block of every pass, and those that it leaves out return at once. So a pass
    was computed where something inside the last block was called.

    Args:
        network: of diffusers, compiled or not.
        is_cached: whether it is a transformer with a cache.
    """

    def __init__(self, network: nn.Module, is_cached: bool):
        self.passes, self._is_cached, self._was_computed = 0, is_cached, False
        if is_cached:
            children = list(_bare(network).children())
            last_block = [child for child in children if isinstance(child, nn.ModuleList)][-1][-1]
            next(last_block.children()).register_forward_hook(self._note)
        network.register_forward_hook(self._add)

    def _note(self, module, given, output):
        self._was_computed = True

    def _add(self, module, given, output):
        if self._was_computed or not self._is_cached:
            # one prediction for each condition
            self.passes += len(output[0])
        self._was_computed = False


def _bare(network):
    is_compiled = isinstance(network, torch._dynamo.OptimizedModule)
    return network._orig_mod if is_compiled else network

"""One network in several processes: the main one asks, and each computes its part of the batch.

So the code that walks along trajectories and writes them runs in the main process alone.
"""

from contextlib import contextmanager

import torch
import torch.distributed as dist

from .processes import Processes

# in place of a number of samples: nothing more is asked
END = 0


class SplitNetwork:
    """The main process's `distill.network.Network`; without changes on and without gradient."""

    def __init__(self, network, processes: Processes):
        self.process, self.table, self.hooks = network.process, network.table, network.hooks
        self.device, self.rows = network.device, network.rows
        self.fingerprint = network.fingerprint
        self._network, self._processes = network, processes

    def denoise(self, x, sigma, rows, guidance=None) -> torch.Tensor:
        """As `Network.denoise`, for a teacher, who is told no guidance."""
        x = x.to(self.device, torch.float32).contiguous()
        _send(len(x), self.device)
        sigma, rows = sigma.to(x), rows.to(self.device)
        for tensor in (x, sigma, rows):
            dist.broadcast(tensor.contiguous(), src=0)
        return _answer(self._network, self._processes, x, sigma, rows)


@contextmanager
def split(network, processes: Processes, shape):
    """The SplitNetwork in the main process; None in others, once they have answered everything.

    Args:
        network: the same in every process.
        shape: [C, ...] of a latent.
    """
    if not processes.is_main:
        _answer_all(network, processes, shape)
        yield None
        return
    try:
        yield SplitNetwork(network, processes)
    finally:
        _send(END, network.device)


@torch.no_grad()
def _answer_all(network, processes, shape):
    device = network.device
    while count := _send(END, device):
        x = torch.empty(count, *shape, device=device)
        sigma = torch.empty(count, device=device)
        rows = torch.empty(count, dtype=torch.int64, device=device)
        for tensor in (x, sigma, rows):
            dist.broadcast(tensor, src=0)
        _answer(network, processes, x, sigma, rows)


def _send(count, device):
    """The main process's count, in every process."""
    told = torch.tensor([count], device=device)
    dist.broadcast(told, src=0)
    return told.item()


def _answer(network, processes, x, sigma, rows):
    """The estimates of the whole batch, each process having computed as many."""
    count = len(x)
    size = -(-count // processes.of)
    # the last ones are computed twice where the processes do not divide the batch
    places = torch.arange(size * processes.of, device=x.device).clamp(max=count - 1)
    mine = places[processes.index * size : (processes.index + 1) * size]
    part = network.denoise(x[mine], sigma[mine], rows[mine]).contiguous()
    parts = [torch.empty_like(part) for _ in range(processes.of)]
    dist.all_gather(parts, part)
    return torch.cat(parts)[:count]

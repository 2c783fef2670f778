"""How long an iteration takes and how much memory, from iterations that are thrown away."""

import time
from collections.abc import Callable
from typing import NamedTuple

import torch

from .plan import Memory
from .sizes import fixed_and_per_sample, lora_bytes
from .training import Training

# copies of a LoRA besides the one that is trained: its average and the best so far
COPIES = 2


class Gauge(NamedTuple):
    """Tells how much memory of a device is taken.

    Attributes:
        free: bytes, before anything is tried.
        restart: forget what was seen so far.
        peak: the most bytes taken since, above what was taken then.
    """

    free: int
    restart: Callable[[], None]
    peak: Callable[[], int]


def gauge_of(device, free: int) -> Gauge | None:
    """The gauge of a CUDA device; None for one that does not tell."""
    device = torch.device(device)
    if device.type != "cuda":
        return None
    before = 0

    def restart():
        nonlocal before
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)

    def peak():
        torch.cuda.synchronize(device)
        return torch.cuda.max_memory_allocated(device) - before

    return Gauge(free, restart, peak)


def timed(training: Training, gauge: Gauge | None) -> tuple[float, Memory | None]:
    """Seconds of an iteration, and the memory it takes where there is a gauge.

    Args:
        training: not the one that will run; two iterations of it are done, and one more sample by
            sample, which tells what a sample takes.
    """
    if gauge:
        gauge.restart()
    # the first also pays for what is done once
    training.step()
    began = time.perf_counter()
    training.step()
    if gauge is None:
        return time.perf_counter() - began, None
    peak = gauge.peak()
    return time.perf_counter() - began, _memory(training, gauge, peak)


def _memory(training, gauge, peak):
    options, share, student = training.options, training.share, training.method.student
    batch = options.batch // share.of
    at_once = batch // options.accumulation
    fixed, per_sample = peak, 0
    if at_once > 1:
        one_by_one = Training(training.method, options._replace(accumulation=batch), share)
        gauge.restart()
        one_by_one.step()
        fixed, per_sample = fixed_and_per_sample((1, min(gauge.peak(), peak)), (at_once, peak))
    shapes = [(len(up), *down.shape[1:]) for up, down in zip(student.up, student.down, strict=True)]
    return Memory(
        there=gauge.free,
        fixed=fixed,
        per_sample=per_sample,
        batch=batch,
        accumulation=options.accumulation,
        rank=student.rank,
        per_rank=lora_bytes(shapes, 1, options.optimizer, COPIES),
    )

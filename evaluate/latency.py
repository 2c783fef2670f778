"""How long a picture takes: warmed up, by turns, with the device waited for."""

import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch


class Device(NamedTuple):
    """What must be asked of a device around a run.

    Attributes:
        synchronize: waits until all that was asked for is done.
        forget: begins to watch memory anew.
        peak: bytes that were in use at once since then; None where nobody counts them.
    """

    synchronize: Callable[[], None] = lambda: None
    forget: Callable[[], None] = lambda: None
    peak: Callable[[], int | None] = lambda: None


class Latency(NamedTuple):
    """Of all runs of one way to make a picture.

    Attributes:
        median, late: seconds, of half and of 95 % of the runs at most.
        ratio: how many times as fast as the first way, by the medians of both.
        passes: of the network, in one run.
        peak: bytes; None where nobody counts them.
    """

    median: float
    late: float
    ratio: float
    passes: int
    peak: int | None


def device_of(device: torch.device) -> Device:
    """What torch can be asked of a device; a CPU does all at once and does not count memory."""
    if device.type == "cuda":
        return Device(
            lambda: torch.cuda.synchronize(device),
            lambda: torch.cuda.reset_peak_memory_stats(device),
            lambda: torch.cuda.max_memory_allocated(device),
        )
    if device.type == "mps":
        return Device(torch.mps.synchronize)
    return Device()


def by_turns(
    ways: Mapping[str, Callable[[], int]],
    *,
    runs: int,
    warm_up: int = 2,
    device: Device | None = None,
    clock: Callable[[], float] = time.perf_counter,
    prepare: Callable[[str], None] = lambda name: None,
    on_run: Callable[[], None] = lambda: None,
) -> dict[str, Latency]:
    """Time each way in turns, so that a machine that grows slower is slow for all.

    Args:
        ways: by name, makes a picture and returns the passes that it took; the first is what the
            others are compared with.
        runs: of each that are timed, after warm_up that are not.
        prepare: called with a way's name before each of its runs, such as to load its model; it is
            not timed.
        on_run: called after each run, timed or not.

    Raises:
        ValueError: there is no way, or too few runs.
    """
    if not ways or runs < 1:
        raise ValueError(f"runs is {runs} of {len(ways)} ways; it takes one or more of each.")
    device, seconds = device or Device(), {name: [] for name in ways}
    passes, peaks, names = {}, {}, list(ways)
    for turn in range(-warm_up, runs):
        shift = turn % len(names)
        for name in names[shift:] + names[:shift]:
            prepare(name)
            device.synchronize()
            device.forget()
            begin = clock()
            passes[name] = ways[name]()
            device.synchronize()
            took = clock() - begin
            if turn >= 0:
                seconds[name].append(took)
            peaks[name] = device.peak()
            on_run()
    measured = {name: _quantiles(found) for name, found in seconds.items()}
    first = measured[names[0]][0]
    return {
        name: Latency(median, late, first / median, passes[name], peaks[name])
        for name, (median, late) in measured.items()
    }


def _quantiles(seconds):
    of = torch.tensor(seconds, dtype=torch.float64)
    return torch.quantile(of, torch.tensor([0.5, 0.95], dtype=torch.float64)).tolist()

import math

import pytest
import torch

from fewstep.evaluate.latency import Device, Latency, by_turns, device_of


class Machine:
    """A clock that only work moves, and a device that must be waited for."""

    def __init__(self):
        self.now, self.pending, self.log, self.used = 0.0, 0.0, [], 0

    def way(self, name, *seconds, passes=1, memory=0):
        """Work that takes these seconds in turn, the last of them from then on."""
        left = list(seconds)

        def run():
            self.log.append(name)
            self.pending += left.pop(0) if len(left) > 1 else left[0]
            self.used = max(self.used, memory)
            return passes

        return run

    def wait(self):
        self.now, self.pending = self.now + self.pending, 0.0

    def forget(self):
        self.used = 0

    def times(self, ways, **options):
        device = Device(self.wait, self.forget, lambda: self.used)
        return by_turns(ways, device=device, clock=lambda: self.now, **options)


def test_the_first_runs_are_not_timed_and_work_is_waited_for():
    machine = Machine()
    ways = {
        "slow": machine.way("slow", 100.0, 100.0, 4.0, passes=48),
        "fast": machine.way("fast", 0.5),
    }
    found = machine.times(ways, runs=3)
    assert found == {"slow": Latency(4.0, 4.0, 1.0, 48, 0), "fast": Latency(0.5, 0.5, 8.0, 1, 0)}


def test_median_and_95th_percentile_are_those_of_the_timed_runs():
    machine = Machine()
    seconds = [9.0] + [float(k) for k in range(1, 22)]
    found = machine.times({"a": machine.way("a", *seconds)}, runs=21, warm_up=1)["a"]
    # of 1 to 21 the 11th, and the 20th
    assert found.median == 11.0 and found.late == pytest.approx(20.0)


def test_ways_take_turns_and_none_is_always_first():
    machine = Machine()
    ways = {name: machine.way(name, 1.0) for name in "abc"}
    counted = []
    machine.times(ways, runs=3, warm_up=0, on_run=lambda: counted.append(1))
    assert machine.log == list("abc" + "bca" + "cab") and len(counted) == 9


def test_what_prepares_a_run_is_not_timed():
    machine, prepared = Machine(), []

    def prepare(name):
        prepared.append(name)
        machine.pending += 7.0

    ways = {name: machine.way(name, 1.0) for name in "ab"}
    found = machine.times(ways, runs=2, warm_up=1, prepare=prepare)
    assert prepared == machine.log and {of.median for of in found.values()} == {1.0}


def test_a_machine_that_grows_slower_is_slow_for_all():
    machine = Machine()
    ways = {
        name: machine.way(name, *(factor * 1.1**turn for turn in range(40)))
        for name, factor in (("slow", 4.0), ("fast", 1.0))
    }
    found = machine.times(ways, runs=20)
    assert found["fast"].ratio == pytest.approx(4.0)


def test_memory_is_the_peak_of_one_run_alone():
    machine = Machine()
    ways = {
        "large": machine.way("large", 1.0, memory=9),
        "small": machine.way("small", 1.0, memory=2),
    }
    found = machine.times(ways, runs=2)
    assert (found["large"].peak, found["small"].peak) == (9, 2)


def test_a_cpu_counts_no_memory_and_its_clock_is_a_real_one():
    device = device_of(torch.device("cpu"))
    assert device.peak() is None
    (found,) = by_turns({"a": lambda: 3}, runs=2, device=device).values()
    assert 0 < found.median <= found.late < 1 and math.isclose(found.ratio, 1) and found.passes == 3


@pytest.mark.gpu
def test_a_gpu_is_waited_for_and_counts_memory():
    device = device_of(torch.device("cuda", 0))
    x = torch.randn(4096, 4096, device="cuda")
    ways = {"many": lambda: [x @ x for _ in range(20)] and 20, "one": lambda: x @ x is None or 1}
    found = by_turns(ways, runs=5, device=device)
    assert 10 < found["one"].ratio < 30 and found["many"].peak > found["one"].peak > x.numel() * 4


@pytest.mark.parametrize(("ways", "runs"), [({}, 3), ({"a": lambda: 1}, 0)])
def test_nothing_to_time_is_refused(ways, runs):
    with pytest.raises(ValueError, match=f"runs is {runs} of {len(ways)} ways"):
        by_turns(ways, runs=runs)

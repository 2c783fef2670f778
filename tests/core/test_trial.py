import time

import pytest
from small_setting import small_setting

from fewstep.diffusion.process import VE
from fewstep.distill.methods import match_segments
from fewstep.distill.plan import Disk, Plan, as_text, check
from fewstep.distill.training import Options, Training
from fewstep.distill.trial import Gauge, gauge_of, timed

FIXED, EACH = 10_000, 700


@pytest.fixture
def setting(tmp_path):
    return small_setting(VE, tmp_path)


class Device:
    """Memory of a fixed size and so much for each sample at a time, as its passes show."""

    def __init__(self, network, free=100_000):
        self.network, self.gauge = network, Gauge(free, network.passes.clear, self.peak)

    def peak(self):
        return FIXED + EACH * max(count for count, _ in self.network.passes)


def trial(setting, **options):
    return Training(match_segments(setting, 2), Options(iterations=10, **options))


@pytest.mark.parametrize(("batch", "accumulation"), [(8, 1), (8, 2), (6, 3)])
def test_what_a_sample_takes_is_told_from_one_at_a_time(setting, batch, accumulation):
    device = Device(setting.network)
    tried = trial(setting, batch=batch, accumulation=accumulation)
    seconds, memory = timed(tried, device.gauge)
    assert seconds > 0 and (memory.fixed, memory.per_sample) == (FIXED, EACH)
    assert memory.needed == FIXED + EACH * batch // accumulation
    assert (memory.there, memory.batch, memory.accumulation) == (100_000, batch, accumulation)
    check(plan_with(memory))


def plan_with(memory):
    return Plan(10, 1.0, memory, Disk(1, 1))


def test_a_single_sample_is_tried_once(setting):
    device = Device(setting.network)
    _, memory = timed(trial(setting, batch=1), device.gauge)
    assert (memory.fixed, memory.per_sample) == (FIXED + EACH, 0)


def test_noise_of_the_gauge_makes_no_sample_cheaper_than_nothing(setting):
    peaks = iter([5_000, 6_000])
    gauge = Gauge(9_000, lambda: None, lambda: next(peaks))
    _, memory = timed(trial(setting, batch=4), gauge)
    assert (memory.fixed, memory.per_sample) == (5_000, 0)


def test_too_little_memory_says_which_setting_would_fit(setting):
    device = Device(setting.network, free=FIXED + 3 * EACH)
    _, memory = timed(trial(setting, batch=8), device.gauge)
    with pytest.raises(ValueError, match="[Ss]et accumulation to 4, which trains the same"):
        check(plan_with(memory))


def test_a_rank_takes_its_weights_gradient_moments_and_copies(setting):
    _, memory = timed(trial(setting, batch=2), Device(setting.network).gauge)
    numbers = sum(p.numel() for p in match_segments(setting, 2).student.parameters())
    # float32: weight, average, best, gradient, two moments
    assert memory.rank == 2 and memory.rank * memory.per_rank == 4 * 6 * numbers


def test_a_device_that_does_not_tell_has_a_time_alone(setting):
    assert gauge_of("cpu", 0) is None
    seconds, memory = timed(trial(setting, batch=2), None)
    assert seconds > 0 and memory is None
    assert "memory" not in as_text(plan_with(None))


def test_the_second_iteration_is_timed_alone(setting):
    training = trial(setting, batch=2)
    (turn,) = training.method.turns
    calls = []

    def slow_at_first(batch):
        calls.append(batch)
        if len(calls) == 1:
            time.sleep(0.5)
        return turn.loss(batch)

    turns = (turn._replace(loss=slow_at_first),)
    training.method = training.method._replace(turns=turns)
    seconds, _ = timed(training, None)
    assert len(calls) == 2 and seconds < 0.4

"""A run's cache decides once a step, keeps conditions apart, and counts what it saves."""

import math

import pytest
import torch

from fewstep.cache.policy import ACCUMULATED, FIRST_BLOCK, FIXED, Policy
from fewstep.cache.reuse import Reuse

X = torch.zeros(2, 4, 8, 8)


def first_block(threshold=0.1, **others):
    return Reuse(Policy(FIRST_BLOCK, threshold, 9), 0, **others)


def step(reuse, sigma, signals, value=None, conditions=("a", "b"), x=X):
    """One call a step; signals are one number for each condition. Returns whether it reused."""
    reuse.begin(sigma)
    keys = reuse.keys(list(conditions), x)
    reused = reuse.judge(keys, torch.tensor(signals).repeat_interleave(len(x) // len(conditions)))
    if not reused:
        reuse.keep(keys, deep=torch.tensor(value or signals))
    reuse.count(keys, reused, 2 if reused else 9, 9)
    return reused


def test_a_step_is_compared_with_the_one_computed_last():
    reuse = first_block()
    # 1.00 computed, 1.06 and 1.09 near it, 1.12 further than 10 %, then near that
    signals = [1.00, 1.06, 1.09, 1.12, 1.20]
    assert [step(reuse, 9.0 - i, [s, s]) for i, s in enumerate(signals)] == [
        *(False, True, True, False, True),
    ]


def test_added_up_changes_are_compared_with_the_step_before():
    reuse = Reuse(Policy(ACCUMULATED, 0.1, 9), 0)
    # changes of 6, 2.8 and 2.7 %; the third sum is above 10 %
    signals = [1.00, 1.06, 1.09, 1.12]
    assert [step(reuse, 9.0 - i, [s, s]) for i, s in enumerate(signals)] == [
        *(False, True, True, False),
    ]


def test_conditions_get_back_their_own_in_any_order():
    reuse = first_block()
    step(reuse, 9.0, [1.0, 2.0], value=[10.0, 20.0])
    reuse.begin(8.0)
    keys = reuse.keys(["b", "a"], X)
    assert reuse.judge(keys, torch.tensor([2.0, 1.0]))
    assert reuse.recall(keys, "deep").tolist() == [20.0, 10.0]


def test_the_first_call_of_a_step_decides_for_all():
    reuse = first_block()
    for sigma, far in ((9.0, 0.0), (8.0, 5.0)):
        reuse.begin(sigma)
        decided = []
        for condition, signal in (("a", 1.0), ("b", 2.0 + far)):
            keys = reuse.keys([condition], X)
            decided.append(reuse.judge(keys, torch.full((2,), signal)))
            reuse.keep(keys, deep=torch.ones(2))
    # b alone has changed, and is reused with a
    assert decided == [True, True]


def test_a_condition_that_is_new_is_computed_where_the_others_are_reused():
    reuse = first_block()
    step(reuse, 9.0, [1.0], conditions=["a"], x=X[:1])
    reuse.begin(8.0)
    assert reuse.judge(reuse.keys(["a"], X[:1]), torch.ones(1))
    assert not reuse.judge(reuse.keys(["b"], X[:1]), torch.ones(1))


def test_the_same_condition_asked_twice_in_a_step_is_two():
    reuse = first_block()
    for sigma, reused in ((9.0, False), (8.0, True)):
        reuse.begin(sigma)
        for value in (1.0, 2.0):
            keys = reuse.keys(["a"], X[:1])
            assert reuse.judge(keys, torch.ones(1)) is reused
            if not reused:
                reuse.keep(keys, deep=torch.tensor([value]))
            assert reuse.recall(keys, "deep").item() == value


def test_another_shape_or_number_type_is_another_condition():
    for other in (torch.zeros(2, 4, 8, 6), X.half(), torch.zeros(4, 4, 8, 8)):
        reuse = first_block()
        step(reuse, 9.0, [1.0, 1.0])
        assert not step(reuse, 8.0, [1.0, 1.0], x=other)


def test_a_level_that_rises_begins_anew():
    reuse = first_block()
    step(reuse, 9.0, [1.0, 1.0])
    assert step(reuse, 8.0, [1.0, 1.0])
    assert not step(reuse, 8.5, [1.0, 1.0])
    # heun asks twice at a level
    assert step(reuse, 8.5, [1.0, 1.0])


def test_steps_outside_the_levels_are_computed():
    reuse = first_block(start=8.0, end=6.0)
    sigmas = [10.0, 9.0, 8.0, 7.0, 6.0, 5.0]
    assert [step(reuse, sigma, [1.0, 1.0]) for sigma in sigmas] == [
        *(False, False, True, True, True, False),
    ]


def test_a_fixed_policy_needs_no_signal():
    reuse, decided = Reuse(Policy(FIXED, 0.0, 2), 0), []
    for i in range(6):
        reuse.begin(9.0 - i)
        keys = reuse.keys(["a"], X)
        decided.append(reuse.decide(keys))
        if not decided[-1]:
            reuse.keep(keys, deep=torch.ones(2))
    assert decided == [False, True, True] * 2


def test_a_change_that_is_not_known_is_not_small():
    reuse = Reuse(Policy(FIRST_BLOCK, 1e9, 9), 0)
    step(reuse, 9.0, [1.0, 1.0])
    reuse.begin(8.0)
    assert not reuse.decide(reuse.keys(["a", "b"], X), math.inf)


def test_passes_and_blocks_are_counted():
    reuse = first_block()
    for i in range(4):
        step(reuse, 9.0 - i, [1.0, 1.0])
    tally = reuse.tally
    assert tally == (2, 6, 2 * 9 + 6 * 2, 8 * 9) and tally.passes == 8
    assert tally.passes_saved == pytest.approx(8 * (1 - 30 / 72))


def test_a_run_of_no_calls_has_saved_nothing():
    assert first_block().tally.passes_saved == 0.0

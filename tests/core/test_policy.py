"""A step is reused where little has changed, and never twice as often as allowed."""

import math

import pytest
import torch

from fewstep.cache.policy import (
    ACCUMULATED,
    FIRST_BLOCK,
    FIXED,
    KINDS,
    WHOLE_STEP,
    Gate,
    Policy,
    check_policy,
    relative_change,
)

SUMMING = (ACCUMULATED, WHOLE_STEP)


def opened(policy, changes):
    gate = Gate(policy)
    return [gate.opens(change) for change in changes]


def test_relative_change_is_the_sum_of_differences_over_the_sum_before():
    now = [torch.tensor([1.0, -2.0]), torch.tensor([3.0])]
    before = [torch.tensor([2.0, -2.0]), torch.tensor([1.0])]
    assert relative_change(now, before) == 3.0 / 5.0
    assert relative_change([torch.zeros(2)], [torch.zeros(2)]) == 0.0
    assert relative_change([torch.ones(2)], [torch.zeros(2)]) == math.inf


def test_relative_change_adds_up_half_precision_without_overflow():
    now, before = torch.full((4000,), 60.0).half(), torch.full((4000,), 40.0).half()
    assert relative_change([now], [before]) == 0.5


def test_the_first_block_looks_at_each_change_alone():
    policy = Policy(FIRST_BLOCK, 0.1, 9)
    changes = [0.09, 0.09, 0.1, 0.11, 0.0]
    assert opened(policy, changes) == [True, True, False, False, True]


@pytest.mark.parametrize("kind", SUMMING)
def test_changes_are_added_up_until_a_step_is_computed(kind):
    # sums: .04 .08 | .12 computed | .04 .08 | .12 computed
    assert opened(Policy(kind, 0.1, 9), [0.04] * 6) == [True, True, False] * 2


@pytest.mark.parametrize("kind", KINDS)
def test_no_more_steps_in_a_row_are_reused_than_allowed(kind):
    assert opened(Policy(kind, 1.0, 2), [1e-6] * 6) == [True, True, False] * 2


@pytest.mark.parametrize("kind", KINDS)
def test_0_skips_reuse_nothing(kind):
    assert not any(opened(Policy(kind, 1.0, 0), [0.0] * 4))


@pytest.mark.parametrize("kind", [FIRST_BLOCK, *SUMMING])
def test_threshold_0_reuses_nothing_even_where_nothing_changes(kind):
    assert not any(opened(Policy(kind, 0.0, 9), [0.0] * 4))


def test_fixed_looks_at_no_change():
    assert opened(Policy(FIXED, 0.0, 1), [math.inf] * 4) == [True, False] * 2


def test_what_is_not_known_is_not_small():
    assert opened(Policy(FIRST_BLOCK, 1e9, 9), [math.inf]) == [False]


def test_the_polynomial_is_that_of_its_coefficients():
    # 1 x^4 + 2 x^3 + 3 x^2 + 4 x + 5 at 2 is 16 + 16 + 12 + 8 + 5 = 57
    for threshold, opens in ((57.0, False), (57.001, True)):
        policy = Policy(ACCUMULATED, threshold, 9, (1.0, 2.0, 3.0, 4.0, 5.0))
        assert opened(policy, [2.0]) == [opens]


def test_a_step_computed_for_another_reason_starts_the_sum_anew():
    gate = Gate(Policy(ACCUMULATED, 0.1, 9))
    assert gate.opens(0.09)
    gate.computed()
    assert gate.opens(0.09)


@pytest.mark.parametrize("value", [-0.1, math.nan, math.inf])
def test_a_threshold_that_is_no_change_is_refused(value):
    with pytest.raises(ValueError, match="threshold is .*; allowed is a number from 0"):
        check_policy(Policy(FIRST_BLOCK, value, 3))


def test_other_bad_values_are_refused():
    five = (1.0,) * 5
    for policy, message in (
        (Policy("magic", 0.1, 3), "policy is 'magic'; allowed is one of first block, "),
        (Policy(FIRST_BLOCK, 0.1, -1), "max_skips is -1; allowed is 0"),
        (Policy(FIRST_BLOCK, 0.1, 3, five), "they go with 'accumulated change' only"),
        (
            Policy(ACCUMULATED, 0.1, 3, five[:4]),
            "coefficients are 4 numbers; allowed are none or 5",
        ),
        (Policy(ACCUMULATED, 0.1, 3, (*five[:4], math.nan)), "coefficients have nan"),
    ):
        with pytest.raises(ValueError, match=message):
            check_policy(policy)
    check_policy(Policy(ACCUMULATED, 0.1, 3, five))

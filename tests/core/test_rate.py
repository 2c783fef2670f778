"""The ratio of output to input changes foretells the next change where it is constant."""

import math

import pytest
import torch

from fewstep.cache.rate import Rate

KEYS = ["a", "b"]


def linear(x):
    return 3.0 * x + 1.0


def test_a_linear_network_is_foretold_exactly():
    rate, x = Rate(), torch.tensor([[1.0, 2.0], [3.0, 5.0]])
    assert rate.change(KEYS, x) == math.inf
    rate.computed(KEYS, linear(x))
    # one change is needed to learn the ratio
    assert rate.change(KEYS, x + 0.5) == math.inf
    rate.computed(KEYS, linear(x + 0.5))
    size = linear(x + 0.5).abs().sum().item()
    assert rate.change(KEYS, x + 0.7) == pytest.approx(3.0 * 0.2 * 4 / size)
    # not computed: the input has moved on, the output that is known has not
    assert rate.change(KEYS, x + 0.8) == pytest.approx(3.0 * 0.1 * 4 / size)


def test_a_condition_not_seen_before_is_not_foretold():
    rate, x = Rate(), torch.ones(1, 2)
    for i in range(3):
        rate.change(["a"], x + i)
        rate.computed(["a"], linear(x + i))
    assert rate.change(["b"], x) == math.inf


def test_an_input_that_stands_still_teaches_nothing():
    rate, x = Rate(), torch.ones(1, 2)
    for _ in range(2):
        rate.change(["a"], x)
        rate.computed(["a"], linear(x))
    assert rate.change(["a"], x + 1) == math.inf


def test_an_output_of_0_is_not_divided_by():
    rate, x = Rate(), torch.ones(1, 2)
    for i in range(2):
        rate.change(["a"], x + i)
        rate.computed(["a"], torch.zeros(1, 2))
    assert rate.change(["a"], x + 5) == math.inf

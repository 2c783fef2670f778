"""A forecast continues polynomials exactly, and never hands out what is kept."""

import pytest
import torch

from fewstep.cache.forecast import ORDERS, forecast
from fewstep.cache.memory import Memory


def polynomial(coefficients, t):
    return sum(c * t**power for power, c in enumerate(coefficients))


@pytest.mark.parametrize("degree", [0, 1, 2, 3])
@pytest.mark.parametrize("places", [(0, 1, 2, 3), (1, 2, 5, 11)])
def test_a_polynomial_of_lower_degree_than_values_is_continued_exactly(degree, places):
    generator = torch.Generator().manual_seed(degree)
    coefficients = torch.randn(degree + 1, 3, generator=generator, dtype=torch.float64)
    known = [(t, polynomial(coefficients, t)) for t in places[: degree + 1]]
    for at in (places[-1] + 1, places[-1] + 4):
        torch.testing.assert_close(forecast(known, at), polynomial(coefficients, at))


def test_a_line_through_two_values():
    known = [(2, torch.tensor([1.0])), (4, torch.tensor([5.0]))]
    assert forecast(known, 5).tolist() == [7.0]


def test_one_value_is_used_again_as_a_tensor_of_its_own():
    kept = torch.ones(2)
    made = forecast([(3, kept)], 9)
    made += 1
    assert kept.tolist() == [1.0, 1.0]


def test_two_values_are_not_changed_either():
    known = [(0, torch.zeros(1)), (1, torch.ones(1))]
    forecast(known, 2).add_(5)
    assert [value.item() for _, value in known] == [0.0, 1.0]


def test_the_number_type_stays():
    known = [(0, torch.zeros(2).half()), (1, torch.ones(2).half())]
    assert forecast(known, 2).dtype == torch.float16


def test_memory_keeps_as_many_values_as_its_order_needs():
    for name, order in ORDERS.items():
        memory = Memory(order)
        for step in range(4):
            memory.keep("a", step, torch.tensor([float(step**2)]))
        expected = {"reuse": 9.0, "taylor": 14.0}[name]
        assert memory.recall("a", 4).item() == expected
        assert memory.last("a").item() == 9.0


def test_a_step_kept_twice_counts_once():
    memory = Memory(1)
    for step, value in ((0, 0.0), (1, 7.0), (1, 1.0)):
        memory.keep("a", step, torch.tensor([value]))
    assert memory.recall("a", 2).item() == 2.0


def test_nothing_is_left_after_forgetting():
    memory = Memory(0)
    memory.keep("a", 0, torch.ones(1))
    assert memory.has(["a"]) and not memory.has(["a", "b"])
    memory.forget()
    assert not memory.has(["a"])

"""Merging a LoRA and taking it out again."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fewstep.lora.delta import FLOATS
from fewstep.lora.layers import Layer
from fewstep.lora.merge import Merged, merge, unmerge

quick = settings(derandomize=True, deadline=None, max_examples=150)
HALF = torch.tensor([[0.5]])
ONE = Layer(down=torch.ones(1, 1), up=torch.ones(1, 1))


def bits(tensor):
    return tensor.contiguous().view(torch.uint8).tolist()


def same_bits(a, b):
    return a.keys() == b.keys() and all(
        a[name].dtype == b[name].dtype and bits(a[name]) == bits(b[name]) for name in a
    )


@pytest.mark.parametrize(
    ("strength", "expected"), [(1.0, 1.5), (0.25, 0.75), (0.0, 0.5), (-1.0, -0.5)]
)
def test_strength_times_the_change_is_added(strength, expected):
    merged = merge({"a.weight": HALF}, {"a": ONE}, strength)
    assert merged.weights["a.weight"].item() == expected


def test_a_bias_gets_its_difference_and_other_weights_stay_the_same_tensors():
    weights = {"a.weight": HALF, "a.bias": torch.tensor([1.0]), "b.weight": HALF}
    merged = merge(weights, {"a": Layer(diff_b=torch.tensor([2.0]))}, 0.5).weights
    assert merged["a.bias"].item() == 2.0
    assert merged["a.weight"] is HALF and merged["b.weight"] is HALF
    both = merge(weights, {"a": ONE._replace(diff_b=torch.tensor([2.0]))})
    assert both.remainder.keys() == {"a.weight", "a.bias"}
    assert (both.weights["a.weight"].item(), both.weights["a.bias"].item()) == (1.5, 3.0)


def test_the_sum_is_rounded_once_to_the_weights_own_dtype():
    # float16 goes from 1 to 1 + 2 ** -10; the change is a little above half of that step, which
    # float16 cannot say of the change alone
    weights = {"a.weight": torch.ones(1, 1, dtype=torch.float16)}
    layer = Layer(down=torch.full((1, 1), 2**-12 + 2**-24), up=torch.ones(1, 1))
    found = merge(weights, {"a": layer}, 2.0).weights["a.weight"]
    assert found.dtype == torch.float16 and found.item() == 1 + 1 / 1024


def test_arguments_are_not_changed():
    weights, layer = {"a.weight": HALF.clone()}, ONE._replace(alpha=2.0)
    merged = merge(weights, {"a": layer})
    unmerge(merged, {"a": layer})
    assert weights["a.weight"].item() == 0.5 and layer.down.item() == 1
    assert merged.weights["a.weight"].item() == 2.5


@pytest.mark.parametrize(
    ("weight", "change", "ulps"),
    [
        (0.5, 1.0, 0),
        # 0.25 is lost beside 2 ** 24, and 0x3E800000 are its bits
        (0.25, 2.0**24, 0x3E800000),
        # 0.1 is 0x3DCCCCCD, and 0.1 + 1 - 1 is 0x3DCCCCD0
        (0.1, 1.0, -3),
        (-0.1, -1.0, 3),
        # 0 and -0 are neighbours
        (-0.0, 1.0, -1),
    ],
)
def test_the_remainder_counts_floats_between_what_was_and_what_comes_back(weight, change, ulps):
    layer = Layer(down=torch.full((1, 1), change), up=torch.ones(1, 1))
    weights = {"a.weight": torch.full((1, 1), weight)}
    merged = merge(weights, {"a": layer})
    assert merged.remainder["a.weight"].item() == ulps
    assert same_bits(unmerge(merged, {"a": layer}), weights)


def test_a_remainder_is_as_narrow_as_it_can_be():
    def remainder(weight, change):
        layer = Layer(down=torch.full((1, 1), change), up=torch.ones(1, 1))
        return merge({"a.weight": torch.full((1, 1), weight)}, {"a": layer}).remainder["a.weight"]

    assert remainder(0.1, 1.0).dtype == torch.int8
    # 0.1 keeps 9 of its 24 bits beside 4096, so up to 2 ** 14 floats are between
    assert remainder(0.1, 4096.0).dtype == torch.int16
    assert remainder(0.25, 2.0**24).dtype == torch.int32


def finite(dtype):
    """Every finite number of a dtype, zeros of both signs and subnormals among them."""
    width = torch.finfo(dtype).bits
    # bits of half of the largest, so that a sum stays within
    exponents = {torch.float16: 0x7800, torch.bfloat16: 0x7F00, torch.float32: 0x7F000000}
    top = exponents.get(dtype, 0x7FD0000000000000)
    numbers = st.integers(0, top - 1)
    signed = st.tuples(numbers, st.booleans()).map(lambda x: x[0] - x[1] * 2 ** (width - 1))
    integer = {16: torch.int16, 32: torch.int32, 64: torch.int64}[width]
    rows = st.lists(signed, min_size=6, max_size=6)
    return rows.map(lambda row: torch.tensor(row, dtype=integer).view(dtype).view(2, 3))


@st.composite
def cases(draw):
    dtype = draw(st.sampled_from(FLOATS))
    weights = {"a.weight": draw(finite(dtype)), "b.weight": draw(finite(dtype))}
    loras = []
    for _ in range(2):
        size = 10.0 ** draw(st.integers(-6, 1))
        numbers = st.floats(-1, 1, width=16).map(lambda x, size=size: x * size)
        row = st.lists(numbers, min_size=5, max_size=5).map(torch.tensor)
        drawn = draw(row)
        pair = Layer(down=drawn[None, :3], up=drawn[3:, None], alpha=draw(st.floats(-2, 2)))
        loras.append({"a": pair, "b": Layer(diff=drawn[:3].expand(2, 3))})
    return weights, loras, draw(st.floats(-4, 4))


@quick
@given(cases())
def test_unmerging_gives_back_every_bit_of_every_dtype(case):
    weights, (first, second), strength = case
    once = merge(weights, first, strength)
    assert same_bits(unmerge(once, first, strength), weights)
    twice = merge(once.weights, second, -strength)
    between = unmerge(twice, second, -strength)
    assert same_bits(between, once.weights)
    assert same_bits(unmerge(once._replace(weights=between), first, strength), weights)


@pytest.mark.parametrize("dtype", FLOATS)
def test_dora_too_is_unmerged_to_the_last_bit(dtype):
    generator = torch.Generator().manual_seed(0)
    down, up, weight = (torch.randn(s, generator=generator) for s in ((2, 8), (6, 2), (6, 8)))
    layer = {"a": Layer(down, up, dora_scale=torch.rand(6, 1, generator=generator) * 3)}
    weights = {"a.weight": weight.to(dtype)}
    merged = merge(weights, layer, 0.7)
    assert (merged.weights["a.weight"] - weights["a.weight"]).abs().max() > 0.5
    assert same_bits(unmerge(merged, layer, 0.7), weights)


NAN = Layer(down=torch.full((1, 1), torch.nan), up=torch.ones(1, 1))


@pytest.mark.parametrize(
    ("lora", "strength", "match"),
    [
        ({"a": ONE}, math.nan, "strength is nan; allowed is a finite number"),
        ({"a": ONE}, math.inf, "strength is inf; allowed is a finite number"),
        ({"b": ONE}, 1.0, "the LoRA changes 'b.weight', which the network does not have"),
        ({"a": Layer(diff_b=torch.ones(1))}, 1.0, "the LoRA changes 'a.bias', which the network"),
        ({"a": NAN}, 1.0, "down of the LoRA's layer for a.weight has 1 values that are NaN"),
        ({"a": Layer(diff=torch.ones(2, 2))}, 1.0, r"a.weight is \[1, 1\], and the LoRA changes"),
        ({"a": Layer(others={"up_bias": torch.ones(1)})}, 1.0, "layer for a.weight has up_bias"),
        ({"a": ONE}, 1e5, "a.weight has NaN or infinity once merged at strength 100000: .*float16"),
    ],
)
def test_what_cannot_be_merged_is_refused(lora, strength, match):
    with pytest.raises(ValueError, match=match):
        merge({"a.weight": HALF.half()}, lora, strength)


def test_every_layer_is_checked_before_the_first_is_merged():
    weights = {"a.weight": HALF.half(), "b.weight": HALF}
    with pytest.raises(ValueError, match="b.weight is"):
        merge(weights, {"a": ONE, "b": Layer(diff=torch.ones(2, 2))}, 1e5)


def test_unmerging_another_lora_than_was_merged_is_refused():
    weights = {"a.weight": HALF, "b.weight": HALF}
    merged = merge(weights, {"a": ONE})
    with pytest.raises(ValueError, match="remainder has 1 weights, and the LoRA changes 2 "):
        unmerge(merged, {"a": ONE, "b": ONE})
    wide = Merged(weights, {"a.weight": torch.zeros(2, 2, dtype=torch.int8)})
    with pytest.raises(ValueError, match="it is of another merge"):
        unmerge(wide, {"a": ONE})

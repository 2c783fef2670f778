"""A LoRA extracted from two networks, against matrices whose singular values are known."""

import math

import pytest
import torch

from fewstep.lora.extract import extract
from fewstep.lora.merge import merge

DOUBLE = torch.float64


def draw(*shape, seed=0, dtype=torch.float32):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def with_singular_values(values, out=7, width=5):
    u, _ = torch.linalg.qr(draw(out, len(values), seed=1, dtype=DOUBLE))
    v, _ = torch.linalg.qr(draw(width, len(values), seed=2, dtype=DOUBLE))
    return u @ torch.diag(torch.tensor(values, dtype=DOUBLE)) @ v.T


def product(layer):
    return (layer.up.flatten(1) @ layer.down.flatten(1)).view(len(layer.up), *layer.down.shape[1:])


def extract_one(difference, **choice):
    weights = {"a.weight": torch.zeros_like(difference)}
    layers, kept = extract({"a.weight": difference}, weights, **choice)
    return layers["a"], kept["a"]


def test_the_error_is_that_of_the_singular_values_left_out():
    difference = with_singular_values([4.0, 3.0, 2.0, 1.0])
    layer, kept = extract_one(difference, rank=2)
    assert (layer.rank, layer.alpha, kept.rank) == (2, 2.0, 2)
    assert torch.linalg.norm(difference - product(layer)).item() == pytest.approx(math.sqrt(5))
    # 16 + 9 of 16 + 9 + 4 + 1
    assert kept.energy == pytest.approx(25 / 30)


@pytest.mark.parametrize(
    ("energy", "rank"), [(0.01, 1), (16 / 30 - 1e-9, 1), (16 / 30 + 1e-9, 2), (0.9, 3), (1.0, 4)]
)
def test_energy_gives_the_lowest_rank_that_holds_it(energy, rank):
    difference = with_singular_values([4.0, 3.0, 2.0, 1.0], width=4)
    layer, kept = extract_one(difference, energy=energy)
    assert layer.rank == kept.rank == rank and kept.energy >= energy - 1e-12


def test_both_factors_carry_the_square_roots_of_the_singular_values():
    layer, _ = extract_one(with_singular_values([4.0, 3.0, 2.0]), rank=2)
    roots = torch.tensor([2.0, math.sqrt(3.0)], dtype=DOUBLE)
    torch.testing.assert_close(layer.up.norm(dim=0), roots)
    torch.testing.assert_close(layer.down.norm(dim=1), roots)


def two_networks(dtype=torch.float32):
    shapes = {
        "conv.weight": (6, 4, 3, 3),
        "conv.bias": (6,),
        "block.0.to_q.weight": (12, 8),
        "norm.weight": (8,),
        "norm.bias": (8,),
        "still.weight": (5, 5),
    }
    base = {name: draw(*shape, seed=i).to(dtype) for i, (name, shape) in enumerate(shapes.items())}
    moved = {name: 0.1 * draw(*w.shape, seed=9).to(dtype) for name, w in base.items()}
    distilled = {name: base[name] + moved[name] for name in base} | {
        "still.weight": base["still.weight"]
    }
    count = {"norm.num_batches_tracked": torch.tensor(3)}
    return distilled | count, base | count


@pytest.mark.parametrize(("dtype", "bound"), [(torch.float32, 1e-6), (DOUBLE, 1e-14)])
def test_all_ranks_merged_again_give_the_distilled_network(dtype, bound):
    distilled, base = two_networks(dtype)
    merged = merge(base, extract(distilled, base, rank=1000).layers).weights
    for name, weight in distilled.items():
        off = (merged[name] - weight).double().norm() / weight.double().norm()
        assert off <= bound, name


def test_layers_are_written_as_loras_of_their_modules_are():
    layers, kept = extract(*two_networks(), rank=2)
    assert layers.keys() == {"conv", "block.0.to_q", "norm"}
    assert kept.keys() == {"conv", "block.0.to_q"}
    conv, norm = layers["conv"], layers["norm"]
    assert conv.down.shape == (2, 4, 3, 3) and conv.up.shape == (6, 2, 1, 1)
    assert conv.diff_b.shape == (6,) and conv.diff is None
    assert norm.down is None and norm.diff.shape == norm.diff_b.shape == (8,)


def test_a_layer_smaller_than_the_rank_gets_all_it_has():
    layer, kept = extract_one(draw(3, 9), rank=8)
    assert layer.rank == 3 and layer.alpha == 3.0 and kept == (3, 1.0)


def test_half_precision_networks_are_subtracted_in_float32():
    # 1 + 2 ** -10 and 2 ** -24 differ by a number that float16 does not have
    distilled = {"a.weight": torch.full((1, 1), 1 + 2**-10, dtype=torch.float16)}
    base = {"a.weight": torch.full((1, 1), 2**-24, dtype=torch.float16)}
    layer = extract(distilled, base, rank=1).layers["a"]
    assert layer.down.dtype == torch.float32
    assert product(layer).item() == pytest.approx(1 + 2**-10 - 2**-24, rel=1e-7)


def test_each_layer_is_announced():
    told = []
    extract(*two_networks(), rank=1, on_layer=told.append)
    assert told == ["conv", "conv", "block.0.to_q", "norm", "norm"]


@pytest.mark.parametrize(
    ("choice", "match"),
    [
        ({}, "rank is None and energy is None; give exactly one"),
        ({"rank": 4, "energy": 0.9}, "rank is 4 and energy is 0.9; give exactly one"),
        ({"rank": 0}, "rank is 0; allowed is 1 or more"),
        ({"energy": 0.0}, "energy is 0.0; allowed is above 0 and up to 1"),
        ({"energy": 1.1}, "energy is 1.1; allowed is above 0"),
        ({"energy": math.nan}, "energy is nan; allowed is above 0"),
    ],
)
def test_how_much_to_keep_is_said_once_and_within_range(choice, match):
    with pytest.raises(ValueError, match=match):
        extract({}, {}, **choice)


@pytest.mark.parametrize(
    ("distilled", "base", "match"),
    [
        ({"a": torch.ones(1), "b": torch.ones(1)}, {"a": torch.ones(1)}, "1 weights are in .*: b;"),
        ({}, {"a": torch.ones(1)}, "1 weights are in one of the two networks alone: a;"),
        (
            {"a.weight": torch.ones(2, 2)},
            {"a.weight": torch.ones(2, 3)},
            r"a.weight is \[2, 2\] in the distilled network and \[2, 3\] in the base",
        ),
        (
            {"a.weight": torch.tensor([[math.nan, 1.0]])},
            {"a.weight": torch.ones(1, 2)},
            "a.weight of the distilled network has 1 values that are NaN or infinite, of 2",
        ),
        (
            {"a.weight": torch.ones(1, 2)},
            {"a.weight": torch.tensor([[math.inf, -math.inf]])},
            "a.weight of the base has 2 values that are NaN or infinite, of 2",
        ),
        (
            {"class_embedding": torch.ones(2)},
            {"class_embedding": torch.zeros(2)},
            "class_embedding, float32, differs between the networks",
        ),
        (
            {"a.weight": torch.ones(2, dtype=torch.int8)},
            {"a.weight": torch.zeros(2, dtype=torch.int8)},
            "a.weight, int8, differs between the networks; a LoRA holds weights",
        ),
    ],
)
def test_networks_that_no_lora_lies_between_are_refused(distilled, base, match):
    with pytest.raises(ValueError, match=match):
        extract(distilled, base, rank=1)

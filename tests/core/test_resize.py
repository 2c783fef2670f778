"""A LoRA at a lower rank, against the singular values of the whole product."""

import math

import pytest
import torch

from fewstep.lora.delta import delta
from fewstep.lora.layers import Layer
from fewstep.lora.resize import resize


def draw(*shape, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)), dtype=dtype)


def change(layer, shape):
    return delta(layer, torch.zeros(shape, dtype=torch.float64))


LAYERS = {
    "wide": (Layer(draw(6, 10), draw(8, 6), alpha=3.0), (8, 10)),
    "rank above the width": (Layer(draw(6, 3), draw(4, 6), alpha=3.0), (4, 3)),
    "kernel": (Layer(draw(6, 4, 3, 3), draw(8, 6, 1, 1), alpha=-2.0), (8, 4, 3, 3)),
    "no alpha": (Layer(draw(6, 10), draw(8, 6)), (8, 10)),
}


@pytest.mark.parametrize("name", LAYERS)
def test_what_is_lost_is_the_smallest_singular_values_of_the_product(name):
    layer, shape = LAYERS[name]
    resized, kept = resize({name: layer}, rank=2)
    before, after = change(layer, shape), change(resized[name], shape)
    singular = torch.linalg.svdvals(before.flatten(1))
    assert resized[name].rank == 2
    torch.testing.assert_close((before - after).norm(), singular[2:].norm())
    assert kept[name].energy == pytest.approx(float((singular[:2].norm() / singular.norm()) ** 2))


def test_alpha_keeps_its_ratio_to_the_rank():
    made = {name: resize({0: layer}, rank=2).layers[0] for name, (layer, _) in LAYERS.items()}
    assert made["wide"].alpha == 1.0 and made["no alpha"].alpha is None
    silent = resize({0: LAYERS["wide"][0]._replace(alpha=0.0)}, rank=2).layers[0]
    assert silent.alpha == 0.0 and change(silent, (8, 10)).abs().max() == 0


def test_energy_gives_the_lowest_rank_that_holds_it():
    q, _ = torch.linalg.qr(draw(9, 3))
    layer = Layer(torch.diag(torch.tensor([3.0, 2.0, 1.0]).double()), q, alpha=3.0)
    # 9, 4 and 1 of 14
    for energy, rank in ((0.6, 1), (0.7, 2), (0.95, 3), (1.0, 3)):
        resized, kept = resize({"a": layer}, energy=energy)
        assert resized["a"].rank == kept["a"].rank == rank
        torch.testing.assert_close(resized["a"].alpha, float(rank))
    torch.testing.assert_close(change(resized["a"], (9, 3)), change(layer, (9, 3)))


def test_what_is_kept_is_said_of_the_layer_that_loses_most():
    even = Layer(torch.eye(4).double(), torch.eye(4).double(), alpha=4.0)
    single = even._replace(down=torch.diag(torch.tensor([1.0, 0, 0, 0]).double()))
    resized = resize({"even": even, "single": single}, rank=3)
    assert resized.said == "rank 3 keeps 75.0% of the change of the layer that loses most"
    assert resize({"bias": Layer(diff_b=draw(4))}, rank=3).said.startswith("no layer has a rank")


def test_both_factors_carry_the_square_roots_of_the_singular_values():
    layer = resize({0: LAYERS["wide"][0]}, rank=3).layers[0]
    torch.testing.assert_close(layer.up.norm(dim=0), layer.down.norm(dim=1))


def test_an_empty_change_stays_one():
    resized, kept = resize({"a": Layer(torch.ones(4, 5), torch.zeros(3, 4))}, energy=0.5)
    assert kept["a"] == (1, 1.0) and resized["a"].up.abs().max() == 0


def test_layers_without_a_pair_or_above_its_rank_are_passed_through():
    layers = {
        "low": Layer(draw(2, 5), draw(3, 2), alpha=7.0),
        "whole": Layer(diff=draw(3, 3), diff_b=draw(3)),
        "lycoris": Layer(others={"hada_w1_a": draw(2, 2)}, alpha=1.0),
    }
    resized, kept = resize(layers, rank=2)
    assert all(resized[name] is layer for name, layer in layers.items())
    assert kept == {"low": (2, 1.0)}


def test_half_precision_factors_stay_in_half_precision():
    layer = Layer(draw(6, 10).half(), draw(8, 6).half(), diff_b=draw(8))
    made = resize({0: layer}, rank=2).layers[0]
    assert made.down.dtype == made.up.dtype == torch.float16 and made.diff_b is layer.diff_b
    exact = resize({0: Layer(layer.down.double(), layer.up.double())}, rank=2).layers[0]
    # each factor is rounded to 11 bits, and the product of both to about twice 2 ** -12
    off = (change(made, (8, 10)) - change(exact, (8, 10))).norm() / change(exact, (8, 10)).norm()
    assert off < 2**-11


@pytest.mark.parametrize(
    ("layer", "choice", "match"),
    [
        (Layer(), {}, "rank is None and energy is None"),
        (
            LAYERS["wide"][0]._replace(dora_scale=torch.ones(8, 1)),
            {"rank": 2},
            "'a' has DoRA, whose change depends on the base model's weights",
        ),
        (
            LAYERS["kernel"][0]._replace(mid=draw(6, 6, 3, 3)),
            {"rank": 2},
            "'a' is a product of more than two matrices",
        ),
        (
            Layer(draw(6, 4, 3, 3), draw(8, 6, 3, 3)),
            {"rank": 2},
            "'a' is a product of more than two matrices",
        ),
        (
            Layer(torch.full((2, 2), math.nan), torch.ones(2, 2)),
            {"energy": 0.5},
            "down of 'a' has 4 values that are NaN or infinite, of 4",
        ),
    ],
)
def test_what_cannot_be_resized_is_refused(layer, choice, match):
    with pytest.raises(ValueError, match=match):
        resize({"a": layer}, **choice)

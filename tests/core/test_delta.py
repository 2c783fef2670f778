"""One layer's change against convolutions and numbers worked out by hand."""

import pytest
import torch

from fewstep.lora.delta import delta
from fewstep.lora.layers import Layer


def draw(*shape, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)), dtype=dtype)


def row_times_column(**parts):
    """up @ down = [[3, 4], [6, 8]]."""
    return Layer(down=torch.tensor([[3.0, 4.0]]), up=torch.tensor([[1.0], [2.0]]), **parts)


@pytest.mark.parametrize(
    ("alpha", "expected"),
    [
        (None, [[3.0, 4.0], [6.0, 8.0]]),
        (0.5, [[1.5, 2.0], [3.0, 4.0]]),
        (0.0, [[0.0, 0.0], [0.0, 0.0]]),
        (-1.0, [[-3.0, -4.0], [-6.0, -8.0]]),
    ],
)
def test_the_product_is_scaled_by_alpha_over_rank(alpha, expected):
    found = delta(row_times_column(alpha=alpha), torch.ones(2, 2))
    assert torch.equal(found, torch.tensor(expected))


def test_the_scale_divides_by_the_rank():
    layer = Layer(down=torch.eye(2), up=torch.eye(2), alpha=3.0)
    assert torch.equal(delta(layer, torch.zeros(2, 2)), 1.5 * torch.eye(2))


def test_whole_differences_are_added_to_the_product_as_they_are():
    layer = row_times_column(alpha=2.0, diff=torch.tensor([[1.0, 0.0], [0.0, -1.0]]))
    assert torch.equal(delta(layer, torch.ones(2, 2)), torch.tensor([[7.0, 8.0], [12.0, 15.0]]))


def test_a_kernels_change_is_two_convolutions_in_a_row():
    down, up, x = draw(2, 3, 3, 3), draw(5, 2, 1, 1), draw(1, 3, 7, 7)
    conv = torch.nn.functional.conv2d
    change = delta(Layer(down=down, up=up), torch.zeros(5, 3, 3, 3, dtype=torch.float64))
    torch.testing.assert_close(conv(x, change, padding=1), conv(conv(x, down, padding=1), up))


def test_a_mid_weight_is_a_convolution_between_the_two():
    down, mid, up = draw(2, 3, 1, 1), draw(2, 2, 3, 3), draw(5, 2, 1, 1)
    x, weight = draw(1, 3, 7, 7), torch.zeros(5, 3, 3, 3, dtype=torch.float64)
    conv = torch.nn.functional.conv2d
    found = conv(x, delta(Layer(down=down, mid=mid, up=up, alpha=3.0), weight), padding=1)
    torch.testing.assert_close(found, 3 / 2 * conv(conv(conv(x, down), mid, padding=1), up))


@pytest.mark.parametrize(
    ("ones", "weight"), [((), (5, 3, 1, 1)), ((1, 1), (5, 3)), ((1, 1), (5, 3, 1, 1))]
)
def test_matrices_and_kernels_of_one_pixel_are_the_same(ones, weight):
    down, up = draw(2, 3), draw(5, 2)
    layer = Layer(down=down.view(2, 3, *ones), up=up.view(5, 2, *ones))
    found = delta(layer, torch.zeros(weight, dtype=torch.float64))
    assert found.shape == weight
    torch.testing.assert_close(found.view(5, 3), up @ down)


def test_dora_gives_each_output_the_norm_its_magnitude_says():
    # W + dW = [[3, 4], [6, 8]] with norms 5 and 10, the magnitudes are 10 and 1
    layer = row_times_column(dora_scale=torch.tensor([[10.0], [1.0]]))
    found = delta(layer, torch.zeros(2, 2))
    torch.testing.assert_close(found, torch.tensor([[6.0, 8.0], [0.6, 0.8]]))


def test_dora_takes_the_norm_of_the_changed_weight_and_not_of_the_weight():
    # W = [[0, 0], [0, -8]]: the norms of W + dW are 5 and 6, those of W alone 0 and 8
    weight = torch.tensor([[0.0, 0.0], [0.0, -8.0]])
    found = delta(row_times_column(dora_scale=torch.tensor([[5.0], [3.0]])), weight)
    torch.testing.assert_close(found, torch.tensor([[3.0, 4.0], [3.0, 8.0]]))


def test_dora_over_the_inputs_takes_the_norms_of_columns():
    # columns of W + dW are (3, 4) and (0, -4)
    weight = torch.tensor([[0.0, -4.0], [-2.0, -12.0]])
    found = delta(row_times_column(dora_scale=torch.tensor([[10.0, 1.0]])), weight) + weight
    torch.testing.assert_close(found, torch.tensor([[6.0, 0.0], [8.0, -1.0]]))


def test_dora_of_a_kernel_has_one_norm_for_all_its_pixels():
    down, up, weight = draw(2, 3, 3, 3), draw(5, 2, 1, 1), draw(5, 3, 3, 3)
    scale = torch.arange(1.0, 6.0, dtype=torch.float64)
    changed = weight + delta(Layer(down, up, dora_scale=scale.view(5, 1, 1, 1)), weight)
    torch.testing.assert_close(changed.flatten(1).norm(dim=1), scale)
    # a matrix's magnitudes do for a kernel of one pixel
    layer = Layer(draw(2, 3), draw(5, 2), dora_scale=scale.view(5, 1))
    changed = weight[:, :, :1, :1] + delta(layer, weight[:, :, :1, :1])
    torch.testing.assert_close(changed.flatten(1).norm(dim=1), scale)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_half_precision_is_computed_in_float32_and_double_in_double(dtype):
    third = Layer(down=torch.full((1, 1), 1 / 3, dtype=torch.float64), up=torch.ones(1, 1))
    found = delta(third, torch.zeros(1, 1, dtype=dtype))
    assert found.dtype == torch.float32 and found.item() == pytest.approx(1 / 3, rel=1e-7)
    assert delta(third, torch.zeros(1, 1, dtype=torch.float64)).item() == 1 / 3


@pytest.mark.parametrize(
    ("layer", "weight", "match"),
    [
        (
            Layer(others={"hada_w1_a": torch.ones(2, 2), "alpha2": torch.ones(1)}),
            torch.ones(2, 2),
            "layer for w has alpha2, hada_w1_a, which is no plain LoRA",
        ),
        (row_times_column(), torch.ones(2, 2, dtype=torch.int8), "w is int8; allowed is float16, "),
        (
            row_times_column(diff=torch.tensor([[torch.nan, 0.0], [torch.inf, 0.0]])),
            torch.ones(2, 2),
            "diff of the LoRA's layer for w has 2 values that are NaN or infinite, of 4",
        ),
        (row_times_column(), torch.ones(2, 3), r"w is \[2, 3\], and the LoRA changes \[2, 2\]"),
        (row_times_column(), torch.ones(3, 2), r"w is \[3, 2\], and the LoRA changes \[2, 2\]"),
        (row_times_column(), torch.ones(2, 2, 3, 3), r"\[2, 2, 3, 3\], and the LoRA changes"),
        (row_times_column(), torch.ones(2), r"w is \[2\], and the LoRA changes \[2, 2\]"),
        (Layer(diff=torch.ones(2, 2)), torch.ones(4), r"w is \[4\], and the LoRA changes \[2, 2\]"),
        (
            Layer(down=torch.ones(1, 2, 3, 3), up=torch.ones(2, 1, 3, 3)),
            torch.ones(2, 2, 3, 3),
            r"the LoRA changes \[2, 2, 3, 3, 3, 3\]",
        ),
        (
            row_times_column(dora_scale=torch.ones(3, 1)),
            torch.ones(2, 2),
            r"dora_scale of the LoRA's layer for w is \[3, 1\]; allowed is one number for each",
        ),
        (
            Layer(diff=torch.ones(2, 2), dora_scale=torch.ones(2, 1)),
            torch.ones(2, 2),
            r"dora_scale .* beside a low-rank pair",
        ),
    ],
)
def test_a_layer_that_cannot_change_the_weight_is_refused(layer, weight, match):
    with pytest.raises(ValueError, match=match):
        delta(layer, weight, "w")

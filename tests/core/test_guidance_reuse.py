"""The frequencies of a kept difference are those of FasterCache."""

import math

import pytest
import torch

from fewstep.guidance.reuse import low_frequencies, weighted


def wave(height, width, rows, columns):
    y, x = torch.arange(height)[:, None], torch.arange(width)[None]
    return torch.cos(2 * math.pi * (rows * y / height + columns * x / width))


@pytest.mark.parametrize(
    ("rows", "columns", "is_low"),
    # the radius of 16 x 20 is 16 // 5 = 3
    [(0, 0, True), (3, 0, True), (0, 3, True), (4, 0, False), (2, 2, True), (3, 1, False)],
)
def test_waves_up_to_a_fifth_of_the_shorter_side_are_low(rows, columns, is_low):
    x = wave(16, 20, rows, columns)
    expected = x if is_low else torch.zeros_like(x)
    torch.testing.assert_close(low_frequencies(x), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("shape", [(2, 4, 16, 16), (1, 4, 12, 18), (1, 16, 3, 9, 15)])
def test_low_frequencies_are_those_of_diffusers(shape):
    hooks = pytest.importorskip("diffusers.hooks.faster_cache")
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    # its shift moves batch and channel as well, so one picture at a time
    singles = [
        torch.fft.ifft2(
            torch.fft.ifftshift(hooks._split_low_high_freq(one[None, None])[0])
        ).real.reshape(shape[-2:])
        for one in x.reshape(-1, *shape[-2:])
    ]
    expected = torch.stack(singles).reshape(shape)
    torch.testing.assert_close(low_frequencies(x), expected, rtol=1e-5, atol=1e-5)


def test_early_the_low_frequencies_are_boosted_and_late_the_high_ones():
    low, high = wave(16, 16, 1, 0), wave(16, 16, 7, 0)
    early, late = (weighted(low + high, is_early, 0.2) for is_early in (True, False))
    torch.testing.assert_close(early, 1.2 * low + high, rtol=0, atol=1e-5)
    torch.testing.assert_close(late, low + 1.2 * high, rtol=0, atol=1e-5)


def test_the_boost_is_the_papers_where_none_is_given():
    x = wave(16, 16, 1, 0)
    torch.testing.assert_close(weighted(x, True), 1.2 * x, rtol=0, atol=1e-5)


def test_without_a_boost_a_difference_is_as_it_was():
    x = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    assert torch.equal(weighted(x, True, 0.0), x)


def test_half_precision_stays():
    assert low_frequencies(torch.ones(1, 4, 10, 12).half()).dtype == torch.float16

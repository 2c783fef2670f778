"""PSNR and SSIM are those of their definitions, worked out by other means."""

import math

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from fewstep.evaluate.compare import psnr, ssim


def pair(noise=0.2):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, 3, 24, 30, generator=generator)
    return x, x + noise * torch.randn(x.shape, generator=generator)


def test_psnr_is_ten_times_the_logarithm_of_peak_over_error():
    # a peak of 8 and an error of 2: 10 log10(64 / 4) = 12.0412
    reference = torch.tensor([0.0, 8.0, 4.0])
    assert psnr(reference + 2.0, reference) == pytest.approx(12.041199826559248)


def test_pictures_in_0_to_1_have_a_span_of_1_however_flat_they_are():
    reference = torch.full((1, 16, 16), 0.5)
    reference[0, 3, 4] = 0.6
    # an error of 0.1: 10 log10(1 / 0.01) = 20
    assert psnr(reference + 0.1, reference, 1.0) == pytest.approx(20.0, abs=1e-4)
    # where nothing varies SSIM is that of the means alone, with c1 = 0.01^2
    flat = torch.full((1, 16, 16), 0.5)
    expected = (2 * 0.5 * 0.7 + 1e-4) / (0.5**2 + 0.7**2 + 1e-4)
    assert ssim(flat + 0.2, flat, 1.0) == pytest.approx(expected, abs=1e-6)


def test_psnr_of_equals_is_infinite_and_of_a_flat_reference_minus_infinite():
    x = torch.ones(3)
    assert psnr(x, x) == math.inf and psnr(x + 1, x) == -math.inf


def test_ssim_is_the_formula_with_scipys_gaussian():
    reference, x = pair()
    span = float(reference.max() - reference.min())
    c1, c2, values = (0.01 * span) ** 2, (0.03 * span) ** 2, []
    flat = (tensor.double().reshape(-1, 24, 30).numpy() for tensor in (x, reference))
    for a, b in zip(*flat, strict=True):
        blur = lambda p: gaussian_filter(p, 1.5, truncate=3.4)[5:-5, 5:-5]
        mean_a, mean_b = blur(a), blur(b)
        var_a, var_b = blur(a * a) - mean_a**2, blur(b * b) - mean_b**2
        both = blur(a * b) - mean_a * mean_b
        values.append(
            ((2 * mean_a * mean_b + c1) * (2 * both + c2))
            / ((mean_a**2 + mean_b**2 + c1) * (var_a + var_b + c2))
        )
    assert ssim(x, reference) == pytest.approx(float(np.mean(values)), rel=1e-9)


def test_ssim_of_equals_is_1_and_falls_with_noise():
    reference, near = pair(0.1)
    assert ssim(reference, reference) == pytest.approx(1.0)
    assert 1.0 > ssim(near, reference) > ssim(pair(0.5)[1], reference)


def test_ssim_refuses_pictures_below_its_window():
    with pytest.raises(ValueError, match="the pictures are 30 x 8; SSIM needs 11 x 11"):
        ssim(torch.zeros(1, 8, 30), torch.zeros(1, 8, 30))

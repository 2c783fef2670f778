"""How close a tensor of pictures or latents is to another.

SSIM: Wang et al., "Image Quality Assessment: From Error Visibility to Structural Similarity", IEEE
Transactions on Image Processing 13(4), 2004; its window and constants.
"""

import math

import torch
from torch.nn import functional

WINDOW, SPREAD = 11, 1.5  # pixels
K1, K2 = 0.01, 0.03


def psnr(x: torch.Tensor, reference: torch.Tensor, span: float | None = None) -> float:
    """Peak signal to noise ratio.

    Args:
        x, reference: of one shape.
        span: the peak, 1 for pictures in 0..1; None is what reference ranges over.

    Returns:
        dB; inf where they are equal.
    """
    error = (x.double() - reference.double()).square().mean().item()
    if error == 0.0:
        return math.inf
    span = _span(reference) if span is None else span
    return 10.0 * math.log10(span**2 / error) if span else -math.inf


def ssim(x: torch.Tensor, reference: torch.Tensor, span: float | None = None) -> float:
    """Structural similarity, the mean over all channels and places.

    Args:
        x, reference: [..., H, W] of one shape.
        span: the dynamic range, 1 for pictures in 0..1; None is what reference ranges over.

    Returns:
        at most 1, which is equality.

    Raises:
        ValueError: a picture is smaller than the window.
    """
    if min(x.shape[-2:]) < WINDOW:
        raise ValueError(
            f"the pictures are {x.shape[-1]} x {x.shape[-2]}; SSIM needs {WINDOW} x {WINDOW} "
            "or more."
        )
    a, b = (tensor.double().reshape(-1, 1, *tensor.shape[-2:]) for tensor in (x, reference))
    span = _span(reference) if span is None else span
    c1, c2 = (K1 * span) ** 2, (K2 * span) ** 2
    mean_a, mean_b = _blurred(a), _blurred(b)
    var_a, var_b = _blurred(a * a) - mean_a**2, _blurred(b * b) - mean_b**2
    covariance = _blurred(a * b) - mean_a * mean_b
    luminance = (2 * mean_a * mean_b + c1) / (mean_a**2 + mean_b**2 + c1)
    structure = (2 * covariance + c2) / (var_a + var_b + c2)
    return (luminance * structure).mean().item()


def _span(reference):
    return (reference.max() - reference.min()).item()


def _blurred(x):
    """Means under the window, where it lies within the picture whole."""
    places = torch.arange(WINDOW, dtype=x.dtype, device=x.device) - WINDOW // 2
    weights = torch.exp(-(places**2) / (2 * SPREAD**2))
    weights = weights / weights.sum()
    rows = functional.conv2d(x, weights.view(1, 1, -1, 1))
    return functional.conv2d(rows, weights.view(1, 1, 1, -1))

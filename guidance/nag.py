"""Normalised attention guidance: a negative prompt that acts on attention, not on predictions.

Chen et al., "Normalized Attention Guidance", arXiv:2505.21179. What attention gives for the
prompt is pushed away from what it gives for the negative prompt, kept from growing, and mixed with
what it was. `scale` is the paper's phi; programs with a nag_scale count from 1: their 5 is 4 here.
"""

import math

import torch


def check_settings(scale: float, tau: float, alpha: float) -> None:
    """Refuse numbers that are no guidance.

    Raises:
        ValueError: scale is negative, tau below 1, alpha outside 0..1, or one of them not finite.
    """
    if not (math.isfinite(scale) and scale >= 0):
        raise ValueError(
            f"scale is {scale:g}; allowed is a finite number of 0 or more. 0 is off and 4 is usual."
        )
    if not (math.isfinite(tau) and tau >= 1):
        raise ValueError(
            f"tau is {tau:g}; allowed is a finite number of 1 or more: how many times as large as "
            "without the negative prompt attention may become. 2.5 is usual."
        )
    if not 0 <= alpha <= 1:
        raise ValueError(
            f"alpha is {alpha:g}; allowed is 0 to 1, the share of the guided attention in the "
            "result. 0 is off; 0.25 and 0.5 are usual."
        )


def guided_attention(
    positive: torch.Tensor, negative: torch.Tensor, scale: float, tau: float, alpha: float
) -> torch.Tensor:
    """Attention's output for the prompt, moved away from that for the negative prompt.

    Args:
        positive: [..., tokens, channels] of all heads, before the output projection.
        negative: the same of the same queries, looking at the negative prompt.
        scale: 0 or more, phi; 0 is off.
        tau: 1 or more, how many times positive's L1 norm a token may reach.
        alpha: 0..1, share of the guided attention; 0 is off.

    Returns:
        As positive.

    Raises:
        ValueError: as check_settings.
    """
    check_settings(scale, tau, alpha)
    if scale == 0 or alpha == 0:
        return positive
    # extrapolation
    guided = positive + scale * (positive - negative)
    # normalisation: min(r, tau) / r = min(1, tau / r), r the ratio of the norms
    largest = tau * _norm(positive)
    smallest = torch.finfo(largest.dtype).tiny
    guided = guided * (largest / _norm(guided).clamp_min(smallest)).clamp(max=1).to(guided.dtype)
    # refinement
    return alpha * guided + (1 - alpha) * positive


def _norm(x):
    # thousands of channels add up to more than a half-precision number can hold
    return x.abs().sum(dim=-1, keepdim=True, dtype=torch.promote_types(x.dtype, torch.float32))

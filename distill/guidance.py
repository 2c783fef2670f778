"""Bake guidance: a student learns in one pass what its teacher predicts in two.

Meng et al., "On Distillation of Guided Diffusion Models", arXiv:2210.03142, stage one. Trained on
the states of guided trajectories instead of on noised pictures, as here where x comes from
trajectories.py, it needs no pictures and meets what sampling meets: Jensen and
Sadat, "Efficient Distillation of Classifier-Free Guidance using Adapters", arXiv:2503.07274.
"""

import math

import torch

from .precision import exact
from .weights import weight


def guided(cond, uncond, cfg_scale):
    """uncond + cfg_scale (cond - uncond), bit for bit cond at 1 and uncond at 0.

    Meng et al. write (1 + w) cond - w uncond, w = cfg_scale - 1.

    Args:
        cond, uncond: [B, C, ...] predictions of one kind with and without the condition.
        cfg_scale: a float, or a tensor that broadcasts against them ([B, 1, ...]).

    Returns:
        [B, C, ...]
    """
    if torch.is_tensor(cfg_scale):
        cfg_scale = cfg_scale.to(cond)
    # the sum as it is written does not give back cond at 1: it rounds
    return torch.lerp(uncond, cond, cfg_scale)


def guidance_loss(student, x, sigma, guided_x0, *, process, weighting):
    """Weighted squared distance of the student's one pass to the teacher's guided x0 estimate.

    Args:
        student: (x, sigma) -> x0 estimate; one that is told its guidance has it bound in.
        x: [B, C, ...] noisy latents.
        sigma: [B, 1, ...] their levels.
        guided_x0: [B, C, ...] the teacher's x0 estimates at x, guidance included.
        process: VE or FLOW.
        weighting: one of `weights.WEIGHTS`.

    Returns:
        [B] loss of each sample, the mean over its elements.

    Raises:
        ValueError: there is no such weighting.
    """
    loudness = weight(weighting, sigma, process)
    error = exact(student(x, sigma)) - guided_x0.detach()
    return (loudness * error.square()).flatten(1).mean(dim=1)


def draw_scales(low, high, count, generator):
    """A cfg_scale for each sample, evenly from a range, for a student that is told it.

    Args:
        low, high: lowest and highest cfg_scale, 0 <= low <= high; equal ones fix it.
        count: samples.
        generator: torch.Generator on the CPU.

    Returns:
        [count] in float32.

    Raises:
        ValueError: low and high are no such range.
    """
    if not 0.0 <= low <= high < math.inf:
        raise ValueError(
            f"cfg_scale is to be drawn from {low:g} to {high:g}; allowed is 0 or more, lowest "
            "first. 1 is no guidance; write the same number twice for one scale."
        )
    return low + (high - low) * torch.rand(count, generator=generator)

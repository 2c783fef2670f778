"""What every sampling run must satisfy before the network is called for the first time."""

import math

import torch


def check_run(x, sigmas, process):
    """Refuse a latent or a list of levels that no sampler can work with.

    Args:
        x: [B, C, ...] noisy latent.
        sigmas: N + 1 noise levels, strictly falling to 0 or above, none above the process's
            limit. One level is a run of no steps.

    Returns:
        the levels as a list of floats.

    Raises:
        ValueError: a level or a value of the latent is out of range; names the first one.
    """
    levels = [float(sigma) for sigma in sigmas]
    if not levels:
        raise ValueError(
            "sigmas is empty; it needs one noise level for each step and the level to end at, "
            "usually 0. Raise denoise or steps in the node that makes the sigmas."
        )
    for i, sigma in enumerate(levels):
        if not math.isfinite(sigma) or not 0.0 <= sigma <= process.sigma_limit:
            raise ValueError(
                f"sigmas[{i}] is {sigma:g}; allowed is a number from 0 to {process.sigma_limit:g} "
                f"for a {process.name} model. Make the sigmas for the model that is sampled."
            )
        if i and sigma >= levels[i - 1]:
            raise ValueError(
                f"sigmas[{i}] is {sigma:g} after {levels[i - 1]:g}; the levels must fall at every "
                "step. Remove repeated levels, or reverse a list that rises."
            )
    if not torch.isfinite(x).all():
        bad = x.numel() - int(torch.isfinite(x).sum())
        raise ValueError(
            f"latent_image has {bad} of {x.numel()} values that are NaN or infinite; only finite "
            "numbers can be sampled. Look for the fault in the node that made the latent, often a "
            "VAE in half precision."
        )
    return levels

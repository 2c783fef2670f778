"""Guidance as a number that the network is told, as full LCMs are.

Luo et al., "Latent Consistency Models", arXiv:2310.04378, section 4.2. w is told as a timestep is,
by sinusoids, and one unit of w counts as 1000. The networks were trained with sinusoids worked out
in float32. The fastest turn 1000 times per unit of w, so exact ones are off by up to 1e-3.
"""

import math

import torch

# full LCMs are told their guidance by this many numbers: SD 1.5, SSD-1B and SDXL alike
WIDTH = 256
# the layer they enter through, by diffusers' name
COND_PROJ = "time_embedding.cond_proj"


def guidance_embedding(guidance, width: int = WIDTH) -> torch.Tensor:
    """The sinusoids of (guidance - 1) * 1000: first all sines, then all cosines.

    Args:
        guidance: float or [B] tensor, the cfg_scale the network shall imitate; 1 is none.
        width: numbers per sample, an even number; `time_cond_proj_dim` of a diffusers UNet.

    Returns:
        [B, width] float32, on the device of guidance; B is 1 for a float.

    Raises:
        ValueError: guidance is below 1 or not finite, width is odd or below 4.
    """
    if width < 4 or width % 2:
        raise ValueError(
            f"width is {width}; allowed is an even number of 4 or more, half for sines and half "
            f"for cosines. Full LCMs use {WIDTH}."
        )
    w = torch.atleast_1d(torch.as_tensor(guidance - 1.0, dtype=torch.float32))
    wrong = w[~(w.isfinite() & (w >= 0))]
    if len(wrong):
        raise ValueError(
            f"guidance is {wrong[0].item() + 1:g}; allowed is a finite number of 1 or more. "
            "1 is no guidance, and what full LCMs are told is how far above 1 it is. "
            "Models differ; 8 is usual."
        )
    half = width // 2
    # on the CPU and the exponents in this order: another device's exp, or another order of the same
    # formula, moves the fast sinusoids by 1e-4
    frequencies = torch.exp(torch.arange(half) * (-math.log(10000.0) / (half - 1))).to(w.device)
    angle = (w * 1000.0)[:, None] * frequencies
    return torch.cat([angle.sin(), angle.cos()], dim=1)

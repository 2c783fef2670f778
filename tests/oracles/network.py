"""A smooth stand-in for a noise-predicting network, and SD's noise schedule in float64."""

import numpy as np
import torch

SHAPE = (2, 4, 8, 8)

BETAS = np.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=np.float64) ** 2
ALPHA_BARS = np.cumprod(1.0 - BETAS)
SIGMAS = np.sqrt((1.0 - ALPHA_BARS) / ALPHA_BARS)


def eps_of(x_vp, timestep):
    """Noise estimate of a VP-scaled x: smooth in both, not linear in x, and as tame as a trained
    network, whose x0 estimate stays bounded at every level. A wilder one (x0 estimate growing with
    sigma) multiplies rounding errors at each step until diffusers in float32 is 2e-5 away from
    itself in float64.
    """
    t = float(timestep) / 1000.0
    x0 = 0.5 * np.cos(2.0 * t) * torch.tanh(x_vp) + 0.2 * torch.sin(2.0 * x_vp + 3.0 * t)
    alpha_bar = float(ALPHA_BARS[int(timestep)])
    return (x_vp - alpha_bar**0.5 * x0) / (1.0 - alpha_bar) ** 0.5


def randn(seed, dtype, shape=SHAPE):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)

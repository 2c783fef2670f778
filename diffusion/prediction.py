"""What a network's output means, as a pair of conversions to and from the x0 estimate.

A diffusion network predicts one of four things. With a = 1 / sqrt(1 + sigma^2), the alpha of the
variance-preserving form x_vp = a * x that DDPM networks are fed:

    eps    the noise                                    x = x0 + sigma * eps
    v      a * noise - (a * sigma) * x0                 Salimans and Ho, arXiv:2202.00512
    x0     the clean data itself
    flow   noise - x0                                   x = (1 - sigma) * x0 + sigma * noise

x is VE-scaled (x0 + sigma * noise) for eps, v, x0 and flow-scaled for flow. A caller that holds
the VP form converts once with `ve_from_vp`. `sigma` is a float or a tensor [B, 1, ...].
"""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Prediction:
    """A prediction type: `to_denoised(x, output, sigma)`, `from_denoised(x, denoised, sigma)`.

    Both take and return tensors shaped like x [B, C, ...]; `from_denoised` needs sigma > 0.
    """

    name: str
    to_denoised: Callable
    from_denoised: Callable


def vp_from_ve(x, sigma):
    """x0 + sigma * noise to the unit-variance form that DDPM networks are fed."""
    return x / (1.0 + sigma**2) ** 0.5


def ve_from_vp(x, sigma):
    return x * (1.0 + sigma**2) ** 0.5


def _noise_slope(x, denoised, sigma):
    return (x - denoised) / sigma


def _denoised_from_slope(x, slope, sigma):
    return x - sigma * slope


def _denoised_from_v(x, v, sigma):
    # x0 = a * x_vp - (a * sigma) * v, and x_vp = a * x
    a = (1.0 + sigma**2) ** -0.5
    return a * (a * x - sigma * v)


def _v_from_denoised(x, denoised, sigma):
    a = (1.0 + sigma**2) ** -0.5
    return (a * x - denoised / a) / sigma


# Noise and flow velocity are the same function of x: (x - x0) / sigma is the noise where
# x = x0 + sigma * noise, and noise - x0 where x = (1 - sigma) * x0 + sigma * noise.
EPS = Prediction("eps", _denoised_from_slope, _noise_slope)
V = Prediction("v", _denoised_from_v, _v_from_denoised)
X0 = Prediction("x0", lambda x, output, sigma: output, lambda x, denoised, sigma: denoised)
FLOW_VELOCITY = Prediction("flow", _denoised_from_slope, _noise_slope)

PREDICTIONS = {prediction.name: prediction for prediction in (EPS, V, X0, FLOW_VELOCITY)}

"""Noise levels of integer timesteps, as falling Python floats that end in 0.

A level is looked up in the model's undistilled table (one entry per trained timestep), never
interpolated and never looked up in a shortened one: an LCM patch leaves 50 entries, in which
timestep 749 becomes 739. Betas: Rombach et al., arXiv:2112.10752 (scaled linear). Flow shift:
Esser et al., arXiv:2403.03206, equation 23. FLUX.2's: the constants of black-forest-labs/flux2.
"""

import math
from bisect import bisect_left
from itertools import accumulate
from operator import mul

from .timesteps import trailing

# FLUX.2's mu by tokens, slope and start, at 10 and at 200 steps; beyond this many tokens only the
# second counts
FLUX2_MU = ((8.73809524e-05, 1.89833333), (0.00016927, 0.45666666))
FLUX2_MOST_TOKENS = 4300


def sigma_table(train_steps=1000, first_beta=0.00085, last_beta=0.012):
    """The VE levels sqrt((1 - alpha_bar) / alpha_bar) of SD's scaled-linear betas.

    Returns:
        `train_steps` rising floats; entry t belongs to timestep t. For SD 1.5 and SDXL 0.0292 at
        0 and 14.6146 at 999.
    """
    low, high = first_beta**0.5, last_beta**0.5
    roots = [low + (high - low) * t / (train_steps - 1) for t in range(train_steps)]
    alpha_bars = accumulate((1.0 - root**2 for root in roots), mul)
    return [((1.0 - alpha_bar) / alpha_bar) ** 0.5 for alpha_bar in alpha_bars]


def flow_table(shift=1.0, train_steps=1000):
    """The flow levels of timesteps 0..train_steps - 1: (t + 1) / train_steps, shifted, rising."""
    return [shifted((t + 1) / train_steps, shift) for t in range(train_steps)]


def from_timesteps(timesteps, table):
    """The level of each timestep, then 0.

    Args:
        timesteps: N falling whole numbers.
        table: rising levels, entry t for timestep t, of the undistilled model.

    Returns:
        N + 1 falling floats, the last 0.0.

    Raises:
        ValueError: a timestep has no entry in the table.
    """
    for timestep in timesteps:
        if not 0 <= timestep < len(table):
            raise ValueError(
                f"timestep {timestep} has no noise level: the model's table ends at "
                f"{len(table) - 1}. Use the undistilled model's table of trained timesteps."
            )
    return [float(table[timestep]) for timestep in timesteps] + [0.0]


def timestep_of(sigma, table):
    """The timestep whose level is closest in log sigma, as ComfyUI conditions its networks.

    Args:
        sigma: a level above 0.
        table: rising levels, entry t for timestep t.
    """
    above = min(bisect_left(table, sigma), len(table) - 1)
    below = max(above - 1, 0)
    return above if table[above] / sigma < sigma / table[below] else below


def flow_trailing(steps, shift=1.0, *, denoise=1.0):
    """Shifted flow levels of 1, (steps - 1) / steps, ..., 1 / steps, then 0.

    Exact fractions, where a table of 1000 entries would round 2/3 to 0.667.

    Args:
        steps: 1 to 1000.
        shift: the model's time shift, > 0; exp(mu) for Flux-like models.
        denoise: strength, (0, 1]; keeps a tail of the grid as `timesteps.kept` says.

    Returns:
        falling floats, the last 0.0; their number less one is the number of network passes.

    Raises:
        ValueError: steps, shift or denoise is out of range, or denoise keeps no point.
    """
    # the integer grid carries the range checks and the number of points
    passes = len(trailing(steps, denoise=denoise))
    return [shifted(i / steps, shift) for i in range(passes, 0, -1)] + [0.0]


def flux2_shift(steps, tokens):
    """The time shift of FLUX.2: exp(mu), mu linear in the number of tokens, and in steps below 200.

    Args:
        steps: network passes, 1 or more.
        tokens: height times width of the latent that the transformer sees.

    Raises:
        ValueError: steps or tokens is below 1.
    """
    for name, value in (("steps", steps), ("tokens", tokens)):
        if value < 1:
            raise ValueError(f"{name} is {value:g}; allowed is 1 or more.")
    few, many = (slope * tokens + start for slope, start in FLUX2_MU)
    if tokens > FLUX2_MOST_TOKENS:
        return math.exp(many)
    return math.exp(many + (few - many) * (200 - steps) / 190)


def shifted(sigma, shift):
    """shift * sigma / (1 + (shift - 1) * sigma): moves a flow level towards noise for shift > 1.

    Raises:
        ValueError: shift is not above 0.
    """
    if not shift > 0.0:
        raise ValueError(
            f"shift is {shift:g}; allowed is any number above 0. 1 leaves the levels as they are."
        )
    return shift * sigma / (1.0 + (shift - 1.0) * sigma)

"""The level each step reaches deterministically before fresh noise lifts it to the next level.

One loop (trajectory.py) is four samplers by its landings: 0 is LCM (Luo et al., arXiv:2310.04378)
and multistep consistency sampling (Song et al., arXiv:2303.01469, algorithm 1), the next level
itself is DDIM (Song et al., arXiv:2010.02502), and in between lies TCD's strategic stochastic
sampling (Zheng et al., arXiv:2402.19159).
"""

import math

from ..diffusion.sigmas import timestep_of


def lcm(sigmas):
    """Land on clean data at every step: all the noise of the next level is fresh."""
    return [0.0] * (len(sigmas) - 1)


def ddim(sigmas):
    """Land on the next level at every step: no fresh noise at all."""
    return [float(sigma) for sigma in sigmas[1:]]


def tcd(sigmas, eta, table=None):
    """Land at timestep floor((1 - eta) * t), t being the timestep of the next level.

    A next level of 0 is landed on itself. TCDScheduler in diffusers ends at timestep 0, level
    table[0], and not at clean data; to repeat it, pass table[0] as the last of `sigmas`. At eta 1
    TCD is therefore not LCM: between steps it lands on table[0].

    Args:
        sigmas: N + 1 falling levels.
        eta: stochasticity (gamma in the paper), 0 is DDIM, 1 renoises from timestep 0.
        table: rising levels, entry t for timestep t, of the undistilled model. None for flow
            models, whose level is itself the time: there the landing is (1 - eta) * sigma.

    Returns:
        N floats, none above the level that follows it.

    Raises:
        ValueError: eta is outside [0, 1].
    """
    check_eta(eta)
    if eta == 0.0:
        return ddim(sigmas)
    if table is None:
        return [(1.0 - eta) * float(sigma) for sigma in sigmas[1:]]
    return [_earlier(float(sigma), eta, table) for sigma in sigmas[1:]]


def check_eta(eta):
    """Raise ValueError if eta is outside [0, 1]."""
    if not 0.0 <= eta <= 1.0:
        raise ValueError(
            f"eta is {eta:g}; allowed is 0 (deterministic) to 1 (most fresh noise). "
            "TCD models are published with 0.3."
        )


def _earlier(sigma, eta, table):
    if sigma == 0.0:
        return 0.0
    # (1 - 0.3) * 90 is 62.99999999999999 in binary and 63 in the paper's arithmetic
    timestep = math.floor(round((1.0 - eta) * timestep_of(sigma, table), 9))
    # a level between two timesteps, or below all of them, may have its nearest entry above it
    return min(float(table[timestep]), sigma)

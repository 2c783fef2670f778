"""A network as a consistency function, on the grid of levels that it is distilled at.

Song et al., "Consistency Models", arXiv:2303.01469: a consistency function f(x, sigma) tells where
the probability flow from x ends, so it is x itself where x is clean. Boundary and skipping grid of
Luo et al., "Latent Consistency Models", arXiv:2310.04378, sections 4.1 to 4.3.
"""

import torch

from ..diffusion.boundary import consistency
from ..diffusion.prediction import vp_from_ve
from ..diffusion.timesteps import lcm_grid
from .precision import exact


def consistency_function(denoise, table=None):
    """Make f(x, sigma) of a network; f(x, 0) is x whatever the network says.

    Args:
        denoise: (x, sigma) -> x0 estimate.
        table: rising VE levels, entry t for timestep t, of the undistilled model; then f has LCM's
            boundary, to which timestep 0 is clean already. None for flow models: f is the x0
            estimate.

    Returns:
        (x [B, C, ...], sigma [B, 1, ...]) -> [B, C, ...].
    """
    if table is None:
        return lambda x, sigma: torch.where(sigma > 0, denoise(x, sigma), x)

    def f(x, sigma):
        timestep = nearest_timestep(sigma, table).to(sigma.dtype)
        return consistency(vp_from_ve(x, sigma), denoise(x, sigma), timestep)

    return f


def nearest_timestep(sigma, table):
    """The timestep whose level is closest in log sigma; `sigmas.timestep_of` for tensors.

    Args:
        sigma: levels of any shape, in float32 or float64.
        table: rising levels above 0, entry t for timestep t, a list or a tensor.

    Returns:
        whole numbers in the shape of sigma; 0 for all levels below the table's.
    """
    table = torch.as_tensor(table, dtype=sigma.dtype, device=sigma.device)
    # between two entries their geometric mean is as far from one as from the other
    return torch.bucketize(sigma, (table[:-1] * table[1:]).sqrt())


def lcm_levels(table, original_steps=50):
    """The levels of LCM's skipping grid, noisiest first, and after them that of timestep 0.

    The neighbour of a point is the next one, and the last stands for clean. The same for flow
    models is `flow_trailing(original_steps, shift)`, which ends in 0.

    Args:
        table: rising levels, entry t for timestep t, of the undistilled model.
        original_steps: points to start from, N / k in the paper.

    Returns:
        original_steps + 1 falling floats.

    Raises:
        ValueError: original_steps is so large that a point would be timestep 0, or below 1.
    """
    most = len(table) // 2
    if not 1 <= original_steps <= most:
        raise ValueError(
            f"original_steps is {original_steps}; allowed is 1 to {most}, half of the timesteps "
            "the model was trained with, since the last point must lie above timestep 0. LCM "
            "models use 50."
        )
    grid = lcm_grid(original_steps, original_steps, train_steps=len(table))
    return [float(table[timestep]) for timestep in [*grid, 0]]


def neighbours(levels, point, like):
    """The levels of points of a grid, and those of their neighbours nearer to clean.

    Args:
        levels: N + 1 falling floats.
        point: [B] whole numbers from 0, the noisiest, to N - 1.
        like: [B, C, ...] what the levels are for.

    Returns:
        sigma, sigma_next, both [B, 1, ...] in the precision of losses.
    """
    levels = torch.tensor(levels, dtype=exact(like).dtype, device=like.device)
    levels = levels.view(-1, *[1] * (like.ndim - 1))
    return levels[point], levels[point + 1]

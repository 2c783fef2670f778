"""The best approximation of a matrix by two factors of low rank, from its singular values.

Eckart and Young, The approximation of one matrix by another of lower rank, Psychometrika 1, 1936.
"""

from typing import NamedTuple

import torch


class Kept(NamedTuple):
    """What an approximation keeps: its rank, and its share of the squared Frobenius norm."""

    rank: int
    energy: float


def check_choice(rank: int | None, energy: float | None) -> None:
    """Make sure that exactly one of rank and energy says how much to keep.

    Raises:
        ValueError: none or both are given, the rank is below 1 or the energy not in (0, 1].
    """
    if (rank is None) == (energy is None):
        raise ValueError(f"rank is {rank} and energy is {energy}; give exactly one of them.")
    if rank is not None and rank < 1:
        raise ValueError(f"rank is {rank}; allowed is 1 or more. LoRAs have 4 to 128.")
    if energy is not None and not 0 < energy <= 1:
        raise ValueError(f"energy is {energy}; allowed is above 0 and up to 1, which keeps all.")


def truncated(u, singular, vh, *, rank: int | None, energy: float | None):
    """Balanced factors, each with the square roots of the singular values.

    Args:
        u, singular, vh: [out, n], [n], [n, in], singular values falling.
        rank: how many singular values to keep; all where there are fewer.
        energy: keep the fewest that hold this share of the squared Frobenius norm.

    Returns:
        (up [out, rank], down [rank, in], Kept)
    """
    # Apple's GPUs have no double precision
    held = singular.cpu().double().square().cumsum(0)
    if rank is None:
        rank = int(torch.searchsorted(held, energy * held[-1])) + 1
    rank = min(rank, len(held))
    root = singular[:rank].sqrt()
    share = float(held[rank - 1] / held[-1]) if held[-1] > 0 else 1.0
    return u[:, :rank] * root, root[:, None] * vh[:rank], Kept(rank, share)

"""Progressive distillation: one step of the student is two of its teacher, again and again.

Salimans and Ho, "Progressive Distillation for Fast Sampling of Diffusion Models",
arXiv:2202.00512, algorithm 2. The student of a stage is the teacher of the next. The paper's target
(z'' - (sigma_s / sigma_t) z) / (alpha_s - (sigma_s / sigma_t) alpha_t) is that of `hop_target` in
VP scaling; with the alphas divided out it is one formula for VE and FLOW.
"""

import torch

from .knowledge import hop, hop_target
from .precision import exact
from .weights import weight


@torch.no_grad()
def two_step_target(teacher, x, sigma, sigma_mid, sigma_next):
    """The x0 estimate with which one step lands where two of the teacher do.

    Args:
        teacher: (x, sigma) -> x0 estimate.
        x: [B, C, ...] noisy latents at level sigma.
        sigma, sigma_mid, sigma_next: [B, 1, ...], falling; the last may be 0, where the target is
            the teacher's second x0 estimate.

    Returns:
        [B, C, ...] without a gradient.
    """
    x = exact(x)
    x_mid = hop(x, teacher(x, sigma), sigma, sigma_mid)
    x_next = hop(x_mid, teacher(x_mid, sigma_mid), sigma_mid, sigma_next)
    return hop_target(x, x_next, sigma, sigma_next)


def progressive_loss(
    student, teacher, x, sigma, sigma_mid, sigma_next, *, process, weighting="truncated snr"
):
    """Weighted squared distance of the student's x0 estimate to the two-step target.

    Args:
        student: (x, sigma) -> x0 estimate; it alone is given a gradient.
        teacher, x, sigma, sigma_mid, sigma_next: as `two_step_target`.
        process: VE or FLOW.
        weighting: one of `weights.WEIGHTS`; the paper has "truncated snr" and "v".

    Returns:
        [B] loss of each sample, the mean over its elements.

    Raises:
        ValueError: there is no such weighting.
    """
    loudness = weight(weighting, sigma, process)
    error = student(x, sigma) - two_step_target(teacher, x, sigma, sigma_mid, sigma_next)
    return (loudness * error.square()).flatten(1).mean(dim=1)


def stages(first, last):
    """Steps of each stage's student: the largest doubling of `last` below `first`, then halves.

    The first student may stand for more than two of the teacher's steps, where 32 -> 16 is 24 -> 8:
    its targets are the teacher's own and exact.

    Args:
        first: the teacher's steps.
        last: the last student's steps, a divisor of them.

    Raises:
        ValueError: there is no stage.
    """
    if not 1 <= last < first or first % last:
        allowed = [str(n) for n in range(1, first) if first % n == 0]
        raise ValueError(
            f"steps are to go from {first} to {last}; allowed is a divisor below {first}: "
            f"{', '.join(allowed)}. Choose one, or make data with {last * 8} steps."
        )
    counts = [last]
    while counts[0] * 2 < first and first % (counts[0] * 2) == 0:
        counts.insert(0, counts[0] * 2)
    return counts

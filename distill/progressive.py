"""Progressive distillation: one step of the student is two of its teacher, again and again.

Salimans and Ho, "Progressive Distillation for Fast Sampling of Diffusion Models",
arXiv:2202.00512, algorithm 2. The student of a stage is the teacher of the next. The paper's target
(z'' - (sigma_s / sigma_t) z) / (alpha_s - (sigma_s / sigma_t) alpha_t) is that of `hop_target` in
VP scaling; with the alphas divided out it is one formula for VE and FLOW. The paper starts from
pictures made noisy; here the teacher's own run from fresh noise is cut into the student's steps,
which needs no pictures, meets what sampling meets, and never shows the same state twice.
"""

import torch

from ..samplers.ode import sample_euler
from .precision import exact

# max(SNR, 1), one of the paper's two; the other is "v"
WEIGHTING = "truncated snr"


@torch.no_grad()
def every_second(teacher, x, sigmas, *, process):
    """Where the teacher's run from x is at every second of its levels: the student's.

    Args:
        teacher: (x, sigma) -> x0 estimate.
        x: [B, C, ...] starts, at level sigmas[0].
        sigmas: 2 N + 1 falling levels.
        process: VE or FLOW.

    Returns:
        [N + 1, B, C, ...], x itself first, without a gradient.

    Raises:
        ValueError: as of `sample_euler`.
    """
    states = []
    keep = lambda i, x, denoised: states.append(x)
    end = sample_euler(teacher, exact(x), sigmas, process=process, on_step=keep)
    return torch.stack([*states[::2], end])


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

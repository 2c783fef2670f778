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
    """Steps of each stage's student, from half of `first`, the teacher's, down to `last`.

    Raises:
        ValueError: halving does not lead from first to last.
    """
    if not 1 <= last < first:
        raise ValueError(
            f"steps are to go from {first} to {last}; allowed is a teacher with more steps than "
            "the last student, and a student with 1 or more."
        )
    counts = [first]
    while counts[-1] > last and counts[-1] % 2 == 0:
        counts.append(counts[-1] // 2)
    if counts[-1] != last:
        allowed = ", ".join(str(last * 2**n) for n in range(1, 6))
        raise ValueError(
            f"steps are to go from {first} to {last}, and halving {first} does not lead to {last}; "
            f"allowed for {last} is a teacher of {allowed} or any further doubling."
        )
    return counts[1:]


def student_levels(sigmas):
    """The levels of a stage's student: every second one of its teacher's.

    Args:
        sigmas: the teacher's 2 N + 1 falling levels.

    Returns:
        N + 1 levels, the first and the last those of the teacher.

    Raises:
        ValueError: the teacher's steps are not even in number.
    """
    steps = len(sigmas) - 1
    if steps < 2 or steps % 2:
        raise ValueError(
            f"sigmas has {len(sigmas)} levels, which is {steps} steps; allowed is an even number "
            "of steps, 2 or more, since one step of the student is two of the teacher."
        )
    return sigmas[::2]

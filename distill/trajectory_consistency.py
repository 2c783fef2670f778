"""Trajectory consistency: two hops down one path shall land together at a level on the way.

Zheng et al., "Trajectory Consistency Distillation" (TCD), arXiv:2402.19159, after Kim et al.,
"Consistency Trajectory Models" (CTM), arXiv:2310.02279. In phased consistency, Wang et al.,
"Phased Consistency Models" (PCM), arXiv:2405.18407, the level is the lower edge of a phase; at
level 0 it is the loss of consistency.py.
"""

import torch

from .consistency import HUBER_C, pseudo_huber
from .knowledge import hop
from .precision import exact


def trajectory_consistency_loss(
    student, target, guided_x0, x, sigma, sigma_next, landing, c=HUBER_C
):
    """Pseudo-Huber distance of the student's hop to the target's hop from the teacher's step.

    Measured in the scaling of x, where a difference of two x0 estimates counts 1 - landing / sigma
    in VE as in FLOW; the papers' VP scaling would weigh VE by 1 / sqrt(1 + landing^2) besides.

    Args:
        student: (x, sigma) -> x0 estimate; it alone is given a gradient. Its hop to a level as
            high as x is no hop, so it needs no boundary.
        target: the same of the student's slow copy.
        guided_x0: [B, C, ...] the teacher's x0 estimates at x, guidance included.
        x: [B, C, ...] noisy latents at level sigma.
        sigma, sigma_next: [B, 1, ...] levels of a grid, 0 <= sigma_next < sigma.
        landing: [B, 1, ...] levels where both land, 0 <= landing <= sigma_next.
        c: where the distance turns from squared to absolute.

    Returns:
        [B] loss of each sample, the mean over its elements.
    """
    x = exact(x)
    with torch.no_grad():
        x_next = hop(x, guided_x0, sigma, sigma_next)
        wanted = hop(x_next, target(x_next, sigma_next), sigma_next, landing)
        # the teacher has landed; at 0 the hop would be 0 / 0
        wanted = torch.where(landing < sigma_next, wanted, x_next)
    return pseudo_huber(hop(x, student(x, sigma), sigma, landing) - wanted, c)


def draw_landing(anchors, sigma_next, generator):
    """A landing for each sample, any anchor that is not above sigma_next as likely as another.

    Args:
        anchors: falling levels, the last 0; TCD takes the grid itself.
        sigma_next: [B, 1, ...] where the teacher lands.
        generator: torch.Generator on the device of sigma_next.

    Returns:
        [B, 1, ...]

    Raises:
        ValueError: the last anchor is not 0.
    """
    levels = _levels(anchors, sigma_next)
    allowed = (levels <= sigma_next.flatten()[:, None]).float()
    return levels[torch.multinomial(allowed, 1, generator=generator)].view_as(sigma_next)


def phase_edge(anchors, sigma_next):
    """The highest anchor that is not above sigma_next: PCM's landing, the anchors being edges.

    Arguments, result and errors as `draw_landing`.
    """
    levels = _levels(anchors, sigma_next)
    return levels[(levels > sigma_next.flatten()[:, None]).sum(dim=1)].view_as(sigma_next)


def _levels(anchors, like):
    if anchors[-1] != 0.0:
        raise ValueError(
            f"anchors end in {anchors[-1]:g}; allowed is an end in 0, since every level needs an "
            "anchor that is not above it. Append a 0."
        )
    return torch.tensor(anchors, dtype=like.dtype, device=like.device)

"""Consistency: what a student makes of x and of its neighbour nearer to clean shall be the same.

The neighbour is found by one step of a guided teacher: Luo et al., "Latent Consistency Models",
arXiv:2310.04378, and "LCM-LoRA", arXiv:2311.05556, algorithm 1. Or without a teacher, the true x0
taking the place of its estimate: Song et al., "Consistency Models", arXiv:2303.01469, section 5,
and Song and Dhariwal, "Improved Techniques for Training Consistency Models" (iCT),
arXiv:2310.14189.
"""

import torch

from .knowledge import hop
from .precision import exact

# what the README of diffusers' LCM training scripts recommends
HUBER_C = 1e-3
# c of iCT over sqrt(dimensions): arXiv:2310.14189, section 3.3
ICT_C = 0.00054


def consistency_distillation_loss(student, target, guided_x0, x, sigma, sigma_next, c=HUBER_C):
    """Pseudo-Huber distance of the student at x to the target where the teacher steps to.

    Args:
        student: consistency function (x, sigma) -> x0; it alone is given a gradient.
        target: the consistency function of the student's slow copy.
        guided_x0: [B, C, ...] the teacher's x0 estimates at x, guidance included; kept ones, or
            just made.
        x: [B, C, ...] noisy latents at level sigma.
        sigma, sigma_next: [B, 1, ...] levels of a grid, 0 <= sigma_next < sigma.
        c: where the distance turns from squared to absolute.

    Returns:
        [B] loss of each sample, the mean over its elements.
    """
    x = exact(x)
    with torch.no_grad():
        x_next = hop(x, guided_x0, sigma, sigma_next)
        wanted = target(x_next, sigma_next)
    return pseudo_huber(exact(student(x, sigma)) - wanted, c)


def consistency_training_loss(student, target, x0, noise, sigma, sigma_next, c, *, process):
    """The consistency loss without a teacher: one noise in both, so that x0 takes its place.

    Args:
        student, target, sigma, sigma_next: as `consistency_distillation_loss`; the target of iCT
            is the student itself.
        x0: [B, C, ...] clean latents.
        noise: [B, C, ...] standard normal.
        c: of `whole_pseudo_huber`; `ict_c` has the paper's.
        process: VE or FLOW.

    Returns:
        [B] loss of each sample.
    """
    with torch.no_grad():
        wanted = target(process.mix(x0, noise, sigma_next), sigma_next)
    made = student(process.mix(x0, noise, sigma), sigma)
    return whole_pseudo_huber(exact(made) - wanted, c)


def pseudo_huber(difference, c=HUBER_C):
    """sqrt(d^2 + c^2) - c, the mean over each sample's elements d; [B, C, ...] to [B]."""
    return ((difference.square() + c * c).sqrt() - c).flatten(1).mean(dim=1)


def whole_pseudo_huber(difference, c):
    """sqrt(|d|^2 + c^2) - c of each sample's whole difference d, as in iCT; [B, C, ...] to [B]."""
    return (difference.square().flatten(1).sum(dim=1) + c * c).sqrt() - c


def ict_c(dimensions):
    """c of iCT for samples of so many elements."""
    return ICT_C * dimensions**0.5

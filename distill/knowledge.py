"""Teach many steps of the teacher as few of the student, on the teacher's cached trajectories.

Luhman and Luhman, "Knowledge Distillation in Iterative Generative Models", arXiv:2101.02388: noise
goes in, the end of the teacher's deterministic trajectory is wanted. Either the student's whole run
is rolled out and compared at its end ("Direct Distill" of modelscope/DiffSynth-Studio), or each of
its steps is compared with the stretch of the trajectory that it stands for.
"""

from itertools import pairwise

import torch

from .precision import exact
from .weights import weight


def hop(x, denoised, sigma, sigma_next):
    """One Euler step, which is DDIM's: dx / dsigma = (x - denoised) / sigma in VE and FLOW.

    Args:
        x: [B, C, ...] noisy latents at level sigma.
        denoised: [B, C, ...] x0 estimates.
        sigma, sigma_next: floats or [B, 1, ...], 0 <= sigma_next < sigma.

    Returns:
        [B, C, ...] at level sigma_next.
    """
    return denoised + sigma_next / sigma * (x - denoised)


def hop_target(x, x_next, sigma, sigma_next):
    """The x0 estimate with which one hop from x lands on x_next; arguments as `hop`."""
    ratio = sigma_next / sigma
    return (x_next - ratio * x) / (1 - ratio)


def segment_loss(student, x, sigma, x_next, sigma_next, *, process, weighting):
    """Weighted squared distance of the student's x0 estimate to that whose hop lands on x_next.

    Args:
        student: (x, sigma) -> x0 estimate.
        x: [B, C, ...] states of the teacher's trajectories.
        sigma: [B, 1, ...] their levels.
        x_next: [B, C, ...] where many steps of the teacher lead from there.
        sigma_next: [B, 1, ...] levels of x_next, the student's next ones; below sigma.
        process: VE or FLOW.
        weighting: one of `weights.WEIGHTS`.

    Returns:
        [B] loss of each sample, the mean over its elements.

    Raises:
        ValueError: there is no such weighting.
    """
    loudness = weight(weighting, sigma, process)
    with torch.no_grad():
        wanted = hop_target(x, x_next, sigma, sigma_next)
    error = student(x, sigma) - wanted
    return (loudness * error.square()).flatten(1).mean(dim=1)


def call(network, x, sigma):
    return network(x, sigma)


def endpoint_loss(student, x, sigmas, x0, *, step=call):
    """Squared distance of where the student's whole run ends to where the teacher's ends.

    The gradient goes through every step. Memory grows with their number unless `step` keeps less:
    functools.partial(torch.utils.checkpoint.checkpoint, use_reentrant=False) computes each step a
    second time instead.

    Args:
        student: (x, sigma) -> x0 estimate.
        x: [B, C, ...] starts, at level sigmas[0].
        sigmas: the student's falling levels as floats, N + 1 of them for N steps, the last 0.
        x0: [B, C, ...] where the teacher's trajectories from x end.
        step: (student, x, sigma) -> student(x, sigma), by whatever way.

    Returns:
        [B] loss of each sample, the mean over its elements.

    Raises:
        ValueError: the levels do not fall, or do not end in 0.
    """
    _check(sigmas)
    x = exact(x)
    for sigma, sigma_next in pairwise(sigmas):
        level = x.new_full((len(x), *[1] * (x.ndim - 1)), sigma)
        x = hop(x, step(student, x, level), sigma, sigma_next)
    return (x - x0).square().flatten(1).mean(dim=1)


def _check(sigmas):
    is_falling = all(sigma > sigma_next for sigma, sigma_next in pairwise(sigmas))
    if len(sigmas) < 2 or not is_falling or sigmas[-1] != 0.0:
        given = ", ".join(f"{sigma:g}" for sigma in sigmas)
        raise ValueError(
            f"sigmas is [{given}]; allowed are two or more falling levels of which the last is 0, "
            "since the teacher's trajectories end in clean latents. Append a 0 or sort them."
        )

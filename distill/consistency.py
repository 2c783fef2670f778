"""Latent consistency distillation: one prediction shall agree along the teacher's guided path.

Luo et al., "LCM-LoRA: A Universal Stable-Diffusion Acceleration Module", arXiv:2311.05556,
algorithm 1, after "Latent Consistency Models", arXiv:2310.04378. Latents here are in DDPM scaling,
x = sqrt(alpha_bar) x0 + sqrt(1 - alpha_bar) noise, the space these networks are trained in.
"""

from typing import NamedTuple

import torch

from ..diffusion.boundary import consistency
from ..diffusion.timesteps import lcm_grid

HUBER_C = 1e-3


class Batch(NamedTuple):
    """What one loss is computed on; the network's condition is bound into the callables."""

    x0: torch.Tensor  # [B, C, ...] clean latents
    noise: torch.Tensor  # [B, C, ...] standard normal
    point: torch.Tensor  # [B] index into the skipping grid, 0 is the noisiest


def grid_length(original_steps: int = 50) -> int:
    """How many starting points the skipping grid offers to draw `Batch.point` from."""
    return len(lcm_grid(original_steps, original_steps))


def consistency_loss(student, target, teacher, batch, alpha_bar, *, original_steps=50):
    """Pseudo-Huber distance of the student at t to the target one skipping step nearer to clean.

    Args:
        student, target: (x, timestep [B]) -> eps; the target is a slow copy and gets no gradient.
        teacher: (x, timestep [B]) -> guided eps, cond + w (cond - uncond).
        batch: latents, noise and grid points.
        alpha_bar: [train_steps] cumulative product of 1 - beta.
        original_steps: points of the skipping grid, N / k in the paper.

    Returns:
        [B] loss of each sample.
    """
    train_steps = len(alpha_bar)
    grid = torch.tensor(lcm_grid(original_steps, original_steps, train_steps=train_steps))
    timestep = grid.to(batch.point.device)[batch.point]
    timestep_next = (timestep - train_steps // original_steps).clamp(min=0)
    signal, spread = _scales(alpha_bar, timestep, batch.x0)
    x = signal * batch.x0 + spread * batch.noise
    with torch.no_grad():
        # the solver's step: DDIM (arXiv:2010.02502, eq. 12) with the guided eps in both terms
        eps = teacher(x, timestep)
        signal_next, spread_next = _scales(alpha_bar, timestep_next, batch.x0)
        x_next = signal_next * (x - spread * eps) / signal + spread_next * eps
        wanted = _predict(target, x_next, timestep_next, alpha_bar)
    return pseudo_huber(_predict(student, x, timestep, alpha_bar) - wanted)


def pseudo_huber(difference, c=HUBER_C):
    """sqrt(d^2 + c^2) - c, the mean over each sample's elements; [B, C, ...] to [B]."""
    return ((difference.square() + c * c).sqrt() - c).flatten(1).mean(dim=1)


def _predict(network, x, timestep, alpha_bar):
    signal, spread = _scales(alpha_bar, timestep, x)
    x0 = (x - spread * network(x, timestep)) / signal
    return consistency(x, x0, timestep.view(-1, *[1] * (x.ndim - 1)))


def _scales(alpha_bar, timestep, like):
    signal = alpha_bar[timestep].view(-1, *[1] * (like.ndim - 1))
    return signal.sqrt(), (1 - signal).sqrt()

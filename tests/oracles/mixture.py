"""A mixture of equal round Gaussians, whose guided denoiser is known in closed form.

x0 ~ sum_k weight_k N(mean_k, std^2 I), x = alpha x0 + sigma noise. Given x, component k has
responsibility r_k = softmax_k(log weight_k - |x - alpha mean_k|^2 / (2 V)) with
V = (alpha std)^2 + sigma^2, and
E[x0 | x] = sum_k r_k (mean_k + alpha std^2 / V (x - alpha mean_k)).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Mixture:
    means: torch.Tensor  # [K, D]
    weights: torch.Tensor  # [K], summing to 1; 0 leaves a component out
    std: float
    alpha: Callable

    def denoised(self, x, sigma):
        """E[x0 | x] for x [B, D]; sigma is a float or [B, 1]."""
        sigma = torch.as_tensor(sigma, dtype=x.dtype).reshape(-1, 1, 1)
        alpha = self.alpha(sigma) + torch.zeros_like(sigma)
        variance = (alpha * self.std) ** 2 + sigma**2
        apart = x[:, None] - alpha * self.means  # [B, K, D]
        distance = apart.square().sum(-1, keepdim=True) / (2 * variance)
        share = (self.weights.log()[:, None] - distance).softmax(dim=1)
        return (share * (self.means + alpha * self.std**2 / variance * apart)).sum(1)

    def draw(self, count, generator):
        """[count, D] samples."""
        chosen = torch.multinomial(self.weights, count, replacement=True, generator=generator)
        noise = torch.randn(count, self.means.shape[1], generator=generator)
        return self.means[chosen] + self.std * noise.to(self.means)


def ring(alpha, *, parts=8, radius=1.5, std=0.15):
    """The conditional and the unconditional mixture on a ring: three neighbours, and all."""
    angles = torch.arange(parts, dtype=torch.float64) * (2 * math.pi / parts)
    means = radius * torch.stack([angles.cos(), angles.sin()], dim=1)
    everything = torch.full((parts,), 1 / parts, dtype=torch.float64)
    some = torch.zeros(parts, dtype=torch.float64)
    some[:3] = torch.tensor([0.25, 0.5, 0.25], dtype=torch.float64)
    return Mixture(means, some, std, alpha), Mixture(means, everything, std, alpha)


def guided(cond, uncond, cfg_scale):
    """(x, sigma) -> the guided x0 estimate uncond + cfg_scale (cond - uncond)."""

    def denoise(x, sigma):
        without = uncond.denoised(x, sigma)
        return without + cfg_scale * (cond.denoised(x, sigma) - without)

    return denoise

"""The one data distribution whose denoiser and probability flow are known in closed form.

x0 ~ N(mean, std^2), x = alpha * x0 + sigma * noise, hence x ~ N(alpha mean, V) with
V = (alpha std)^2 + sigma^2.
"""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Gaussian:
    mean: float
    std: float
    alpha: Callable

    def variance(self, sigma):
        return (self.alpha(sigma) * self.std) ** 2 + sigma**2

    def denoised(self, x, sigma):
        """E[x0 | x], the ideal denoiser."""
        alpha = self.alpha(sigma)
        gain = alpha * self.std**2 / self.variance(sigma)
        return self.mean + gain * (x - alpha * self.mean)

    def flow(self, x, sigma, sigma_to):
        """Where the exact probability flow takes x from level sigma to level sigma_to."""
        spread = (self.variance(sigma_to) / self.variance(sigma)) ** 0.5
        return self.alpha(sigma_to) * self.mean + spread * (x - self.alpha(sigma) * self.mean)

    def jump(self, x, sigma, sigma_to):
        """The x0 estimate with which one deterministic hop to sigma_to lands on the exact flow.

        Solves alpha_to D + sigma_to (x - alpha D) / sigma = flow(x, sigma, sigma_to) for D: the
        output of a perfectly distilled network.
        """
        ratio = sigma_to / sigma
        scale = self.alpha(sigma_to) - ratio * self.alpha(sigma)
        return (self.flow(x, sigma, sigma_to) - ratio * x) / scale


def ve(mean, std):
    return Gaussian(mean, std, lambda sigma: 1.0)


def rectified_flow(mean, std):
    return Gaussian(mean, std, lambda sigma: 1.0 - sigma)

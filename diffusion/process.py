"""How clean data becomes noisy: x = alpha(sigma) * x0 + sigma * noise.

Two processes are in use. VE is the space ComfyUI and k-diffusion sample in, x = x0 + sigma * noise
(Karras et al., arXiv:2206.00364); a network trained on VP inputs sees x / sqrt(1 + sigma^2), which
prediction.py converts. FLOW is x = (1 - sigma) * x0 + sigma * noise (rectified flow,
arXiv:2209.03003). In both alpha is linear in sigma, so both have the probability flow
dx / dsigma = (x - denoised) / sigma, which is why one Euler loop serves them.
"""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Process:
    """A forward process whose alpha is 1 + alpha_slope * sigma.

    `sigma` is a float, or a tensor that broadcasts against x ([B, 1, ...]) where a loss needs one
    level per sample; `std`, `half_log_snr` and `renoise` take floats only.
    """

    name: str
    # d alpha / d sigma: 0 for VE, -1 for FLOW
    alpha_slope: float
    # largest level the process has
    sigma_limit: float

    def alpha(self, sigma):
        return 1.0 + self.alpha_slope * sigma

    def std(self, sigma):
        """Standard deviation of x at this level when the data has standard deviation 1."""
        return math.hypot(self.alpha(sigma), sigma)

    def half_log_snr(self, sigma):
        """log(alpha / sigma): -inf where only noise is left, +inf where x is clean."""
        if sigma == 0.0:
            return math.inf
        alpha = self.alpha(sigma)
        return math.log(alpha / sigma) if alpha > 0.0 else -math.inf

    def mix(self, x0, noise, sigma):
        """Noise x0 [B, C, ...] to level sigma with the given noise [B, C, ...]."""
        return self.alpha(sigma) * x0 + sigma * noise

    def noise_in(self, x, denoised, sigma):
        """The noise that, mixed with `denoised`, gives back x [B, C, ...] at level sigma > 0."""
        return (x - self.alpha(sigma) * denoised) / sigma

    def renoise(self, x, noise, sigma_low, sigma_high):
        """Raise x [B, C, ...] from sigma_low to sigma_high >= sigma_low with fresh noise.

        The result has exactly the marginal distribution of sigma_high: alpha grows by the ratio of
        the two alphas, and the fresh noise supplies the variance that is then missing.
        """
        ratio = self.alpha(sigma_high) / self.alpha(sigma_low)
        fresh = math.sqrt(sigma_high**2 - (ratio * sigma_low) ** 2)
        return ratio * x + fresh * noise


VE = Process("VE", alpha_slope=0.0, sigma_limit=math.inf)
FLOW = Process("FLOW", alpha_slope=-1.0, sigma_limit=1.0)

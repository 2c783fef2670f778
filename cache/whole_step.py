"""A network that is left out of a step as a whole, for any that is a function of x and sigma.

What is reused is the slope (x - denoised) / sigma of the sampling path: the predicted noise of eps
models, the velocity of flow models.
"""

from collections.abc import Callable, Hashable

import torch

from .rate import Rate
from .reuse import Reuse

SLOPE = "slope"


class WholeStep:
    """The network of one sampling run.

    Args:
        reuse: of this run; its `begin` is called by whoever knows where a step begins.
    """

    def __init__(self, reuse: Reuse):
        self.reuse, self.rate = reuse, Rate()

    def denoised(
        self,
        compute: Callable[[], torch.Tensor],
        x: torch.Tensor,
        sigma: float | torch.Tensor,
        *,
        seen: torch.Tensor,
        conditions: list[Hashable],
    ) -> torch.Tensor:
        """What the network makes of x, computed or continued from earlier steps.

        Args:
            compute: () -> x0 estimate [B, C, ...].
            x: [B, C, ...] noisy latent; sigma: its level, a number or [B, 1, ...].
            seen: [B, C, ...] what the network is given, by whose change its output's is judged.
            conditions: one for each equal part of the rows.
        """
        keys = self.reuse.keys(conditions, x)
        reuses = self.reuse.decide(keys, self.rate.change(keys, seen))
        self.reuse.count(keys, reuses, 0 if reuses else 1, 1)
        if reuses:
            return x - sigma * self.reuse.recall(keys, SLOPE)
        denoised = compute()
        slope = (x - denoised) / sigma
        self.reuse.keep(keys, **{SLOPE: slope})
        self.rate.computed(keys, slope)
        return denoised

"""What training asks of a model, whichever library it comes from.

ComfyUI's models satisfy it through nodes/host/, diffusers' through headless/. Losses see even less:
callables (x, sigma) -> x0 estimate, with the condition bound in.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

import torch

from ..diffusion.process import Process
from .guidance import guided
from .hooks import Hooks

# the row of what guidance leads away from: the negative or the empty prompt
NEGATIVE = -1


class Network(Protocol):
    """One frozen network in memory: teacher without a change, student with one."""

    # the space of x: VE or FLOW
    process: Process
    # rising VE levels, entry t for timestep t, of the undistilled model; None for FLOW
    table: Sequence[float] | None
    # where changes enter it
    hooks: Hooks
    # where its latents live
    device: torch.device
    # how many conditions it holds, row 0 to rows - 1 besides NEGATIVE
    rows: int
    # equal for equal weights and conditions
    fingerprint: str

    def denoise(self, x, sigma, rows, guidance=None) -> torch.Tensor:
        """The x0 estimate of x, each sample under its own condition; out of inference mode.

        Args:
            x: [B, C, ...] latents as the network is trained on them, in the process's scaling.
            sigma: [B] levels.
            rows: [B] whole numbers, rows of the conditions.
            guidance: [B] cfg_scales that a student with an input for it is told; else None.

        Returns:
            [B, C, ...] in float32.
        """


def denoiser(network: Network, rows, *changes, guidance=None) -> Callable:
    """(x, sigma) -> x0 estimate with these changes on, for a loss or a sampler.

    Args:
        rows: [B] rows of the conditions.
        changes: `lora.Lora`s to add; none is the teacher.
        guidance: [B] cfg_scales to tell it, or None.
    """

    def denoise(x, sigma):
        with network.hooks.using(*changes):
            return network.denoise(x, _levels(sigma, x), rows, guidance)

    return denoise


def guided_denoiser(network: Network, rows, cfg_scales) -> Callable:
    """(x, sigma) -> the teacher's x0 estimate uncond + cfg_scale (cond - uncond), in one pass.

    Where every cfg_scale is 1 the negative is not asked for.

    Args:
        cfg_scales: [B], of each sample.
    """
    if bool((cfg_scales == 1.0).all()):
        return denoiser(network, rows)
    both_rows = torch.cat([rows, torch.full_like(rows, NEGATIVE)])
    both = denoiser(network, both_rows)

    def denoise(x, sigma):
        cond, uncond = both(torch.cat([x, x]), _levels(sigma, x).repeat(2)).chunk(2)
        return guided(cond, uncond, cfg_scales.view(-1, *[1] * (x.ndim - 1)))

    return denoise


def _levels(sigma, x):
    """A level of any form as [B]."""
    if torch.is_tensor(sigma):
        return sigma.flatten().expand(len(x)).to(device=x.device, dtype=torch.float32)
    return torch.full((len(x),), sigma, device=x.device)

"""The noise levels of a diffusers model, as its scheduler's config tells them."""

import math
from collections.abc import Mapping

from diffusers import DDIMScheduler

from ..diffusion.sigmas import flow_trailing, from_timesteps
from ..diffusion.timesteps import lcm_grid, trailing

# of the last timestep where a schedule ends in pure noise, whose level would be infinite: ComfyUI's
# number for it (comfy/model_sampling.py)
LEAST_ALPHA_BAR = 4.8973451890853435e-08
# what FluxPipeline takes for what a config does not say
DYNAMIC = {
    "base_image_seq_len": 256,
    "max_image_seq_len": 4096,
    "base_shift": 0.5,
    "max_shift": 1.15,
}


def table_of(scheduler: Mapping) -> tuple[float, ...]:
    """The rising VE levels of a UNet's timesteps.

    Args:
        scheduler: its config.
    """
    alpha_bar = (1.0 - DDIMScheduler.from_config(dict(scheduler)).betas.double()).cumprod(0)
    alpha_bar = alpha_bar.clamp(min=LEAST_ALPHA_BAR)
    return tuple(((1.0 - alpha_bar) / alpha_bar).sqrt().tolist())


def shift_of(scheduler: Mapping, tokens: int) -> float:
    """The time shift of a flow model for pictures of so many tokens.

    Args:
        scheduler: its config.
        tokens: 2 x 2 patches of the latent.
    """
    if not scheduler.get("use_dynamic_shifting"):
        return float(scheduler.get("shift", 1.0))
    # mu as FluxPipeline has it, a line through two points; the shift is exp(mu)
    low, high, base, most = (scheduler.get(key, value) for key, value in DYNAMIC.items())
    return math.exp(base + (most - base) * (tokens - low) / (high - low))


def levels_of(steps: int, table=None, shift: float = 1.0, *, on_lcm_grid: bool = False):
    """Falling levels that end in 0, for so many passes.

    Args:
        table: of a UNet; None for a flow model of this shift.
        on_lcm_grid: LCM's timesteps instead of trailing ones, where there are timesteps.
    """
    if table is None:
        return flow_trailing(steps, shift)
    grid = lcm_grid if on_lcm_grid else trailing
    return from_timesteps(grid(steps, train_steps=len(table)), table)

"""Distil an SD-type UNet into an LCM-LoRA with prompts and latents at hand."""

import copy
from typing import NamedTuple

import torch
from torch.func import functional_call

from ..distill.consistency import Batch, consistency_loss, grid_length
from ..distill.ema import follow
from ..distill.pace import pace, set_learning_rate
from .lora import Lora


class Settings(NamedTuple):
    """Hyper-parameters of one LCM-LoRA."""

    iterations: int
    batch: int = 64
    rank: int = 32
    lora_alpha: float = 32.0
    guidance_w: float = 3.0  # cond + w (cond - uncond); ComfyUI's cfg is w + 1
    learning_rate: float = 1e-3
    warm_up: int = 50  # iterations
    ema_decay: float = 0.95  # of the target; slower targets need far more iterations
    seed: int = 0


def ignore(i, loss, average):
    """An `on_iteration` that does nothing."""


def train_lcm_lora(
    unet, latents, conditions, uncond, alpha_bar, settings: Settings, on_iteration=ignore
) -> Lora:
    """Train on (latent, condition) pairs; the network itself is never changed.

    Args:
        unet: diffusers' UNet2DConditionModel, predicting eps.
        latents: [N, C, h, w] clean latents.
        conditions: (rows [B]) -> [B, tokens, width] text states of these latents.
        uncond: [1, tokens, width] text states of the empty prompt.
        alpha_bar: [1000] cumulative product of 1 - beta.
        on_iteration: (i, loss, average), called after every step of the optimizer.

    Returns:
        the slow average of the trained LoRA.
    """
    generator = torch.Generator().manual_seed(settings.seed)
    unet.requires_grad_(False)
    lora = Lora(unet, settings.rank, settings.lora_alpha, generator)
    average = copy.deepcopy(lora).requires_grad_(False)
    optimizer = torch.optim.AdamW(lora.parameters(), lr=settings.learning_rate, weight_decay=0.0)
    for i in range(settings.iterations):
        share = pace(i, settings.iterations, settings.warm_up)
        set_learning_rate(optimizer, settings.learning_rate * share)
        rows = torch.randint(len(latents), (settings.batch,), generator=generator)
        x0 = latents[rows].float()
        batch = Batch(
            x0=x0,
            noise=torch.randn(x0.shape, generator=generator),
            point=torch.randint(grid_length(), (settings.batch,), generator=generator),
        )
        networks = _networks(unet, lora, average, conditions(rows), uncond, settings.guidance_w)
        loss = consistency_loss(*networks, batch, alpha_bar).mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(lora.parameters(), 1.0)
        optimizer.step()
        follow(average, lora, settings.ema_decay)
        on_iteration(i, loss.item(), average)
    return average


def _networks(unet, lora, average, condition, uncond, guidance_w):
    """Student, target and teacher as (x, timestep) -> eps, for one batch."""

    def call(weights, x, timestep, states):
        with torch.autocast(x.device.type, torch.bfloat16):
            return functional_call(unet, weights, (x, timestep, states)).sample.float()

    def student(x, timestep):
        return call(lora.weights(), x, timestep, condition)

    def target(x, timestep):
        return call(average.weights(), x, timestep, condition)

    def teacher(x, timestep):
        states = torch.cat([condition, uncond.expand_as(condition)])
        eps, eps_uncond = call({}, x.repeat(2, 1, 1, 1), timestep.repeat(2), states).chunk(2)
        return eps + guidance_w * (eps - eps_uncond)

    return student, target, teacher

"""Distil an SD-type UNet into an LCM-LoRA with prompts and latents at hand."""

import copy
from typing import NamedTuple

import torch
from torch.func import functional_call

from ..diffusion.prediction import EPS, vp_from_ve
from ..diffusion.process import VE
from ..distill.consistency import consistency_distillation_loss
from ..distill.consistency_function import (
    consistency_function,
    lcm_levels,
    nearest_timestep,
    neighbours,
)
from ..distill.ema import follow
from ..distill.pace import pace, set_learning_rate
from ..guidance.embedded import guidance_embedding
from .lora import Lora


class Settings(NamedTuple):
    """Hyper-parameters of one distillation."""

    iterations: int
    batch: int = 64
    rank: int = 32
    lora_alpha: float = 32.0
    # cond + w (cond - uncond); ComfyUI's cfg is w + 1. One number is baked in; from a pair of
    # lowest and highest every sample draws its own, and the student is told it
    guidance_w: float | tuple[float, float] = 3.0
    # points of the skipping grid; each number holds for an equal share of the iterations. Fewer
    # points first let the student learn sooner (arXiv:2303.01469, section 5)
    original_steps: tuple[int, ...] = (50,)
    learning_rate: float = 1e-3
    warm_up: int = 50  # iterations
    ema_decay: float = 0.95  # of the target; slower targets need far more iterations
    seed: int = 0


class Batch(NamedTuple):
    """What one loss is computed on; the network's condition is bound into the callables."""

    x0: torch.Tensor  # [B, C, ...] clean latents
    noise: torch.Tensor  # [B, C, ...] standard normal
    point: torch.Tensor  # [B] index into the skipping grid, 0 is the noisiest


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
        settings: guidance_w is one number.
        on_iteration: (i, loss, average), called after every step of the optimizer.

    Returns:
        the slow average of the trained LoRA.

    Raises:
        ValueError: guidance_w is a range.
    """
    if isinstance(settings.guidance_w, tuple):
        raise ValueError(
            f"guidance_w is {settings.guidance_w}, a range; allowed is one number, since a LoRA "
            "cannot be told its guidance. Choose one to bake in, or train a full LCM UNet."
        )

    def begin(generator):
        return Lora(unet, settings.rank, settings.lora_alpha, generator)

    return distil(unet, begin, latents, conditions, uncond, alpha_bar, settings, on_iteration)


def consistency_loss(student, target, teacher, batch, alpha_bar, *, original_steps=50):
    """The loss of latent consistency distillation on a grid of so many points; [B].

    Args:
        student, target, teacher: (x, sigma) -> x0 estimate, of the teacher the guided one.
        alpha_bar: [train_steps] cumulative product of 1 - beta.
    """
    table = level_table(alpha_bar)
    levels = lcm_levels(table.tolist(), original_steps)
    sigma, sigma_next = neighbours(levels, batch.point, batch.x0)
    x = VE.mix(batch.x0, batch.noise, sigma)
    with torch.no_grad():
        guided_x0 = teacher(x, sigma)
    functions = (consistency_function(network, table) for network in (student, target))
    return consistency_distillation_loss(*functions, guided_x0, x, sigma, sigma_next)


def level_table(alpha_bar):
    """The VE level of each timestep."""
    return ((1 - alpha_bar) / alpha_bar).sqrt()


def distil(
    unet,
    begin,
    latents,
    conditions,
    uncond,
    alpha_bar,
    settings: Settings,
    on_iteration=ignore,
    loss_of=consistency_loss,
):
    """Train anything that changes a network's weights from outside, as `train_lcm_lora` does.

    Args:
        begin: (generator) -> the change to start from, a module; its weights() are given to the
            network by their names for each call, and the network without them is the teacher.
        loss_of: takes and returns what `consistency_loss` does.

    Returns:
        the slow average of the trained change.
    """
    generator = torch.Generator().manual_seed(settings.seed)
    unet.requires_grad_(False)
    change = begin(generator).requires_grad_(True)
    average = copy.deepcopy(change).requires_grad_(False)
    table = level_table(alpha_bar)
    optimizer = torch.optim.AdamW(change.parameters(), lr=settings.learning_rate, weight_decay=0.0)
    for i in range(settings.iterations):
        share = pace(i, settings.iterations, settings.warm_up)
        set_learning_rate(optimizer, settings.learning_rate * share)
        stage = i * len(settings.original_steps) // settings.iterations
        original_steps = settings.original_steps[stage]
        rows = torch.randint(len(latents), (settings.batch,), generator=generator)
        x0 = latents[rows].float()
        batch = Batch(
            x0=x0,
            noise=torch.randn(x0.shape, generator=generator),
            point=torch.randint(original_steps, (settings.batch,), generator=generator),
        )
        guidance = _draw_guidance(settings, generator)
        networks = _networks(unet, table, change, average, conditions(rows), uncond, *guidance)
        loss = loss_of(*networks, batch, alpha_bar, original_steps=original_steps).mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(change.parameters(), 1.0)
        optimizer.step()
        follow(average, change, settings.ema_decay)
        on_iteration(i, loss.item(), average)
    return average


def _draw_guidance(settings, generator):
    if not isinstance(settings.guidance_w, tuple):
        return settings.guidance_w, None
    lowest, highest = settings.guidance_w
    w = lowest + (highest - lowest) * torch.rand(settings.batch, generator=generator)
    return w.view(-1, 1, 1, 1), guidance_embedding(w + 1.0)


def _networks(unet, table, change, average, condition, uncond, guidance_w, told):
    """Student, target and teacher as (x, sigma) -> x0 estimate, for one batch."""

    def eps_of(weights, x, sigma, states, told=None):
        timestep = nearest_timestep(sigma.flatten(), table)
        with torch.autocast(x.device.type, torch.bfloat16):
            inputs = (vp_from_ve(x, sigma), timestep, states)
            return functional_call(unet, weights, inputs, {"timestep_cond": told}).sample.float()

    def student(x, sigma):
        return EPS.to_denoised(x, eps_of(change.weights(), x, sigma, condition, told), sigma)

    def target(x, sigma):
        return EPS.to_denoised(x, eps_of(average.weights(), x, sigma, condition, told), sigma)

    def teacher(x, sigma):
        states = torch.cat([condition, uncond.expand_as(condition)])
        both = eps_of({}, x.repeat(2, 1, 1, 1), sigma.repeat(2, 1, 1, 1), states)
        eps, eps_uncond = both.chunk(2)
        return EPS.to_denoised(x, eps + guidance_w * (eps - eps_uncond), sigma)

    return student, target, teacher

"""Distil an SD-type UNet into an LCM-LoRA with prompts and latents at hand."""

import copy
from typing import NamedTuple

import torch
from torch.func import functional_call

from ..distill.consistency import Batch, consistency_loss, grid_length
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
            point=_draw_points(original_steps, settings.batch, generator),
        )
        guidance = _draw_guidance(settings, generator)
        networks = _networks(unet, change, average, conditions(rows), uncond, *guidance)
        loss = loss_of(*networks, batch, alpha_bar, original_steps=original_steps).mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(change.parameters(), 1.0)
        optimizer.step()
        follow(average, change, settings.ema_decay)
        on_iteration(i, loss.item(), average)
    return average


def _draw_points(original_steps, count, generator):
    return torch.randint(grid_length(original_steps), (count,), generator=generator)


def _draw_guidance(settings, generator):
    if not isinstance(settings.guidance_w, tuple):
        return settings.guidance_w, None
    lowest, highest = settings.guidance_w
    w = lowest + (highest - lowest) * torch.rand(settings.batch, generator=generator)
    return w.view(-1, 1, 1, 1), guidance_embedding(w + 1.0)


def _networks(unet, change, average, condition, uncond, guidance_w, told):
    """Student, target and teacher as (x, timestep) -> eps, for one batch."""

    def call(weights, x, timestep, states, told=None):
        with torch.autocast(x.device.type, torch.bfloat16):
            inputs = (x, timestep, states)
            return functional_call(unet, weights, inputs, {"timestep_cond": told}).sample.float()

    def student(x, timestep):
        return call(change.weights(), x, timestep, condition, told)

    def target(x, timestep):
        return call(average.weights(), x, timestep, condition, told)

    def teacher(x, timestep):
        states = torch.cat([condition, uncond.expand_as(condition)])
        eps, eps_uncond = call({}, x.repeat(2, 1, 1, 1), timestep.repeat(2), states).chunk(2)
        return eps + guidance_w * (eps - eps_uncond)

    return student, target, teacher

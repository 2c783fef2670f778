"""Train the flow-matching teacher: FLUX's transformer on the UNet's pictures and text states.

Rectified flow, Liu et al., arXiv:2209.03003: the network learns noise - x0, all levels weighted
alike. They are drawn uniformly and then shifted towards noise, which settles what stands where, as
in sampling (Esser et al., arXiv:2403.03206, equation 23), and are spread evenly over a batch, which
makes the loss less noisy (Kingma et al., arXiv:2107.00630, appendix I.1). A tenth of the captions
is left empty for classifier-free guidance.
"""

import copy
import time
from pathlib import Path

import numpy as np
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from ..diffusion.process import FLOW
from ..diffusion.sigmas import shifted
from ..distill.ema import follow
from ..distill.pace import pace, set_learning_rate
from ..headless.flow_pipeline import velocity_of
from .checkpoint import load_checkpoint, save_checkpoint
from .precision import autocast
from .weights import FLOW_SHIFT
from .world import caption

# of equally many pictures, 32 at a time taught more than 64
BATCH = 32
# with AdamW for everything, at 2e-3, the velocity's squared error after 600 iterations was 0.230,
# with this 0.178
LEARNING_RATE = 4e-3
WEIGHT_DECAY = 1e-3
WARM_UP = 300  # iterations
EMPTY_CAPTIONS = 0.1  # share trained without a caption
EMA_DECAY = 0.9985
CHECKPOINT_SECONDS = 300


def train_flow_teacher(
    transformer, encode, latents, scenes, *, iterations, seed, checkpoint: Path, say
):
    """Train the transformer in place, and return the running average of its weights.

    Args:
        encode: captions -> states [B, tokens, width] and pooled [B, width].
        latents: [N, 4, h, w] encoded pictures of the N scenes.
        iterations: optimizer steps of BATCH pictures.
        checkpoint: file for the state of the run, written every few minutes. If it is there the run
            goes on from it, to the same end as one that was never cut off.
        say: takes a line that tells how far it is.

    Returns:
        a transformer that holds the exponential moving average.
    """
    average = copy.deepcopy(transformer).eval().requires_grad_(False)
    optimizers = optimizers_of(transformer)
    networks = {"transformer": transformer, "average": average}
    begin = load_checkpoint(checkpoint, networks, optimizers)
    saved = time.monotonic()
    for i in range(begin, iterations):
        loss = _step_loss(transformer, encode, latents, scenes, np.random.default_rng((seed, i)))
        for optimizer in optimizers.values():
            set_learning_rate(optimizer, LEARNING_RATE * pace(i, iterations, WARM_UP))
            optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(transformer.parameters(), 1.0)
        for optimizer in optimizers.values():
            optimizer.step()
        # at first the average must not cling to the random weights it began with
        follow(average, transformer, min(EMA_DECAY, (1 + i) / (10 + i)))
        if time.monotonic() - saved >= CHECKPOINT_SECONDS:
            save_checkpoint(checkpoint, networks, optimizers, i + 1)
            saved = time.monotonic()
        if i % 50 == 0:
            say(f"flow teacher {i}/{iterations} loss {loss.item():.4f}")
    return average


def optimizers_of(transformer) -> dict[str, torch.optim.Optimizer]:
    """Muon for the matrices inside blocks, and AdamW for everything else.

    Jordan et al., "Muon: An optimizer for hidden layers in neural networks", 2024; its steps are as
    large as AdamW's, as in "Muon is Scalable for LLM Training", arXiv:2502.16982, equation 4, so
    that one learning rate serves for both.
    """
    blocks = (transformer.transformer_blocks, transformer.single_transformer_blocks)
    matrices = [p for part in blocks for p in part.parameters() if p.ndim == 2]
    known = set(map(id, matrices))
    others = [p for p in transformer.parameters() if id(p) not in known]
    options = {"lr": LEARNING_RATE, "weight_decay": WEIGHT_DECAY}
    return {
        "muon": torch.optim.Muon(matrices, adjust_lr_fn="match_rms_adamw", **options),
        "adamw": torch.optim.AdamW(others, **options),
    }


def _step_loss(transformer, encode, latents, scenes, rng):
    rows = rng.integers(len(scenes), size=BATCH)
    captions = ["" if rng.random() < EMPTY_CAPTIONS else caption(scenes[r], rng) for r in rows]
    x0 = latents[rows]
    generator = torch.Generator().manual_seed(int(rng.integers(2**63)))
    noise = torch.randn(x0.shape, generator=generator)
    return flow_matching_loss(
        transformer, *encode(captions), x0, noise, draw_levels(BATCH, rng)
    ).mean()


def draw_levels(count: int, rng: np.random.Generator) -> torch.Tensor:
    """[count] levels in (0, 1], one in each equal share of the shifted distribution."""
    even = (np.arange(count) + 1.0 - rng.random()) / count
    return torch.tensor([shifted(sigma, FLOW_SHIFT) for sigma in even], dtype=torch.float32)


def flow_matching_loss(transformer, states, pooled, x0, noise, sigma):
    """Mean squared error of the predicted velocity noise - x0.

    Args:
        states, pooled: [B, tokens, width] and [B, width] of the captions.
        x0, noise: [B, C, h, w].
        sigma: [B] levels, 0..1.

    Returns:
        [B].
    """
    x = FLOW.mix(x0, noise, sigma.view(-1, 1, 1, 1))
    # on a CPU the fused attention's gradient is four times slower in bfloat16 than in float32
    with autocast(), sdpa_kernel(SDPBackend.MATH):
        velocity = velocity_of(transformer, x, sigma, states, pooled)
    return (velocity.float() - (noise - x0)).square().mean(dim=(1, 2, 3))

"""Train the demo autoencoder (TAESD's shape) on pieces of demo pictures.

The encoder must give latents a diffusion model likes. Its first three channels are drawn towards
the plain mean colour of each 8 x 8 patch, strongly at first and loosely later, so that the latent
stays a small picture; the fourth is free for outlines. Noise is added before decoding, so that a
small error in the latent stays a small error in the picture.
"""

import numpy as np
import torch
import torch.nn.functional as F

from ..distill.pace import pace, set_learning_rate
from .architecture import new_autoencoder
from .world import draw, random_scene

PICTURES = 6000
CROP = 64  # pixels
BATCH = 24
ITERATIONS = 1500
LEARNING_RATE = 1e-3
POLISH_ITERATIONS = 1000
POLISH_RATE = 6e-4
LATENT_NOISE = 0.05  # standard deviation, where the latent's own is about 1
COLOUR_SPREAD = 0.55  # standard deviation of a colour channel over the world, -1..1
COLOUR_PULL = (1.0, 0.02)  # weight of the mean-colour term at the start and from a third on


def train_autoencoder(seed: int, say):
    """Train from random weights; equal seeds on one machine give equal weights.

    Returns:
        diffusers' AutoencoderTiny.
    """
    torch.manual_seed(seed)
    pieces = _Pieces(seed)
    model = new_autoencoder().to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE, betas=(0.9, 0.99))
    for i in range(ITERATIONS):
        set_learning_rate(optimizer, LEARNING_RATE * pace(i, ITERATIONS, warm_up=50))
        x = pieces.draw()
        pull = max(COLOUR_PULL[0] * (1 - 3 * i / ITERATIONS), COLOUR_PULL[1])
        with torch.autocast("cpu", torch.bfloat16):
            latent = model.encoder(x)
        repair = _repair(model, latent, x)
        loss = repair + pull * _off_colour(latent.float(), x) + 0.01 * _off_unit(latent.float())
        _step(loss, optimizer, model)
        if i % 50 == 0:
            say(f"autoencoder {i}/{ITERATIONS} repair {repair.item():.4f} loss {loss.item():.4f}")
    return model.eval()


def polish_decoder(model, seed: int, say) -> None:
    """Train the decoder on, in place; latents, and all that was made of them, stay as they are."""
    torch.manual_seed(seed)
    pieces = _Pieces(seed + 1)
    optimizer = torch.optim.Adam(model.decoder.parameters(), betas=(0.9, 0.99))
    for i in range(POLISH_ITERATIONS):
        set_learning_rate(optimizer, POLISH_RATE * pace(i, POLISH_ITERATIONS, warm_up=50))
        x = pieces.draw()
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
            latent = model.encoder(x)
        repair = _repair(model, latent, x)
        _step(repair, optimizer, model.decoder)
        if i % 50 == 0:
            say(f"decoder {i}/{POLISH_ITERATIONS} repair {repair.item():.4f}")


def to_tensor(pictures: np.ndarray) -> torch.Tensor:
    """[B, H, W, 3] uint8 to [B, 3, H, W] float32 in -1..1."""
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 127.5 - 1


class _Pieces:
    """An endless source of crops that hold at least a part of a thing, where the work is."""

    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)
        self.scenes = [random_scene(self.rng, 1 + i % 2) for i in range(PICTURES)]
        self.pictures = np.stack([draw(scene) for scene in self.scenes])

    def draw(self):
        """[BATCH, 3, CROP, CROP] in -1..1."""
        pieces = []
        for row in self.rng.integers(len(self.scenes), size=BATCH):
            things = self.scenes[row].things
            thing = things[self.rng.integers(len(things))]
            aside = self.rng.uniform(-CROP / 3, CROP / 3, 2)
            corner = np.array([thing.y, thing.x]) - CROP / 2 + aside
            top, left = np.clip(corner, 0, self.pictures.shape[1] - CROP).astype(int)
            pieces.append(self.pictures[row, top : top + CROP, left : left + CROP])
        return to_tensor(np.stack(pieces)).contiguous(memory_format=torch.channels_last)


def _repair(model, latent, x):
    with torch.autocast("cpu", torch.bfloat16):
        again = model.decoder(latent + LATENT_NOISE * torch.randn_like(latent)).float()
    return F.l1_loss(again, x) + F.mse_loss(again, x)


def _step(loss, optimizer, trained):
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(trained.parameters(), 1.0)
    optimizer.step()


def _off_colour(latent, x):
    return F.mse_loss(latent[:, :3], F.avg_pool2d(x, 8) / COLOUR_SPREAD)


def _off_unit(latent):
    spread, middle = torch.std_mean(latent[:, 3:], dim=(0, 2, 3))
    return (middle**2 + (spread - 1) ** 2).mean()

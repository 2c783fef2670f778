"""Pictures of a golden set between latents and files."""

import comfy.model_management
import numpy
import torch


def empty_latent(shape: tuple[int, ...]) -> dict:
    """LATENT of one picture, [1, C, ...] zeros."""
    device = comfy.model_management.intermediate_device()
    return {"samples": torch.zeros(1, *shape, device=device)}


def decoded(vae, latent: dict) -> numpy.ndarray:
    """[H, W, 3] uint8 of a LATENT of one picture; of a video the first."""
    image = vae.decode(latent["samples"])
    image = image.reshape(-1, *image.shape[-3:])[0]
    return (image.clamp(0, 1) * 255).round().to(torch.uint8).cpu().numpy()

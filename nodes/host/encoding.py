"""Texts as CONDITIONING, and latents of a MODEL's shape."""

import comfy.model_management
import comfy.sample
import comfy.utils
import torch


def encode(clip, texts: list[str]) -> list:
    """CONDITIONING of each text, as CLIP Text Encode gives it; shows progress and can be cancelled.

    Raises:
        ValueError: clip is empty.
    """
    if clip is None:
        raise ValueError(
            "clip is empty: the checkpoint has no text encoder. Load one with Load CLIP."
        )
    bar, encoded = comfy.utils.ProgressBar(len(texts)), []
    for text in texts:
        comfy.model_management.throw_exception_if_processing_interrupted()
        encoded.append(clip.encode_from_tokens_scheduled(clip.tokenize(text)))
        bar.update(1)
    return encoded


def latent_shape(model, latent_image) -> tuple[int, ...]:
    """[C, ...] of one picture of a LATENT, with the channels that the MODEL has.

    Raises:
        ValueError: the latent is a video with sound, or anything else of several parts.
    """
    samples = latent_image["samples"]
    if samples.is_nested:
        raise ValueError(
            "latent_image has several parts (video and sound); training takes latents of one."
        )
    fixed = comfy.sample.fix_empty_latent_channels(model, torch.zeros_like(samples[:1]))
    return tuple(fixed.shape[1:])

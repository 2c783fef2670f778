"""Texts as CONDITIONING, pictures as latents, and latents of a MODEL's shape."""

import hashlib

import comfy.model_management
import comfy.sample
import comfy.utils
import torch

from ...distill.fingerprint import add_weights


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


def encoded_shape(model, vae, width: int, height: int) -> tuple[int, ...]:
    """[C, ...] of a picture of this size in pixels, as a VAE encodes it for the MODEL.

    Raises:
        ValueError: there is no VAE, it is of another kind of model, or it has no latents of
            exactly this size.
    """
    if vae is None:
        raise ValueError("vae is empty: the checkpoint has no VAE. Load one with Load VAE.")
    multiple = int(vae.spacial_compression_encode())
    if width % multiple or height % multiple:
        raise ValueError(
            f"width is {width} and height {height}; allowed are multiples of {multiple} for this "
            f"vae, such as {_nearest(width, multiple)} and {_nearest(height, multiple)}."
        )
    return tuple(encode_picture(model, vae, torch.zeros(1, height, width, 3)).shape)


def encode_picture(model, vae, image) -> torch.Tensor:
    """A clean latent [C, ...] as the network is trained on it, on the CPU.

    Args:
        image: IMAGE [1, h, w, 3].

    Raises:
        ValueError: the VAE is of another kind of model.
    """
    latent = vae.encode(image)
    kind = model.get_model_object("latent_format")
    if latent.shape[1] != kind.latent_channels:
        raise ValueError(
            f"vae gives latents of {latent.shape[1]} channels, and model takes "
            f"{kind.latent_channels}. Connect the VAE of this model."
        )
    if kind.latent_dimensions == 3 and latent.ndim == 4:
        latent = latent.unsqueeze(2)
    return model.model.process_latent_in(latent)[0].float().cpu()


def vae_digest(vae) -> str:
    """Equal for equal VAEs; of a large weight a part is read."""
    digest = hashlib.sha256()
    add_weights(digest, vae.first_stage_model)
    return digest.hexdigest()


def _nearest(size, multiple):
    return max(1, round(size / multiple)) * multiple

"""The demo model on diffusers: captions in, pictures out, sampled by the core."""

from typing import NamedTuple

import numpy as np
import torch
from diffusers import AutoencoderTiny, UNet2DConditionModel
from safetensors.torch import load_file
from transformers import CLIPTextModel, CLIPTokenizer

from ..demo import weights
from ..diffusion.prediction import EPS
from ..diffusion.sigmas import sigma_table, timestep_of
from ..guidance.embedded import guidance_embedding
from .lora import merge


class Pipeline(NamedTuple):
    """The networks of the demo model."""

    tokenizer: CLIPTokenizer
    text_encoder: CLIPTextModel
    unet: UNet2DConditionModel
    vae: AutoencoderTiny

    def encode(self, captions: list[str]) -> torch.Tensor:
        """Text states [B, tokens, width] of captions."""
        tokens = tokenize(self.tokenizer, self.text_encoder, captions)
        return self.text_encoder(tokens).last_hidden_state

    def denoiser(self, captions: list[str], cfg_scale: float = 1.0, guidance: float | None = None):
        """(x in VE space, sigma) -> x0 estimate; one network pass at cfg_scale 1, else two.

        Args:
            guidance: the cfg_scale a full LCM UNet is told to imitate; None for other UNets.

        Raises:
            ValueError: the UNet must be told its guidance and is not, or cannot be and is; or
                guidance is below 1 or not finite.
        """
        told = self._told(guidance)
        cond = self.encode(captions)
        uncond = self.encode([""]).expand_as(cond)
        table = sigma_table()

        def predict(x, sigma, states):
            timestep = timestep_of(sigma, table)
            eps = self.unet(x / (sigma**2 + 1) ** 0.5, timestep, states, timestep_cond=told).sample
            return EPS.to_denoised(x, eps, sigma)

        def denoise(x, sigma):
            if cfg_scale == 1.0:
                return predict(x, sigma, cond)
            both = predict(torch.cat([x, x]), sigma, torch.cat([cond, uncond]))
            denoised, denoised_uncond = both.chunk(2)
            return denoised_uncond + cfg_scale * (denoised - denoised_uncond)

        return denoise

    def _told(self, guidance):
        width = self.unet.config.time_cond_proj_dim
        if width is None and guidance is not None:
            raise ValueError(
                f"guidance is {guidance:g}, and this UNet has no input for it; allowed is None. "
                "Set cfg_scale, or load the full LCM UNet."
            )
        if width is not None and guidance is None:
            raise ValueError(
                "guidance is None, and this UNet is told its guidance; allowed is a number of 1 "
                "or more. 1 is none."
            )
        return None if width is None else guidance_embedding(guidance, width)

    def decode(self, latents: torch.Tensor) -> np.ndarray:
        """[B, 4, h, w] latents to [B, 8 h, 8 w, 3] uint8 pictures."""
        return decode(self.vae, latents)


def tokenize(tokenizer, text_encoder, captions: list[str]) -> torch.Tensor:
    """Token ids [B, tokens] of captions, as many for each as the text encoder has places."""
    return tokenizer(
        captions,
        padding="max_length",
        max_length=text_encoder.config.max_position_embeddings,
        truncation=True,
        return_tensors="pt",
    ).input_ids


def decode(vae: AutoencoderTiny, latents: torch.Tensor) -> np.ndarray:
    """[B, 4, h, w] latents to [B, 8 h, 8 w, 3] uint8 pictures."""
    # one at a time: what the decoder makes of several on its way does not fit a CPU's cache
    pictures = torch.cat([vae.decode(one).sample for one in latents.split(1)]).clamp(-1, 1)
    return ((pictures + 1) * 127.5).round().byte().permute(0, 2, 3, 1).cpu().numpy()


def load_part(kind, part: str, dtype=torch.float32):
    """A network of the demo model, not to be trained; `kind` is its class."""
    network = kind.from_pretrained(weights.FOLDER / part, torch_dtype=dtype)
    return network.eval().requires_grad_(False)


def load_vae() -> AutoencoderTiny:
    """The demo model's autoencoder in float32, not to be trained."""
    # as a CPU's convolutions want it: a picture is decoded in five sixths of the time
    return load_part(AutoencoderTiny, "vae").to(memory_format=torch.channels_last)


def load_unet(part: str) -> UNet2DConditionModel:
    """A UNet of the demo model in float32, not to be trained: "unet" or weights.LCM_UNET."""
    unet = UNet2DConditionModel.from_config(weights.read_config(part))
    unet.load_state_dict(weights.read_weights(part))
    return unet.eval().requires_grad_(False)


def load_demo(lora: bool = False, unet: str = "unet") -> Pipeline:
    """The shipped demo model in float32; with `lora` its LCM-LoRA is merged in.

    Args:
        unet: "unet", the teacher, or weights.LCM_UNET, which wants no LoRA.

    Raises:
        FileNotFoundError: a part of it is missing.
    """
    weights.check_present(unet, weights.LCM_LORA if lora else None)
    pipeline = Pipeline(
        CLIPTokenizer.from_pretrained(weights.TOKENIZER),
        load_part(CLIPTextModel, "text_encoder"),
        load_unet(unet),
        load_vae(),
    )
    if lora:
        merge(pipeline.unet, load_file(weights.LCM_LORA))
    return pipeline

"""The demo model's flow-matching teacher on diffusers: captions in, pictures out.

Rectified flow, arXiv:2209.03003: x = (1 - sigma) x0 + sigma noise, and the network predicts
noise - x0. The core samples it with samplers.ode, process FLOW, on diffusion.sigmas.flow_trailing.
"""

from typing import NamedTuple

import torch
from diffusers import AutoencoderTiny, FluxTransformer2DModel
from einops import rearrange
from transformers import CLIPTextModel, CLIPTokenizer

from ..demo import weights
from ..diffusion.prediction import FLOW_VELOCITY
from ..distill.guidance import guided
from .pipeline import decode, load_part, load_vae, tokenize

PATCH = {"ph": 2, "pw": 2}  # rows and columns of latents in a token


class Texts(NamedTuple):
    """What the transformer is told of B captions."""

    states: torch.Tensor  # [B, tokens, width]
    pooled: torch.Tensor  # [B, width], the state at the end token


class FlowPipeline(NamedTuple):
    """The networks of the flow-matching demo model."""

    tokenizer: CLIPTokenizer
    text_encoder: CLIPTextModel
    transformer: FluxTransformer2DModel
    vae: AutoencoderTiny

    def encode(self, captions: list[str]) -> Texts:
        """What the transformer is told of these captions."""
        return encode(self.tokenizer, self.text_encoder, captions)

    def denoiser(self, captions: list[str], cfg_scale: float = 1.0, guidance: float | None = None):
        """(x in FLOW space, sigma) -> x0 estimate; one network pass at cfg_scale 1, else two.

        Args:
            guidance: what other pipelines tell their network; this one has no input for it.

        Raises:
            ValueError: guidance is given.
        """
        if guidance is not None:
            raise ValueError(
                f"guidance is {guidance:g}, and the flow teacher has no input for it; allowed is "
                "None. Set cfg_scale."
            )
        cond = self.encode(captions)
        uncond = [text.expand_as(like) for text, like in zip(self.encode([""]), cond, strict=True)]
        both = [torch.cat(pair) for pair in zip(cond, uncond, strict=True)]

        def denoise(x, sigma):
            if cfg_scale == 1.0:
                return denoised_of(self.transformer, x, x.new_full((len(x),), sigma), *cond)
            levels = x.new_full((2 * len(x),), sigma)
            denoised = denoised_of(self.transformer, torch.cat([x, x]), levels, *both)
            return guided(*denoised.chunk(2), cfg_scale)

        return denoise

    def decode(self, latents: torch.Tensor):
        """[B, 4, h, w] latents to [B, 8 h, 8 w, 3] uint8 pictures."""
        return decode(self.vae, latents)


def encode(tokenizer, text_encoder, captions: list[str]) -> Texts:
    """What a flow transformer is told of captions."""
    read = text_encoder(tokenize(tokenizer, text_encoder, captions))
    return Texts(read.last_hidden_state, read.pooler_output)


def denoised_of(transformer, x, sigma, states, pooled):
    """The x0 estimate of a flow transformer, without guidance.

    Args:
        transformer: diffusers' FluxTransformer2DModel for patches of 2 x 2.
        x: [B, C, h, w] noisy latent in FLOW space, h and w even.
        sigma: [B] levels, 0..1.
        states, pooled: [B, tokens, width] and [B, width], as `Texts` has them.

    Returns:
        [B, C, h, w].
    """
    velocity = velocity_of(transformer, x, sigma, states, pooled)
    return FLOW_VELOCITY.to_denoised(x, velocity, sigma.view(-1, 1, 1, 1))


def velocity_of(transformer, x, sigma, states, pooled, guidance=None):
    """The prediction of noise - x0 that a flow transformer makes; as `denoised_of`.

    Args:
        guidance: [B], told to a transformer with an input for it, as FLUX.1-dev has; else None.
    """
    rows, columns = x.shape[2] // PATCH["ph"], x.shape[3] // PATCH["pw"]
    tokens = transformer(
        hidden_states=rearrange(x, "b c (h ph) (w pw) -> b (h w) (c ph pw)", **PATCH),
        encoder_hidden_states=states,
        pooled_projections=pooled,
        # diffusers multiplies by 1000 itself
        timestep=sigma,
        guidance=guidance,
        img_ids=_places(rows, columns, x.device),
        # all text stands in one place: the text encoder has told its words' order already
        txt_ids=torch.zeros(states.shape[1], 3, device=x.device),
    ).sample
    return rearrange(tokens, "b (h w) (c ph pw) -> b c (h ph) (w pw)", h=rows, **PATCH)


def _places(rows, columns, device):
    """[rows * columns, 3]: number of the picture, row, column."""
    row, column = torch.meshgrid(
        torch.arange(rows, device=device), torch.arange(columns, device=device), indexing="ij"
    )
    return torch.stack([torch.zeros_like(row), row, column], dim=-1).view(-1, 3).float()


def load_flow_demo() -> FlowPipeline:
    """The shipped flow-matching demo model in float32.

    Raises:
        FileNotFoundError: a part of it is missing.
    """
    weights.check_present(weights.FLOW)
    return FlowPipeline(
        CLIPTokenizer.from_pretrained(weights.TOKENIZER),
        load_part(CLIPTextModel, "text_encoder"),
        load_part(FluxTransformer2DModel, weights.FLOW),
        load_vae(),
    )

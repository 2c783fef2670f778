"""Whole pipelines of diffusers with tiny networks and random weights, as folders on disk.

Their words are those of the demo world, whose tokenizer comes along.
"""

import torch
from diffusers import (
    AutoencoderKL,
    DDIMScheduler,
    FlowMatchEulerDiscreteScheduler,
    FluxPipeline,
    StableDiffusionPipeline,
    StableDiffusionXLPipeline,
)
from tiny_models import WIDTH, tiny_flux, tiny_sdxl
from tiny_unet import tiny_unet
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    CLIPTokenizer,
    T5Config,
    T5EncoderModel,
)

from fewstep.demo import weights

DDIM = {
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "clip_sample": False,
    # so that the last step ends at clean, as ComfyUI's and ours do
    "set_alpha_to_one": True,
    "timestep_spacing": "trailing",
    "steps_offset": 1,
}
FLUX = {
    "use_dynamic_shifting": True,
    "base_image_seq_len": 16,
    "max_image_seq_len": 64,
    "base_shift": 0.5,
    "max_shift": 1.15,
}


def tokenizer():
    return CLIPTokenizer.from_pretrained(weights.TOKENIZER, model_max_length=16)


def text_encoder(kind=CLIPTextModel, width=WIDTH, seed=5):
    torch.manual_seed(seed)
    size = len(tokenizer())
    config = CLIPTextConfig(
        vocab_size=size,
        hidden_size=width,
        intermediate_size=2 * width,
        projection_dim=width,
        num_hidden_layers=3,
        num_attention_heads=2,
        max_position_embeddings=16,
        bos_token_id=size - 2,
        eos_token_id=size - 1,
        pad_token_id=size - 1,
    )
    return kind(config).eval()


def autoencoder():
    return AutoencoderKL(
        block_out_channels=(4, 4, 4, 4),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        norm_num_groups=2,
        # which FLUX.1's pipeline cannot do without
        shift_factor=0.0,
    )


def save_sd(folder, prediction_type="epsilon"):
    pipeline = StableDiffusionPipeline(
        vae=autoencoder(),
        text_encoder=text_encoder(),
        tokenizer=tokenizer(),
        unet=tiny_unet().eval(),
        scheduler=DDIMScheduler(**DDIM, prediction_type=prediction_type),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipeline.save_pretrained(folder)
    return pipeline


def save_sdxl(folder):
    half = WIDTH // 2
    pipeline = StableDiffusionXLPipeline(
        vae=autoencoder(),
        text_encoder=text_encoder(width=half),
        text_encoder_2=text_encoder(CLIPTextModelWithProjection, half, seed=6),
        tokenizer=tokenizer(),
        tokenizer_2=tokenizer(),
        unet=tiny_sdxl(pooled=half),
        scheduler=DDIMScheduler(**DDIM),
        force_zeros_for_empty_prompt=False,
    )
    pipeline.save_pretrained(folder)
    return pipeline


def save_flux(folder, guidance_embeds=True):
    torch.manual_seed(7)
    t5 = T5Config(
        vocab_size=len(tokenizer()), d_model=WIDTH, d_kv=4, d_ff=16, num_layers=2, num_heads=2
    )
    pipeline = FluxPipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(**FLUX),
        vae=autoencoder(),
        text_encoder=text_encoder(),
        tokenizer=tokenizer(),
        text_encoder_2=T5EncoderModel(t5).eval(),
        tokenizer_2=tokenizer(),
        transformer=tiny_flux(guidance_embeds),
    )
    pipeline.save_pretrained(folder)
    return pipeline

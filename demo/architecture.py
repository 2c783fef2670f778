"""The shapes of the demo networks: Stable Diffusion's and FLUX's own architectures, small.

One description serves diffusers and transformers here; the same numbers are read back from the
config files beside the weights when ComfyUI builds its own classes.
"""

import torch
from diffusers import AutoencoderTiny, FluxTransformer2DModel, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel

from .vocabulary import MAX_TOKENS

LATENT_SIZE = 16  # 8 pixels each
LATENT_CHANNELS = 4
PATCH = 2  # rows and columns of latents that are one token of the flow transformer
TEXT_WIDTH = 128


def new_unet() -> UNet2DConditionModel:
    """SD's UNet with two levels, cross attention on the lower one, and random weights."""
    return UNet2DConditionModel(
        sample_size=LATENT_SIZE,
        block_out_channels=(64, 128),
        layers_per_block=1,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=TEXT_WIDTH,
        attention_head_dim=4,  # the number of heads; diffusers kept the misleading name
    )


def new_flow_transformer() -> FluxTransformer2DModel:
    """FLUX's transformer for 2 x 2 patches of the latents, and random weights.

    Modulation takes a third of a double block's parameters and a fifth of a single one's, so there
    are twice as many single blocks. It begins at 0, and with it every gate: each block lets its
    input through, and the output is 0 (adaLN-Zero, arXiv:2212.09748; diffusers leaves it random).
    """
    transformer = FluxTransformer2DModel(
        in_channels=LATENT_CHANNELS * PATCH**2,
        num_layers=2,
        num_single_layers=4,
        attention_head_dim=32,
        num_attention_heads=4,
        joint_attention_dim=TEXT_WIDTH,
        pooled_projection_dim=TEXT_WIDTH,
        guidance_embeds=False,
        # FLUX's own shares of a head for the picture's number, row and column
        axes_dims_rope=(4, 14, 14),
    )
    blocks = (*transformer.transformer_blocks, *transformer.single_transformer_blocks)
    norms = [norm for block in blocks for norm in block.children() if hasattr(norm, "linear")]
    for linear in (*(norm.linear for norm in norms), transformer.norm_out.linear):
        torch.nn.init.zeros_(linear.weight)
        torch.nn.init.zeros_(linear.bias)
    torch.nn.init.zeros_(transformer.proj_out.weight)
    torch.nn.init.zeros_(transformer.proj_out.bias)
    return transformer


def new_text_encoder(vocabulary_size: int) -> CLIPTextModel:
    """CLIP's text model with three layers and random weights; start and end are the last tokens."""
    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=vocabulary_size,
            hidden_size=TEXT_WIDTH,
            intermediate_size=4 * TEXT_WIDTH,
            num_hidden_layers=3,
            num_attention_heads=4,
            max_position_embeddings=MAX_TOKENS,
            hidden_act="quick_gelu",
            projection_dim=TEXT_WIDTH,
            bos_token_id=vocabulary_size - 2,
            eos_token_id=vocabulary_size - 1,
            pad_token_id=vocabulary_size - 1,
        )
    )


def new_autoencoder() -> AutoencoderTiny:
    """TAESD's shape with random weights: 8 pixels to one latent, 4 channels."""
    return AutoencoderTiny()

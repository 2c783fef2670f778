"""The shapes of the demo networks: Stable Diffusion's own architecture, small.

One description serves diffusers and transformers here; the same numbers are read back from the
config files beside the weights when ComfyUI builds its own classes.
"""

from diffusers import AutoencoderTiny, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel

from .vocabulary import MAX_TOKENS

LATENT_SIZE = 16  # 8 pixels each
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

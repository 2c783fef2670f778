"""Networks of diffusers' larger families, small enough for a pass in a blink, and conditions."""

import torch
from diffusers import FluxTransformer2DModel, SD3Transformer2DModel, UNet2DConditionModel

LATENT = (4, 8, 8)
WIDTH = 8
TOKENS = 5


def tiny_sdxl(pooled=WIDTH):
    torch.manual_seed(1)
    return UNet2DConditionModel(
        sample_size=8,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        block_out_channels=(8, 16),
        layers_per_block=1,
        norm_num_groups=4,
        cross_attention_dim=WIDTH,
        attention_head_dim=(2, 4),
        transformer_layers_per_block=(1, 2),
        use_linear_projection=True,
        addition_embed_type="text_time",
        addition_time_embed_dim=4,
        projection_class_embeddings_input_dim=pooled + 6 * 4,
    ).eval()


def tiny_flux(guidance_embeds=False):
    torch.manual_seed(2)
    return FluxTransformer2DModel(
        in_channels=16,
        num_layers=1,
        num_single_layers=2,
        attention_head_dim=8,
        num_attention_heads=2,
        joint_attention_dim=WIDTH,
        pooled_projection_dim=WIDTH,
        guidance_embeds=guidance_embeds,
        axes_dims_rope=(2, 2, 4),
    ).eval()


def tiny_sd3():
    torch.manual_seed(3)
    return SD3Transformer2DModel(
        sample_size=8,
        patch_size=2,
        in_channels=4,
        out_channels=4,
        num_layers=2,
        attention_head_dim=8,
        num_attention_heads=2,
        joint_attention_dim=WIDTH,
        caption_projection_dim=16,
        pooled_projection_dim=WIDTH,
        pos_embed_max_size=8,
    ).eval()


def conditions(*names, rows=3, seed=4):
    """Random ones by name, the negative last."""
    generator = torch.Generator().manual_seed(seed)
    shapes = {"states": (TOKENS, WIDTH), "pooled": (WIDTH,), "time_ids": (6,)}
    return {name: torch.randn(rows + 1, *shapes[name], generator=generator) for name in names}

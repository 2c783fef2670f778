"""Networks that look at pictures, with random weights: a tiny CLIP, and AlexNet."""

import torch
from tiny_pipelines import tokenizer
from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel, CLIPTextConfig, CLIPVisionConfig

WORDS = 16


def save_clip(folder):
    # one whose pictures and words lie on one side, so that CLIP scores are not 0
    torch.manual_seed(17)
    tokens = tokenizer()
    size, sides = len(tokens), {"hidden_size": 16, "intermediate_size": 32}
    shape = {**sides, "num_hidden_layers": 2, "num_attention_heads": 2, "projection_dim": 12}
    text = CLIPTextConfig(
        vocab_size=size,
        max_position_embeddings=WORDS,
        bos_token_id=size - 2,
        eos_token_id=size - 1,
        pad_token_id=size - 1,
        **shape,
    )
    vision = CLIPVisionConfig(image_size=32, patch_size=8, **shape)
    parts = {"text_config": text.to_dict(), "vision_config": vision.to_dict()}
    config = CLIPConfig(**parts, projection_dim=12)
    model = CLIPModel(config).eval()
    model.save_pretrained(folder)
    tokens.save_pretrained(folder)
    sides = {"size": {"shortest_edge": 32}, "crop_size": {"height": 32, "width": 32}}
    CLIPImageProcessor(**sides).save_pretrained(folder)
    return model


def alexnet_weights(seed=0):
    """AlexNet's convolutions in torchvision's names."""
    shapes = (
        (0, 64, 3, 11),
        (3, 192, 64, 5),
        (6, 384, 192, 3),
        (8, 256, 384, 3),
        (10, 256, 256, 3),
    )
    generator, found = torch.Generator().manual_seed(seed), {}
    for number, out, into, side in shapes:
        weight = torch.randn(out, into, side, side, generator=generator) / (side * into**0.5)
        found |= {f"features.{number}.weight": weight, f"features.{number}.bias": torch.zeros(out)}
    return found

"""What a CLIP_VISION sees in pictures, and a CLIP of the same model reads in prompts."""

import torch

# what ComfyUI's CLIP vision models call their place in the space that texts share
EMBEDDING = "image_embeds"


@torch.no_grad()
def of_picture(clip_vision, image: torch.Tensor) -> torch.Tensor:
    """[D] features of an IMAGE [1, H, W, 3], on the CPU in float32."""
    return clip_vision.encode_image(image)[EMBEDDING][0].float().cpu()


@torch.no_grad()
def of_prompt(clip, text: str, width: int) -> torch.Tensor:
    """[D] features of a prompt, on the CPU in float32.

    Args:
        width: of the features of pictures.

    Raises:
        ValueError: the CLIP has no such features: it is of another model than the CLIP_VISION.
    """
    pooled = clip.encode_from_tokens(clip.tokenize(text), return_pooled=True)[1]
    found = None if pooled is None else pooled.shape[-1]
    if found != width:
        raise ValueError(
            f"clip gives {found or 'no'} features of a prompt, and clip_vision {width} of a "
            "picture; they must be two halves of one CLIP model, such as SD 1.5's text encoder "
            "and CLIP ViT-L. Take clip away to leave the CLIP score out."
        )
    return pooled.reshape(-1).float().cpu()

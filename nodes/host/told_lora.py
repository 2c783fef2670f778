"""A LoRA that brings an input for guidance: the cond_proj that its student was trained with."""

import torch
from torch import nn

from ...guidance.embedded import COND_PROJ
from ...lora.layers import layers_of
from .w_embedding import has_w_embedding, with_w_embedding

# stands for a place that is beside the network
BESIDE = "beside"
# what files call the layer: as ComfyUI's trainer does, and as kohya
NAMES = (f"diffusion_model.{COND_PROJ}", f"lora_unet_{COND_PROJ.replace('.', '_')}")


def brings_projection(stems, model) -> bool:
    """Whether a file with layers of these names has a cond_proj that a MODEL's UNet lacks."""
    is_unet = hasattr(model.model.diffusion_model, "time_embed")
    return is_unet and not has_w_embedding(model) and not stems.isdisjoint(NAMES)


def with_told_lora(model, tensors: dict[str, torch.Tensor], strength: float, guidance: float):
    """A copy of a MODEL that is told its guidance as the student of a LoRA was.

    Args:
        tensors: of the layer cond_proj, as its file has them.
        guidance: to tell the network until another is set; cfg_scale, 1 = none.

    Raises:
        ValueError: the layer is no plain LoRA.
    """
    (layer,) = layers_of(tensors).values()
    if layer.down is None or layer.mid is not None or layer.dora_scale is not None:
        raise ValueError(
            f"the file changes {COND_PROJ} by something else than a plain LoRA; allowed are LoRAs "
            "that FewStep has trained. Use one of these."
        )
    scale = strength * (1.0 if layer.alpha is None else layer.alpha / layer.rank)
    weight = scale * layer.up.float() @ layer.down.float()
    return with_w_embedding(model, Projection(weight), guidance)


class Projection(nn.Linear):
    """A linear layer beside a network, which computes where and in what it is asked."""

    def __init__(self, weight):
        nn.Module.__init__(self)
        self.out_features, self.in_features = weight.shape
        self.weight = nn.Parameter(weight, requires_grad=False)
        self.register_parameter("bias", None)

    def forward(self, x):
        return nn.functional.linear(x, self.weight.to(x))

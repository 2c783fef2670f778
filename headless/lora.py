"""A LoRA file in the weights of a network, for networks that nobody trains any more."""

import torch
from torch import nn

from ..lora.merge import merge_file


@torch.no_grad()
def merge(network: nn.Module, state: dict, strength: float = 1.0, component: str = "unet") -> None:
    """Add a LoRA to a network's weights, in place.

    Arguments and errors as of `lora.merge.merge_file`; after an error nothing has changed.
    """
    weights = network.state_dict()
    merged = merge_file(weights, state, strength, component)
    for name in merged.remainder:
        weights[name].copy_(merged.weights[name])

"""A LoRA held apart from its network, so that one network serves as teacher, student and target.

The weights W + alpha / rank * up @ down are formed anew for every use and given to the network for
one call. Nothing is ever written into the network.
"""

import math

import torch
from torch import nn

from ..lora.convert import write_layers
from ..lora.layers import Layer
from ..lora.merge import merge_file
from ..lora.targets import Module

# every Linear and Conv2d of an SD UNet that published LCM-LoRAs train
TARGETS = (
    "to_q",
    "to_k",
    "to_v",
    "to_out.0",
    "proj_in",
    "proj_out",
    "ff.net.0.proj",
    "ff.net.2",
    "conv1",
    "conv2",
    "conv_shortcut",
    "downsamplers.0.conv",
    "upsamplers.0.conv",
    "time_emb_proj",
)


class Lora(nn.Module):
    """Low-rank changes to a network's weights, zero at first.

    Args:
        network: the frozen base; only its shapes and weights are read.
        rank: inner width of every pair.
        lora_alpha: the change is scaled by lora_alpha / rank.
        generator: draws the down matrices.
    """

    def __init__(self, network: nn.Module, rank: int, lora_alpha: float, generator):
        super().__init__()
        self.rank, self.lora_alpha = rank, lora_alpha
        self.names = [name for name, _ in network.named_modules() if name.endswith(TARGETS)]
        self.bases = {name: network.get_submodule(name).weight.detach() for name in self.names}
        self.down, self.up = nn.ParameterList(), nn.ParameterList()
        for base in self.bases.values():
            bound = 1 / math.sqrt(base[0].numel())  # as nn.Linear starts
            down = torch.empty(rank, *base.shape[1:]).uniform_(-bound, bound, generator=generator)
            self.down.append(nn.Parameter(down))
            self.up.append(nn.Parameter(torch.zeros(len(base), rank, *[1] * (base.ndim - 2))))

    def weights(self) -> dict[str, torch.Tensor]:
        """The changed weights by their names in the network, for torch.func.functional_call."""
        return {
            f"{name}.weight": base
            + self.lora_alpha / self.rank * (up.flatten(1) @ down.flatten(1)).view_as(base)
            for (name, base), down, up in zip(self.bases.items(), self.down, self.up, strict=True)
        }

    def kohya(self) -> dict[str, torch.Tensor]:
        """The LoRA in float16 under kohya's key names, as every ComfyUI and WebUI reads it."""
        layers = {
            Module("unet", name): Layer(
                down=down.detach().half().contiguous(),
                up=up.detach().half().contiguous(),
                alpha=float(self.lora_alpha),
            )
            for name, down, up in zip(self.names, self.down, self.up, strict=True)
        }
        return write_layers(layers, "kohya", {"unet": self.names})[0]


@torch.no_grad()
def merge(network: nn.Module, state: dict, strength: float = 1.0, component: str = "unet") -> None:
    """Add a LoRA to a network's weights, in place.

    Arguments and errors as of `lora.merge.merge_file`; after an error nothing has changed.
    """
    weights = network.state_dict()
    merged = merge_file(weights, state, strength, component)
    for name in merged.remainder:
        weights[name].copy_(merged.weights[name])

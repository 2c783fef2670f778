"""A LoRA in training: low-rank changes of a network's layers, zero at first.

Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models", arXiv:2106.09685. Convolutions as
LyCORIS and PEFT have them: the down part has the layer's kernel, the up part is 1 x 1.
"""

import math
from collections.abc import Mapping, Sequence

import torch
from torch import nn
from torch.nn.functional import conv1d, conv2d, conv3d, linear

from ..lora.layers import Layer
from ..lora.targets import Module

CONVOLUTIONS = {3: conv1d, 4: conv2d, 5: conv3d}


class Lora(nn.Module):
    """W + lora_alpha / rank * up @ down for each layer, in float32.

    Args:
        layers: linear and convolution layers by their dotted paths; their shapes alone are read.
        rank: inner width of every pair.
        lora_alpha: the change is scaled by lora_alpha / rank.
        generator: draws the down matrices.

    Raises:
        ValueError: there is no layer; the rank is below 1 or above what a layer can have; a layer
            is of a kind that cannot have one.
    """

    def __init__(self, layers: Mapping[str, nn.Module], rank: int, lora_alpha: float, generator):
        super().__init__()
        if not layers:
            raise ValueError("no layer is to be trained; choose layers that the network has.")
        self.rank, self.lora_alpha = rank, lora_alpha
        self.paths = {path: i for i, path in enumerate(layers)}
        self.down, self.up = nn.ParameterList(), nn.ParameterList()
        for path, layer in layers.items():
            out, *inner = shape_of(layer, path)
            _check_rank(rank, out, inner, path)
            bound = 1 / math.sqrt(math.prod(inner))  # as nn.Linear starts
            down = torch.empty(rank, *inner).uniform_(-bound, bound, generator=generator)
            self.down.append(nn.Parameter(down))
            self.up.append(nn.Parameter(torch.zeros(out, rank, *[1] * (len(inner) - 1))))

    @classmethod
    def of(cls, layers: Mapping[str, Layer]) -> "Lora":
        """A LoRA of layers that are there already, by their dotted paths.

        Raises:
            ValueError: a layer is no plain pair of down and up.
        """
        lora = cls.__new__(cls)
        nn.Module.__init__(lora)
        # each layer has a rank and alpha of its own, which its up part takes in
        lora.rank, lora.lora_alpha = 1, 1.0
        lora.paths = {path: i for i, path in enumerate(layers)}
        lora.down, lora.up = nn.ParameterList(), nn.ParameterList()
        for path, layer in layers.items():
            if layer.down is None or layer.mid is not None or layer.dora_scale is not None:
                raise ValueError(
                    f"{path} is changed by something else than a plain LoRA; allowed are LoRAs "
                    "that FewStep has trained. Merge this one into the model instead."
                )
            scale = 1.0 if layer.alpha is None else layer.alpha / layer.rank
            lora.down.append(nn.Parameter(layer.down.float()))
            lora.up.append(nn.Parameter(scale * layer.up.float()))
        return lora

    def added(self, path: str, layer: nn.Module, x: torch.Tensor):
        """What the layer's output for x grows by; 0 for a layer that is not among its own."""
        i = self.paths.get(path)
        if i is None:
            return 0
        down, up = self.down[i].to(x.dtype), self.up[i].to(x.dtype)
        scale = self.lora_alpha / self.rank
        if down.ndim == 2:
            return scale * linear(linear(x, down), up)
        convolve = CONVOLUTIONS[down.ndim]
        narrow = convolve(x, down, None, layer.stride, layer.padding, layer.dilation)
        return scale * convolve(narrow, up)

    def layers(self, component: str) -> dict[Module, Layer]:
        """Its layers for `lora.convert.write_layers`, in float16."""
        return {
            Module(component, path): Layer(
                down=self.down[i].detach().half().cpu().contiguous(),
                up=self.up[i].detach().half().cpu().contiguous(),
                alpha=len(self.down[i]) * self.lora_alpha / self.rank,
            )
            for path, i in self.paths.items()
        }


def joined(loras: Sequence[Lora]) -> Lora:
    """One LoRA that changes as much as all of them together, of the sum of their ranks."""
    layers = {}
    for path in dict.fromkeys(path for lora in loras for path in lora.paths):
        mine = [(lora, lora.paths[path]) for lora in loras if path in lora.paths]
        ups = [lora.lora_alpha / lora.rank * lora.up[i].detach() for lora, i in mine]
        down = torch.cat([lora.down[i].detach() for lora, i in mine])
        layers[path] = Layer(down=down, up=torch.cat(ups, dim=1))
    return Lora.of(layers)


def shape_of(layer: nn.Module, path: str) -> tuple[int, ...]:
    """[out, in, ...] of a linear or convolution layer, also where its weight is quantised.

    Raises:
        ValueError: it is neither, or a convolution in groups.
    """
    if isinstance(layer, nn.Linear):
        return layer.out_features, layer.in_features
    if isinstance(layer, nn.Conv1d | nn.Conv2d | nn.Conv3d) and layer.groups == 1:
        return layer.out_channels, layer.in_channels, *layer.kernel_size
    raise ValueError(
        f"{path} is a {type(layer).__name__}; allowed are linear layers and convolutions without "
        "groups. Leave it out of the layers to train."
    )


def _check_rank(rank, out, inner, path):
    most = min(out, math.prod(inner))
    if not 1 <= rank <= most:
        raise ValueError(
            f"rank is {rank}; {path} is {out} by {math.prod(inner)}, so 1 to {most} is allowed. "
            "Choose a lower rank, or leave this layer out."
        )

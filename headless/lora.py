"""A LoRA held apart from its network, so that one network serves as teacher, student and target.

The weights W + alpha / rank * up @ down are formed anew for every use and given to the network for
one call. Nothing is ever written into the network.
"""

import math

import torch
from torch import nn

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
        state = {}
        for name, down, up in zip(self.names, self.down, self.up, strict=True):
            stem = "lora_unet_" + name.replace(".", "_")
            state[f"{stem}.lora_down.weight"] = down.detach().half().contiguous()
            state[f"{stem}.lora_up.weight"] = up.detach().half().contiguous()
            state[f"{stem}.alpha"] = torch.tensor(float(self.lora_alpha))
        return state


@torch.no_grad()
def merge(network: nn.Module, state: dict[str, torch.Tensor], strength: float = 1.0) -> None:
    """Add a LoRA with kohya's key names to a network's weights, in place.

    Raises:
        ValueError: a key names no module of the network.
    """
    modules = {"lora_unet_" + n.replace(".", "_"): m for n, m in network.named_modules()}
    stems = sorted({key.split(".", 1)[0] for key in state})
    for stem in stems:
        if stem not in modules:
            raise ValueError(
                f"LoRA key {stem!r} names no module of {type(network).__name__}; the LoRA was made "
                "for another network. Use one for this network."
            )
    for stem in stems:
        down, up = (state[f"{stem}.lora_{part}.weight"].float() for part in ("down", "up"))
        scale = strength * float(state[f"{stem}.alpha"]) / len(down)
        weight = modules[stem].weight
        weight += scale * (up.flatten(1) @ down.flatten(1)).view_as(weight)

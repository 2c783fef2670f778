"""The repeated parts of diffusers' networks, which can be computed or held one at a time."""

from torch import nn

# lists of such parts; a whole level of a UNet would be most of the network at once
LISTS = ("resnets", "transformer_blocks", "single_transformer_blocks")


def blocks(model: nn.Module) -> list[nn.Module]:
    """The repeated parts of a network, none of which lies in another."""
    lists = [module for name, module in model.named_modules() if name.split(".")[-1] in LISTS]
    return [block for found in lists for block in found]

"""An input for guidance in an SD-type UNet, as full LCM UNets have it, that changes nothing yet.

Luo et al., "Latent Consistency Models", arXiv:2310.04378, section 4.2: sinusoids of the guidance go
through a linear layer, cond_proj, and are added to those of the timestep.
"""

import copy

from torch import nn
from torch.nn.utils import skip_init

from ..guidance.embedded import WIDTH


def with_guidance_input(unet):
    """A copy of a UNet2DConditionModel that can be told its guidance; errors as of the other."""
    return add_guidance_input(copy.deepcopy(unet))


def add_guidance_input(unet):
    """Give a UNet2DConditionModel a cond_proj of zeros, which ignores what it is told.

    Returns:
        the UNet, for convenience.

    Raises:
        ValueError: the network has a cond_proj already.
    """
    if unet.config.time_cond_proj_dim is not None:
        raise ValueError(
            f"the UNet's time_cond_proj_dim is {unet.config.time_cond_proj_dim}; allowed is none. "
            "It is told its guidance already, so it is a student. Give its teacher."
        )
    first = unet.time_embedding.linear_1
    projection = skip_init(nn.Linear, WIDTH, first.in_features, bias=False)
    nn.init.zeros_(projection.weight)
    unet.time_embedding.cond_proj = projection.to(first.weight.device, first.weight.dtype)
    unet.register_to_config(time_cond_proj_dim=WIDTH)
    return unet

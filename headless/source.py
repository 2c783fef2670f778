"""A teacher on disk: how its texts are encoded and its network is loaded, whatever made it."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import nn

from ..diffusion.prediction import Prediction

# of one latent, along either side
PIXELS = 8


class Teacher(NamedTuple):
    """A network and what must be known to sample it.

    Attributes:
        table: VE levels of a UNet's timesteps; None for a flow model, which has a shift.
        guidance: what it is told where it must be told some.
        base: what recipes call its architecture.
        title: what its students' metadata call it.
    """

    model: nn.Module
    prediction: Prediction
    base: str
    title: str
    table: tuple[float, ...] | None = None
    shift: float | None = None
    guidance: float | None = None


class Source(NamedTuple):
    """A model on disk.

    Attributes:
        stamp: of its text encoders.
        encode: (texts, size, device, dtype) -> conditions [len(texts), ...] by name, see
            families.py, on the CPU; no text encoder stays in memory.
        load: (dtype) -> Teacher, on the CPU.
    """

    stamp: str
    encode: Callable[..., dict[str, torch.Tensor]]
    load: Callable[[torch.dtype], Teacher]


def latent_shape(model: nn.Module, size: tuple[int, int]) -> tuple[int, int, int]:
    """[C, h, w] of the latent of a picture.

    Args:
        model: a network that families.py knows.
        size: width and height in pixels.

    Raises:
        ValueError: the network cannot make pictures of that size.
    """
    config = model.config
    channels, side = config.in_channels, 2
    if hasattr(config, "block_out_channels"):
        # each level of a UNet but the last halves
        side = 2 ** (len(config.block_out_channels) - 1)
    elif not hasattr(config, "out_channels") or config.patch_size == 1:
        # FLUX's tokens are 2 x 2 latents already
        channels //= 4
    step = PIXELS * side
    if any(pixels % step for pixels in size):
        raise ValueError(
            f"[data] size is {list(size)}; allowed for this model are multiples of {step} pixels."
        )
    width, height = size
    return channels, height // PIXELS, width // PIXELS

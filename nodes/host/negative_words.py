"""A negative prompt as one pass of a network needs it."""

from typing import NamedTuple

import torch

from ...guidance.nag import guided_attention


class Settings(NamedTuple):
    """How strongly the picture leaves the negative prompt; as guidance.nag has them."""

    scale: float
    tau: float
    alpha: float


class Words(NamedTuple):
    """The negative prompt of one pass.

    network: the model's.
    negative: [rows, tokens, channels], one row for each row of the pass.
    is_positive: [rows], whether a row is of the positive prompt; others stay as they are.
    """

    network: torch.nn.Module
    negative: torch.Tensor
    is_positive: torch.Tensor
    settings: Settings

    def guided(self, positive: torch.Tensor, negative: torch.Tensor) -> torch.Tensor:
        """Attention [rows, tokens, channels] with guidance in the rows of the positive prompt."""
        guided = guided_attention(positive, negative, *self.settings)
        if self.is_positive.all():
            return guided
        return torch.where(self.is_positive.to(guided.device)[:, None, None], guided, positive)


def origin_of(patch) -> str:
    """The name under which a patch of another node is to be found."""
    # partial objects and instances have none of their own
    named = patch if hasattr(patch, "__qualname__") else type(patch)
    return f"{named.__module__}.{named.__qualname__}"

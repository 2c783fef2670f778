"""The precision that losses are computed in."""

import torch


def exact(x):
    """x in float32, or in float64 where it has that already."""
    return x.to(torch.promote_types(x.dtype, torch.float32))

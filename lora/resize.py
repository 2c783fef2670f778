"""Give a LoRA another rank: the nearest LoRA of lower rank, without ever multiplying it out.

With up = Q R and down = L P, Q and P orthogonal, the singular values of up @ down are those of
R @ L, a matrix as small as the rank: Golub and Van Loan, Matrix Computations, section 5.4.
"""

from collections.abc import Hashable, Mapping
from typing import NamedTuple

import torch

from .delta import wide
from .layers import Layer, check_finite
from .low_rank import Kept, check_choice, truncated


class Resized(NamedTuple):
    """All layers under the keys that were given, and what the low-rank ones keep."""

    layers: dict[Hashable, Layer]
    kept: dict[Hashable, Kept]

    @property
    def said(self) -> str:
        """What is kept, in words."""
        if not self.kept:
            return "no layer has a rank, so all is kept"
        rank = max(kept.rank for kept in self.kept.values())
        share = min(kept.energy for kept in self.kept.values())
        return f"rank {rank} keeps {share:.1%} of the change of the layer that loses most"


def resize(
    layers: Mapping[Hashable, Layer], *, rank: int | None = None, energy: float | None = None
) -> Resized:
    """Approximate every up @ down at a lower rank; dtypes and lora_alpha / rank stay as they are.

    Layers without a low-rank pair (whole differences, LyCORIS) have no rank and are passed
    through, as are those whose rank is not above the one asked for.

    Args:
        layers: by anything that names them: module path, layers.Place or targets.Module.
        rank: the highest rank of any layer.
        energy: each layer gets the lowest rank that holds this share, in (0, 1], of its squared
            Frobenius norm.

    Raises:
        ValueError: not exactly one of rank and energy, or one out of range; a layer has DoRA or
            a mid weight; NaN or infinity.
    """
    check_choice(rank, energy)
    pairs = {key: layer for key, layer in layers.items() if layer.down is not None}
    for key, layer in pairs.items():
        _check_pair(key, layer)
    resized, kept = dict(layers), {}
    for key, layer in pairs.items():
        if rank is not None and layer.rank <= rank:
            kept[key] = Kept(layer.rank, 1.0)
        else:
            resized[key], kept[key] = _reduced(layer, rank, energy)
    return Resized(resized, kept)


def _check_pair(key, layer):
    for part in ("down", "up"):
        check_finite(getattr(layer, part), f"{part} of {key!r}")
    if layer.dora_scale is not None:
        raise ValueError(
            f"{key!r} has DoRA, whose change depends on the base model's weights; allowed are "
            "plain LoRAs. Merge it and extract a LoRA of the rank you want."
        )
    if layer.mid is not None or layer.up.shape[2:].numel() > 1:
        raise ValueError(
            f"{key!r} is a product of more than two matrices (LoCon with a mid weight); allowed "
            "are plain LoRAs. Merge it and extract a LoRA of the rank you want."
        )


def _reduced(layer, rank, energy):
    dtype = wide(layer.down.dtype)
    q, r = torch.linalg.qr(layer.up.to(dtype).flatten(1))
    p, left = torch.linalg.qr(layer.down.to(dtype).flatten(1).T)
    u, singular, vh = torch.linalg.svd(r @ left.T, full_matrices=False)
    up, down, kept = truncated(q @ u, singular, vh @ p.T, rank=rank, energy=energy)
    alpha = None if layer.alpha is None else layer.alpha * kept.rank / layer.rank
    made = layer._replace(
        down=down.reshape(-1, *layer.down.shape[1:]).to(layer.down.dtype),
        up=up.reshape(len(up), -1, *layer.up.shape[2:]).to(layer.up.dtype),
        alpha=alpha,
    )
    return made, kept

"""Extract a LoRA: the difference between two networks in few numbers, by singular values.

The whole decomposition is computed. torch.svd_lowrank is faster, but tells neither the energy that
is kept nor how far from the best its approximation is.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch

from .delta import FLOATS, wide
from .layers import Layer, check_finite
from .low_rank import Kept, check_choice, truncated

Weights = Mapping[str, torch.Tensor]


class Extracted(NamedTuple):
    """Layers by module path, and what those of low rank keep of the difference."""

    layers: dict[str, Layer]
    kept: dict[str, Kept]


def ignore(path):
    """An `on_layer` that does nothing."""


def extract(
    distilled: Weights,
    base: Weights,
    *,
    rank: int | None = None,
    energy: float | None = None,
    on_layer: Callable[[str], None] = ignore,
) -> Extracted:
    """Write distilled - base as a LoRA; weights that are equal are left out.

    Args:
        distilled, base: the tensors of two networks, with equal names and shapes. Matrices and
            kernels get low-rank pairs in float32 (float64 if one of the two is), with lora_alpha
            the rank; a kernel's down has its window. Vectors and biases are kept as they differ.
        rank: of every layer; layers that are smaller get all they have.
        energy: each layer gets the lowest rank that holds this share, in (0, 1], of its squared
            Frobenius norm.
        on_layer: told the path of each layer when its turn comes, which may take seconds.

    Raises:
        ValueError: not exactly one of rank and energy, or one out of range; names or shapes
            differ; NaN or infinity; or something changed that no LoRA can hold.
    """
    check_choice(rank, energy)
    _check_alike(distilled, base)
    changed = [name for name in base if not torch.equal(*_both(distilled, base, name))]
    _check_names(changed, base)
    layers, kept = {}, {}
    for name in changed:
        path, _, part = name.rpartition(".")
        on_layer(path)
        trained, start = _both(distilled, base, name)
        difference = trained - start
        layer = layers.get(path, Layer())
        if part == "bias":
            layers[path] = layer._replace(diff_b=difference)
        elif difference.ndim < 2:
            layers[path] = layer._replace(diff=difference)
        else:
            down, up, kept[path] = _factors(difference, rank, energy)
            layers[path] = layer._replace(down=down, up=up, alpha=float(len(down)))
    return Extracted(layers, kept)


def _both(distilled, base, name):
    trained, start = distilled[name], base[name]
    if trained.dtype not in FLOATS or start.dtype not in FLOATS:
        return trained, start
    dtype = wide(torch.promote_types(trained.dtype, start.dtype))
    return trained.to(dtype), start.to(dtype)


def _check_alike(distilled, base):
    if alone := sorted(distilled.keys() ^ base.keys()):
        raise ValueError(
            f"{len(alone)} weights are in one of the two networks alone: {', '.join(alone[:3])}; "
            "allowed are networks of one architecture. Use the base that was distilled."
        )
    for name, start in base.items():
        trained = distilled[name]
        if trained.shape != start.shape:
            raise ValueError(
                f"{name} is {list(trained.shape)} in the distilled network and "
                f"{list(start.shape)} in the base; allowed are networks of one architecture. Use "
                "the base that was distilled."
            )
        if trained.dtype in FLOATS and start.dtype in FLOATS:
            check_finite(trained, f"{name} of the distilled network")
            check_finite(start, f"{name} of the base")


def _check_names(changed, base):
    for name in changed:
        if not name.endswith((".weight", ".bias")) or base[name].dtype not in FLOATS:
            raise ValueError(
                f"{name}, {str(base[name].dtype).removeprefix('torch.')}, differs between the "
                "networks; a LoRA holds weights and biases of modules, in float16 to float64, and "
                "nothing else. Load both in float16, or share the distilled network itself."
            )


def _factors(difference, rank, energy):
    shape = difference.shape
    u, singular, vh = torch.linalg.svd(difference.flatten(1), full_matrices=False)
    up, down, kept = truncated(u, singular, vh, rank=rank, energy=energy)
    ones = [1] * (len(shape) - 2)
    return down.reshape(-1, *shape[1:]), up.reshape(shape[0], -1, *ones), kept

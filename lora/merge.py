"""Merge a LoRA into weights such that it can be taken out again to the last bit.

What was rounded away in a sum does not come back with a difference. So merging also notes by how
many ulps, steps from one float to the next, the difference will miss each number.
"""

import math
from collections.abc import Mapping
from typing import NamedTuple

import torch

from .delta import FLOATS, check_fit, delta
from .layers import Layer, layers_of
from .targets import resolve, spellings

Weights = Mapping[str, torch.Tensor]

BITS = dict(zip(FLOATS, (torch.int16, torch.int16, torch.int32, torch.int64), strict=True))


class Merged(NamedTuple):
    """Merged weights, and what `unmerge` needs to undo it.

    Attributes:
        weights: all weights by name; those that no layer changes are the ones that were given.
        remainder: by the name of a changed weight, ulps from what taking the LoRA out gives to
            what was there before; int8 where that is enough, never wider than the weight.
    """

    weights: dict[str, torch.Tensor]
    remainder: dict[str, torch.Tensor]


def merge(weights: Weights, lora: Mapping[str, Layer], strength: float = 1.0) -> Merged:
    """Add strength times a LoRA to weights; each is rounded once, to its own dtype.

    Args:
        weights: a network's tensors by name, "<path>.weight" and "<path>.bias".
        lora: layers by the dotted path of their module; see `targets.resolve`.
        strength: negative subtracts the LoRA, 0 changes nothing.

    Raises:
        ValueError: as `check_fit`; the network lacks a weight of the LoRA; the strength is no
            finite number; or a merged number is none.
    """
    merged, remainder = dict(weights), {}
    for name, layer in _changed(weights, lora, strength).items():
        before = weights[name]
        merged[name] = _moved(before, layer, name, strength)
        _check_range(merged[name], name, strength)
        back = _moved(merged[name], layer, name, -strength)
        remainder[name] = _narrowed(_order(before) - _order(back))
    return Merged(merged, remainder)


def merge_file(
    weights: Weights, state: Weights, strength: float = 1.0, component: str = "unet"
) -> Merged:
    """`merge` with the tensors of a LoRA file, whose keys name the network's modules.

    Without alpha tensors lora_alpha is the rank.

    Args:
        component: what the network is to LoRA files, "unet" or "transformer".

    Raises:
        ValueError: as `layers_of`, `targets.resolve` and `merge`.
    """
    paths = [name.removesuffix(".weight") for name in weights if name.endswith(".weight")]
    read, _ = spellings({component: paths}, {})
    lora = {module.path: layer for module, layer in resolve(layers_of(state), read).items()}
    return merge(weights, lora, strength)


def unmerge(merged: Merged, lora: Mapping[str, Layer], strength: float = 1.0) -> dict:
    """The weights before `merge` with this LoRA and strength, bit for bit.

    LoRAs merged one after the other come out in reverse order. The same arithmetic must run again:
    another kind of device, or another build of torch, may round otherwise and miss by an ulp.

    Raises:
        ValueError: as `merge`, or the remainder is not that of this LoRA and these weights.
    """
    weights, remainder = merged
    changed = _changed(weights, lora, strength)
    shapes = {name: weights[name].shape for name in changed}
    if shapes != {name: ulps.shape for name, ulps in remainder.items()}:
        raise ValueError(
            f"remainder has {len(remainder)} weights, and the LoRA changes {len(changed)} that are "
            "not the same; it is of another merge. Give the LoRA that was merged last."
        )
    before = dict(weights)
    for name, layer in changed.items():
        order = _order(_moved(weights[name], layer, name, -strength))
        before[name] = _flipped(order + remainder[name].to(order)).view(weights[name].dtype)
    return before


def _changed(weights, lora, strength):
    """The layer of each weight that changes, after all that can be wrong has been looked for."""
    if not math.isfinite(strength):
        raise ValueError(f"strength is {strength}; allowed is a finite number, 1 as trained.")
    changed = {}
    for path, layer in lora.items():
        for name, part in _parts(path, layer).items():
            if name not in weights:
                raise ValueError(
                    f"the LoRA changes {name!r}, which the network does not have; it was made for "
                    "another network. Use one for this network."
                )
            check_fit(part, weights[name], name)
            changed[name] = part
    return changed


def _parts(path, layer):
    parts = {}
    of_weight = (layer.down, layer.diff, layer.dora_scale, *layer.others.values())
    if any(tensor is not None for tensor in of_weight):
        parts[f"{path}.weight"] = layer._replace(diff_b=None)
    if layer.diff_b is not None:
        parts[f"{path}.bias"] = Layer(diff=layer.diff_b)
    return parts


def _moved(weight, layer, name, strength):
    change = delta(layer, weight, name)
    return (weight.to(change.dtype) + strength * change).to(weight.dtype)


def _check_range(weight, name, strength):
    if not torch.isfinite(weight).all():
        raise ValueError(
            f"{name} has NaN or infinity once merged at strength {strength:g}: it had before, or "
            f"{str(weight.dtype).removeprefix('torch.')} is too narrow. Lower the strength, or "
            "load the model in float32."
        )


def _order(weight):
    """Integers in the order of the floats, next to each other where the floats are."""
    return _flipped(weight.detach().view(BITS[weight.dtype]))


def _flipped(bits):
    """Negative floats have a set first bit and then grow downwards; this is its own inverse."""
    return torch.where(bits < 0, bits ^ torch.iinfo(bits.dtype).max, bits)


def _narrowed(ulps):
    # differences that do not fit wrap around, and wrap back when they are added
    low, high = (int(end) for end in ulps.aminmax()) if ulps.numel() else (0, 0)
    for dtype in (torch.int8, torch.int16, torch.int32):
        if torch.iinfo(dtype).min <= low and high <= torch.iinfo(dtype).max:
            return ulps.to(dtype)
    return ulps

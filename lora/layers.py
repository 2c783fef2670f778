"""A LoRA's tensors gathered by the module they change, from any dialect."""

import math
from collections import defaultdict
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

import torch

from .adapter_config import adapter_configs, configured_alpha
from .dialects import DIALECTS, WRITTEN, parse_key

PARTS = ("alpha", "down", "up", "mid", "dora_scale", "diff", "diff_b")

Tensors = dict[str, torch.Tensor]


class Place(NamedTuple):
    """Where a layer sits, as its file spells it: see `dialects.Key`."""

    dialect: str
    component: str
    module: str


class Layer(NamedTuple):
    """What a LoRA does to one module: weight + strength * lora_alpha / rank * up @ down.

    Attributes:
        down: [rank, in, ...]; up: [out, rank, ...]; mid: [rank, rank, height, width] (LoCon).
        alpha: lora_alpha; None means the rank, 0 no effect.
        dora_scale: [out, 1, ...], or [1, in, ...] as LyCORIS also has it.
        diff, diff_b: what is added to weight and bias as it is.
        others: everything else by its part (`dialects.CARRIED`, up_bias), not interpreted.
    """

    down: torch.Tensor | None = None
    up: torch.Tensor | None = None
    mid: torch.Tensor | None = None
    alpha: float | None = None
    dora_scale: torch.Tensor | None = None
    diff: torch.Tensor | None = None
    diff_b: torch.Tensor | None = None
    others: Mapping[str, torch.Tensor] = MappingProxyType({})

    @property
    def rank(self) -> int | None:
        return None if self.down is None else len(self.down)


def layers_of(state_dict: Tensors, metadata: Mapping[str, str] | None = None) -> dict[Place, Layer]:
    """Gather a LoRA's tensors by the module they change.

    Args:
        metadata: the file's header metadata, where PEFT keeps lora_alpha. Its rank stabilisation
            (scale lora_alpha / sqrt(rank)) is resolved into `Layer.alpha`.

    Raises:
        ValueError: a key is of no dialect or means what another key means; tensors are missing or
            do not fit together; an alpha is no finite number or said twice; bad metadata.
    """
    gathered = defaultdict(dict)
    for name, tensor in state_dict.items():
        key = parse_key(name)
        if key is None:
            raise ValueError(
                f"{name!r} is a tensor of no LoRA dialect ({', '.join(DIALECTS)}); "
                "remove it, or load the file as a model if it is one."
            )
        dialect = "diffusers" if key.dialect == "old diffusers" else key.dialect
        parts = gathered[Place(dialect, key.component, key.module)]
        part = "dora_scale" if key.part == "magnitude" else key.part
        if part in parts:
            raise ValueError(
                f"{parts[part][0]!r} and {name!r} mean the same tensor; "
                "the file holds two LoRAs. Split it into two files."
            )
        parts[part] = name, tensor
    configs = adapter_configs(metadata or {})
    return {place: _layer(place, parts, configs) for place, parts in gathered.items()}


def check_finite(tensor: torch.Tensor, name: str) -> None:
    """Make sure that a tensor has neither NaN nor infinity.

    Raises:
        ValueError: it has.
    """
    wrong = tensor.numel() - int(torch.isfinite(tensor).sum())
    if wrong:
        raise ValueError(
            f"{name} has {wrong} values that are NaN or infinite, of {tensor.numel()}; allowed are "
            "finite numbers. The file is damaged or its training diverged; use another."
        )


def _layer(place, parts, configs):
    names = {part: name for part, (name, _) in parts.items()}
    tensors = {part: tensor for part, (_, tensor) in parts.items()}
    alpha, down, up, mid, scale, diff, diff_b = (tensors.pop(part, None) for part in PARTS)
    _check_pair(names, down, up, mid)
    if list(parts) == ["alpha"]:
        raise ValueError(f"{names['alpha']!r} has no weights; the file is incomplete.")
    configured = None
    if down is not None and "alpha" not in WRITTEN[place.dialect]:
        config = configs.get(place.component, {})
        configured = configured_alpha(config, place.module, len(down))
    lora_alpha = _lora_alpha(names, alpha, configured)
    if scale is not None and up is not None:
        scale = _per_output(names["dora_scale"], scale, down, up)
    return Layer(down, up, mid, lora_alpha, scale, diff, diff_b, tensors)


def _check_pair(names, down, up, mid):
    for part, other in (("down", "up"), ("up", "down"), ("mid", "down"), ("up_bias", "up")):
        if part in names and other not in names:
            raise ValueError(f"{names[part]!r} has no {other} weight; the file is incomplete.")
    if down is None:
        return
    shapes = f"{names['down']!r} is {list(down.shape)}, {names['up']!r} is {list(up.shape)}"
    if down.ndim < 2 or up.ndim < 2 or len(down) != up.shape[1] or len(down) == 0:
        raise ValueError(
            f"{shapes}; allowed is [rank, in, ...] and [out, rank, ...] with one rank above 0. "
            "Save the LoRA again."
        )
    if mid is not None and list(mid.shape[:2]) != [len(down)] * 2:
        raise ValueError(
            f"{names['mid']!r} is {list(mid.shape)}; allowed is [rank, rank, ...], "
            f"and the rank is {len(down)}. Save the LoRA again."
        )


def _lora_alpha(names, tensor, configured):
    if tensor is None:
        return configured
    if tensor.numel() != 1 or not math.isfinite(tensor.item()):
        raise ValueError(
            f"{names['alpha']!r} is {tensor.tolist()}; allowed is one finite number. "
            "Remove the key to use the rank, which scales by 1."
        )
    alpha = float(tensor)
    # bfloat16 alphas have 8 bits
    if configured is not None and not math.isclose(alpha, configured, rel_tol=1e-2):
        raise ValueError(
            f"{names['alpha']!r} is {alpha:g}, but the metadata says lora_alpha {configured:g}; "
            "remove the one that is wrong."
        )
    return alpha


def _per_output(name, scale, down, up):
    is_peft = parse_key(name).part == "magnitude"
    if scale.numel() == len(up) and (is_peft or scale.ndim == 1):
        return scale.reshape(-1, *[1] * (down.ndim - 1))
    if is_peft or scale.numel() not in (len(up), down.shape[1]):
        raise ValueError(
            f"{name!r} has {scale.numel()} numbers; allowed is one for each of the {len(up)} "
            "outputs, or of the inputs as LyCORIS does. Save the LoRA again."
        )
    return scale

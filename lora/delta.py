"""The change that one layer of a LoRA makes to its weight.

Sources: LoRA, Hu et al., arXiv:2106.09685, section 4.1; the factor between two windows, Yeh et al.,
arXiv:2309.14859 (LyCORIS, LoCon with Tucker's decomposition); DoRA, Liu et al., arXiv:2402.09353,
equation 5.
"""

import torch

from .layers import Layer, check_finite

FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


def wide(dtype: torch.dtype) -> torch.dtype:
    """What is computed in: float64 for float64, else float32."""
    return torch.promote_types(dtype, torch.float32)


def delta(layer: Layer, weight: torch.Tensor, name: str = "weight") -> torch.Tensor:
    """What a layer at strength 1 adds to a weight.

    lora_alpha / rank * up @ down, and diff as it is. lora_alpha 0 adds nothing; with DoRA it leaves
    the directions alone, and the magnitudes hold.

    Args:
        weight: [out, in, ...]; only DoRA reads its values.
        name: what errors call the weight.

    Returns:
        dW [out, in, ...] in `wide` of the weight's dtype, on its device.

    Raises:
        ValueError: as `check_fit`.
    """
    check_fit(layer, weight, name)
    base = weight.to(wide(weight.dtype))
    change = torch.zeros_like(base) if layer.down is None else _product(layer, base)
    if layer.dora_scale is not None:
        change = _rescaled(base + change, layer.dora_scale.to(base)) - base
    return change if layer.diff is None else change + layer.diff.to(base).view_as(base)


def check_fit(layer: Layer, weight: torch.Tensor, name: str) -> None:
    """Make sure that a layer can change a weight.

    Raises:
        ValueError: the weight is not of FLOATS; the layer has parts of LyCORIS or others, NaN or
            infinity; or its tensors make no change of this shape.
    """
    if layer.others:
        raise ValueError(
            f"the LoRA's layer for {name} has {', '.join(sorted(layer.others))}, which is no plain "
            "LoRA; allowed are low-rank pairs, DoRA and whole differences. Load the file as a LoRA "
            "instead."
        )
    if weight.dtype not in FLOATS:
        allowed = ", ".join(str(dtype).removeprefix("torch.") for dtype in FLOATS)
        raise ValueError(
            f"{name} is {str(weight.dtype).removeprefix('torch.')}; allowed is {allowed}. Load the "
            "model in one of them."
        )
    for part in ("down", "up", "mid", "dora_scale", "diff"):
        tensor = getattr(layer, part)
        if tensor is not None:
            check_finite(tensor, f"{part} of the LoRA's layer for {name}")
    _check_shapes(layer, weight, name)


def _check_shapes(layer, weight, name):
    made = []
    if layer.down is not None:
        made.append((layer.up.shape[0], layer.down.shape[1], *_window(layer)))
    if layer.diff is not None:
        made.append(tuple(layer.diff.shape))
    for shape in made:
        if _bare(shape) != _bare(weight.shape):
            raise ValueError(
                f"{name} is {list(weight.shape)}, and the LoRA changes {list(shape)}; the LoRA was "
                "made for another network. Use one for this network."
            )
    scale = layer.dora_scale
    if scale is None:
        return
    if layer.down is None or not _is_one_per_row(scale, weight):
        raise ValueError(
            f"dora_scale of the LoRA's layer for {name} is {list(scale.shape)}; allowed is one "
            f"number for each output or input of {list(weight.shape)}, beside a low-rank pair. "
            "Save the LoRA again."
        )


def _window(layer):
    """Height and width of the product's kernel; only one factor may have one."""
    spread = layer.down if layer.mid is None else layer.mid
    narrow = layer.up.shape[2:] + (() if layer.mid is None else layer.down.shape[2:])
    return (*spread.shape[2:], *(size for size in narrow if size > 1))


def _bare(shape):
    """A 1 x 1 convolution is a matrix."""
    return tuple(shape[:2]) if set(shape[2:]) <= {1} else tuple(shape)


def _is_one_per_row(scale, weight):
    rows = (weight.shape[0], 1), (1, weight.shape[1])
    return tuple(scale.shape[:2]) in rows and scale.numel() == max(scale.shape[:2])


def _product(layer, base):
    up, down = layer.up.to(base).flatten(1), layer.down.to(base).flatten(1)
    if layer.mid is None:
        product = up @ down
    else:
        product = torch.einsum("op,pq...,qi->oi...", up, layer.mid.to(base), down)
    alpha = layer.rank if layer.alpha is None else layer.alpha
    return alpha / layer.rank * product.reshape(base.shape)


def _rescaled(direction, scale):
    """Magnitude times direction over its norm: one number for each output, or for each input.

    ComfyUI 0.29 takes the norm of W alone for outputs, and that of W + dW only for inputs.
    """
    scale = scale.reshape(*scale.shape[:2], *[1] * (direction.ndim - 2))
    row = [axis for axis, size in enumerate(scale.shape) if size == 1]
    return scale * direction / torch.linalg.vector_norm(direction, dim=row, keepdim=True)

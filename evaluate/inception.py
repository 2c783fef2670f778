"""Features of the Inception network on which FID and KID are published.

Szegedy et al., "Rethinking the Inception Architecture for Computer Vision", arXiv:1512.00567,
section 6, with the weights of 2015-12-05 in torch-fidelity's file. Where that network is not the
paper's, its averages leave the margin out, the last block takes a maximum, and pictures come in by
TensorFlow 1's bilinear resize, the network here is as well.
"""

from collections.abc import Mapping, Sequence

import torch
from torch.nn import functional

# pixels of a side
SIDE = 299
WIDTH = 2048
# of batch normalisation
EPSILON = 1e-3
# (kernel is the weights' own) stride and padding of a layer by its name, where they are not 1 and 0
Layers = Sequence[tuple[str, int, int | tuple[int, int]]]
STEM: tuple[Layers, Layers] = (
    (("Conv2d_1a_3x3", 2, 0), ("Conv2d_2a_3x3", 1, 0), ("Conv2d_2b_3x3", 1, 1)),
    (("Conv2d_3b_1x1", 1, 0), ("Conv2d_4a_3x3", 1, 0)),
)
WIDE, HIGH = (0, 3), (3, 0)
POINT = (("branch1x1", 1, 0),)
POOL = (("branch_pool", 1, 0),)
# figure 5: two 3 x 3 in place of one 5 x 5, beside a 5 x 5
BLOCK_35 = (
    POINT,
    (("branch5x5_1", 1, 0), ("branch5x5_2", 1, 2)),
    (("branch3x3dbl_1", 1, 0), ("branch3x3dbl_2", 1, 1), ("branch3x3dbl_3", 1, 1)),
)
# figure 10: fewer places by layers and by a pool side by side
TO_17 = (
    (("branch3x3", 2, 0),),
    (("branch3x3dbl_1", 1, 0), ("branch3x3dbl_2", 1, 1), ("branch3x3dbl_3", 2, 0)),
)
# figure 6: 7 x 7 as 1 x 7 and 7 x 1
BLOCK_17 = (
    POINT,
    (("branch7x7_1", 1, 0), ("branch7x7_2", 1, WIDE), ("branch7x7_3", 1, HIGH)),
    (
        ("branch7x7dbl_1", 1, 0),
        ("branch7x7dbl_2", 1, HIGH),
        ("branch7x7dbl_3", 1, WIDE),
        ("branch7x7dbl_4", 1, HIGH),
        ("branch7x7dbl_5", 1, WIDE),
    ),
)
TO_8 = (
    (("branch3x3_1", 1, 0), ("branch3x3_2", 2, 0)),
    (
        ("branch7x7x3_1", 1, 0),
        ("branch7x7x3_2", 1, WIDE),
        ("branch7x7x3_3", 1, HIGH),
        ("branch7x7x3_4", 2, 0),
    ),
)
# figure 7: ends in a 1 x 3 and a 3 x 1 side by side
STEMS_8 = (
    (("branch3x3_1", 1, 0),),
    (("branch3x3dbl_1", 1, 0), ("branch3x3dbl_2", 1, 1)),
)
SPLITS_8 = (
    (("branch3x3_2a", 1, (0, 1)), ("branch3x3_2b", 1, (1, 0))),
    (("branch3x3dbl_3a", 1, (0, 1)), ("branch3x3dbl_3b", 1, (1, 0))),
)


def inception_features(weights: Mapping[str, torch.Tensor], pictures: torch.Tensor) -> torch.Tensor:
    """What the last pool gives.

    Args:
        weights: state dict of torch-fidelity's file, in float32.
        pictures: [B, 3, H, W] in 0..255, of the weights' device.

    Returns:
        [B, 2048] float32.
    """
    x = (tensorflow_resize(pictures.float(), SIDE) - 128.0) / 128.0
    for layers in STEM:
        x = functional.max_pool2d(_chain(weights, "", layers, x), 3, 2)
    for name in ("5b", "5c", "5d"):
        x = _block(weights, f"Mixed_{name}.", BLOCK_35, x)
    x = _fewer_places(weights, "Mixed_6a.", TO_17, x)
    for name in ("6b", "6c", "6d", "6e"):
        x = _block(weights, f"Mixed_{name}.", BLOCK_17, x)
    x = _fewer_places(weights, "Mixed_7a.", TO_8, x)
    x = _last_block(weights, "Mixed_7b.", x, _average)
    x = _last_block(weights, "Mixed_7c.", x, lambda x: functional.max_pool2d(x, 3, 1, 1))
    return x.mean(dim=(2, 3))


def tensorflow_resize(x: torch.Tensor, side: int) -> torch.Tensor:
    """Bilinear resize whose output i samples input i * old / new, without a half pixel, clamped.

    Args:
        x: [B, C, H, W].

    Returns:
        [B, C, side, side].
    """
    for dim in (2, 3):
        size = x.shape[dim]
        # in float32, as TensorFlow computes them
        places = torch.arange(side, device=x.device) * torch.tensor(size / side, device=x.device)
        low = places.long()
        share = (places - low).view(-1, 1) if dim == 2 else places - low
        high = (low + 1).clamp_max(size - 1)
        lower = x.index_select(dim, low)
        x = lower + (x.index_select(dim, high) - lower) * share
    return x


def _layer(weights, name, x, stride, padding):
    """relu(batch_norm(conv(x)))."""
    x = functional.conv2d(x, weights[f"{name}.conv.weight"], None, stride, padding)
    normed = (weights[f"{name}.bn.{part}"] for part in ("running_mean", "running_var"))
    scale = (weights[f"{name}.bn.{part}"] for part in ("weight", "bias"))
    return functional.relu(functional.batch_norm(x, *normed, *scale, eps=EPSILON))


def _chain(weights, block, layers, x):
    for name, stride, padding in layers:
        x = _layer(weights, block + name, x, stride, padding)
    return x


def _average(x):
    return functional.avg_pool2d(x, 3, 1, 1, count_include_pad=False)


def _block(weights, block, branches, x):
    found = [_chain(weights, block, layers, x) for layers in branches]
    return torch.cat([*found, _chain(weights, block, POOL, _average(x))], dim=1)


def _fewer_places(weights, block, branches, x):
    found = [_chain(weights, block, layers, x) for layers in branches]
    return torch.cat([*found, functional.max_pool2d(x, 3, 2)], dim=1)


def _last_block(weights, block, x, pool):
    found = [_chain(weights, block, POINT, x)]
    for stem, splits in zip(STEMS_8, SPLITS_8, strict=True):
        inner = _chain(weights, block, stem, x)
        found += [_layer(weights, block + name, inner, *how) for name, *how in splits]
    return torch.cat([*found, _chain(weights, block, POOL, pool(x))], dim=1)

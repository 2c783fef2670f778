"""LPIPS: how different two pictures look, by the features of a network that names things.

Zhang et al., "The Unreasonable Effectiveness of Deep Features as a Perceptual Metric",
arXiv:1801.03924, equation 1, version 0.1 of its weights: AlexNet (Krizhevsky, arXiv:1404.5997) or
VGG16 (Simonyan and Zisserman, arXiv:1409.1556), whose layers are named as in torchvision's files.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch.nn import functional

# of red, green and blue in -1..1
MIDDLE, SPREAD = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)
# keeps what has no length from being divided by 0; under the root
EPSILON = 1e-8


class Layer(NamedTuple):
    """A convolution with its ReLU.

    Attributes:
        number: of it in torchvision's list.
        pool: kernel and stride of the maximum that comes before it, None for none.
        is_read: whether LPIPS compares what comes out.
    """

    number: int
    is_read: bool
    stride: int = 1
    padding: int = 1
    pool: tuple[int, int] | None = None


ALEX = (
    Layer(0, True, stride=4, padding=2),
    Layer(3, True, padding=2, pool=(3, 2)),
    Layer(6, True, pool=(3, 2)),
    Layer(8, True),
    Layer(10, True),
)
VGG = (
    Layer(0, False),
    Layer(2, True),
    Layer(5, False, pool=(2, 2)),
    Layer(7, True),
    Layer(10, False, pool=(2, 2)),
    Layer(12, False),
    Layer(14, True),
    Layer(17, False, pool=(2, 2)),
    Layer(19, False),
    Layer(21, True),
    Layer(24, False, pool=(2, 2)),
    Layer(26, False),
    Layer(28, True),
)
NETWORKS: dict[str, Sequence[Layer]] = {"alex": ALEX, "vgg": VGG}
# pixels of a side below which AlexNet has no place left
LEAST_SIDE = 63


def lpips(
    network: str,
    backbone: Mapping[str, torch.Tensor],
    heads: Mapping[str, torch.Tensor],
    a: torch.Tensor,
    b: torch.Tensor,
) -> torch.Tensor:
    """The distance of each pair.

    Args:
        network: one of NETWORKS.
        backbone: state dict of torchvision's classifier.
        heads: "lin0.model.1.weight" and so on, [1, C, 1, 1]: what each channel counts.
        a, b: [B, 3, H, W] pictures in 0..1.

    Returns:
        [B], 0 for equal pictures.

    Raises:
        ValueError: a picture is too small.
    """
    if min(a.shape[-2:]) < LEAST_SIDE:
        raise ValueError(
            f"the pictures are {a.shape[-1]} x {a.shape[-2]}; LPIPS needs {LEAST_SIDE} x "
            f"{LEAST_SIDE} or more."
        )
    layers = NETWORKS[network]
    pairs = zip(*(_features(layers, backbone, pictures) for pictures in (a, b)), strict=True)
    total = 0.0
    for i, (theirs, ours) in enumerate(pairs):
        apart = (_of_length_1(theirs) - _of_length_1(ours)).square()
        total = total + functional.conv2d(apart, heads[f"lin{i}.model.1.weight"]).mean((1, 2, 3))
    return total


def _features(layers, backbone, pictures):
    to = lambda values: pictures.new_tensor(values).view(1, 3, 1, 1)
    x, found = (2.0 * pictures - 1.0 - to(MIDDLE)) / to(SPREAD), []
    for layer in layers:
        if layer.pool is not None:
            x = functional.max_pool2d(x, *layer.pool)
        weight, bias = (backbone[f"features.{layer.number}.{part}"] for part in ("weight", "bias"))
        x = functional.relu(functional.conv2d(x, weight, bias, layer.stride, layer.padding))
        if layer.is_read:
            found.append(x)
    return found


def _of_length_1(x):
    return x / (x.square().sum(1, keepdim=True) + EPSILON).sqrt()

"""LPIPS is torchmetrics' with the same networks."""

from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from torch import nn

from fewstep.evaluate.lpips import LEAST_SIDE, NETWORKS, lpips

theirs = pytest.importorskip("torchmetrics.functional.image.lpips")
FOLDER = Path(find_spec("torchmetrics").submodule_search_locations[0])


def heads(network):
    path = FOLDER / "functional/image/lpips_models" / f"{network}.pth"
    return torch.load(path, map_location="cpu", weights_only=True)


def convolution(channels_in, channels_out, kernel, stride=1):
    padding = kernel // 2 if stride == 1 else 2
    return [nn.Conv2d(channels_in, channels_out, kernel, stride, padding), nn.ReLU()]


def alexnet():
    """The layers of Krizhevsky, arXiv:1404.5997, as torchvision's file numbers them."""
    return [
        *convolution(3, 64, 11, stride=4),
        nn.MaxPool2d(3, 2),
        *convolution(64, 192, 5),
        nn.MaxPool2d(3, 2),
        *convolution(192, 384, 3),
        *convolution(384, 256, 3),
        *convolution(256, 256, 3),
        nn.MaxPool2d(3, 2),
    ]


def vgg16():
    """Configuration D of Simonyan and Zisserman, arXiv:1409.1556, table 1."""
    layers, width = [], 3
    for outputs in ((64, 64), (128, 128), (256,) * 3, (512,) * 3, (512,) * 3):
        for output in outputs:
            layers += convolution(width, output, 3)
            width = output
        layers.append(nn.MaxPool2d(2, 2))
    return layers


@pytest.mark.parametrize(("network", "layers"), [("alex", alexnet), ("vgg", vgg16)])
def test_it_is_torchmetrics_of_the_same_weights(network, layers, monkeypatch):
    torch.manual_seed(0)
    backbone = nn.Sequential(*layers())
    # torchvision, which builds these layers, may be missing
    monkeypatch.setattr(theirs, "_get_tv_model_features", lambda name, pretrained: backbone)
    reference = theirs._LPIPS(pretrained=True, net=network, pnet_rand=True)
    weights = {f"features.{name}": tensor for name, tensor in backbone.state_dict().items()}
    a, b = torch.rand(2, 2, 3, 72, 96)
    found = lpips(network, weights, heads(network), a, b)
    expected = reference(a, b, normalize=True).flatten()
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-7)
    assert (found > 0.01).all() and (lpips(network, weights, heads(network), a, a) == 0.0).all()


@pytest.mark.parametrize("network", NETWORKS)
def test_a_picture_that_is_too_small_is_refused(network):
    small = torch.zeros(1, 3, LEAST_SIDE - 1, 96)
    with pytest.raises(ValueError, match="the pictures are 96 x 62; LPIPS needs 63 x 63 or more"):
        lpips(network, {}, {}, small, small)

"""What a frozen network's layers make of noisy latents, for heads that judge them."""

import torch

from .network import Network, denoiser
from .setting import Setting

# layers that heads look at
COUNT = 8
# share of its size by which an output has to differ between two pictures; equal inputs in one batch
# may give outputs that differ by rounding
DIFFERENT = 0.01


def features_of(network: Network, rows, paths):
    """(x, sigma) -> the outputs of these layers, as `adversarial.Heads` takes them.

    Args:
        rows: [B] rows of the conditions.
        paths: of some of the network's hooked layers; no change is on.
    """
    denoise = denoiser(network, rows)

    def features(x, sigma):
        with network.hooks.watching(paths) as seen:
            denoise(x, sigma)
        # a layer that is run several times in a pass is looked at once
        return [seen[path][0] for path in paths]

    return features


@torch.no_grad()
def choose_layers(setting: Setting) -> dict[str, int]:
    """Layers to look at, evenly over the network, and the channels of each.

    Those whose output has places and depends on the picture: a time embedding's has none, and
    keys and values of a text are the same for every picture.

    Raises:
        ValueError: no layer is of that kind.
    """
    network, paths = setting.network, list(setting.network.hooks.layers)
    noise = torch.randn(2, *setting.data.shape_of(0), generator=setting.generator)
    # in the middle of what the data has
    sigma = setting.data.request.sigmas[len(setting.data.request.sigmas) // 2]
    x = (network.process.std(sigma) * noise).to(network.device)
    seen = features_of(network, setting.data.rows[[0, 0]], paths)(x, sigma)
    found = {
        path: output.shape[1] if output.ndim > 3 else output.shape[-1]
        for path, output in zip(paths, seen, strict=True)
        if output.ndim > 2 and _tells_apart(*output.float())
    }
    if not found:
        raise ValueError(
            "none of the layers to train tells pictures apart. Leave `layers` empty, or name "
            "convolutions or layers of attention."
        )
    kept = list(found)
    some = [kept[len(kept) * (2 * k + 1) // (2 * COUNT)] for k in range(COUNT)]
    return {path: found[path] for path in dict.fromkeys(some)}


def _tells_apart(one, other):
    return bool((one - other).norm() > DIFFERENT * one.norm())

"""How far a set of demo pictures is from another: Frechet distance in the judge's features.

They are what the judge measures, instead of Inception's: how much of every colour there is, how
clean colours and outlines are, and what things stand where.
"""

import numpy as np
import torch
from scipy import ndimage

from ..evaluate.frechet import frechet_distance
from .judge import Seen, read_picture
from .world import BACKGROUNDS, COLOURS, PICTURE_SIZE

PALETTE = np.array([*COLOURS.values(), *BACKGROUNDS.values()], np.float32)
SOFTNESS = 30.0  # 0..255 RGB distance over which a pixel's share of a palette colour fades
LEAST_SPREAD = 1e-3  # of a feature, so that one that never varies does not blow up


def features(picture: np.ndarray, seen: Seen | None = None) -> np.ndarray:
    """Describe one picture.

    Args:
        picture: [H, W, 3] uint8.
        seen: what read_picture says of it, if that is known already.

    Returns:
        [24] float64: 12 shares of the palette; distance to it (mean, 90 %); steepness of edges
        (mean, 90 %, 99 %); number, area, specks; and of all things the mean match and place.
    """
    seen = read_picture(picture) if seen is None else seen
    rgb = picture.astype(np.float32)
    far = np.linalg.norm(rgb[..., None, :] - PALETTE, axis=-1)
    near = far.min(axis=-1)
    share = np.exp(-(((far - near[..., None]) / SOFTNESS) ** 2))
    share = (share / share.sum(axis=-1, keepdims=True)).mean(axis=(0, 1))
    steepness = ndimage.gaussian_gradient_magnitude(rgb.mean(axis=2), 1.0)
    places = np.array([(t.x, t.y) for t in seen.things] or [(0, 0)]) / PICTURE_SIZE
    outline = [
        len(seen.things),
        float(np.mean([t.match for t in seen.things] or [0])),
        np.log1p(seen.specks),
        *places.mean(axis=0),
        *places.std(axis=0),
    ]
    clean = [near.mean() / 10, np.quantile(near, 0.9) / 10]
    edges = [steepness.mean(), *np.quantile(steepness, [0.9, 0.99])]
    return np.array([*share, *clean, *edges, *outline], np.float64)


def feature_distance(reference: np.ndarray, other: np.ndarray) -> float:
    """Frechet distance of two sets of features, in standard deviations of the reference.

    Args:
        reference, other: [N, 24] and [M, 24].
    """
    spread = np.maximum(reference.std(axis=0), LEAST_SPREAD)
    return frechet_distance(*(torch.from_numpy(x / spread) for x in (reference, other)))

"""Frechet distance of two sets of features: FID where they are Inception's.

Heusel et al., arXiv:1706.08500, equation 6. The root of the product of the covariances needs no
matrix root: its trace is the sum of the singular values of A_a A_b', where A'A is a covariance.
"""

import torch

from .features import checked_pair

# Pictures below which FID is named biased: as many as Inception has features. With fewer the
# covariances are singular, and the distance of two sets of one model is far from 0.
FEW = 2048


def frechet_distance(
    a: torch.Tensor,
    b: torch.Tensor,
    weights_a: torch.Tensor | None = None,
    weights_b: torch.Tensor | None = None,
) -> float:
    """Distance of the Gaussians that have the means and covariances of two sets.

    Args:
        a, b: [N, D] and [M, D] features.
        weights_a, weights_b: [N] and [M], how often each picture counts; None is once.

    Raises:
        ValueError: as of `features.checked_pair`.
    """
    a, b = checked_pair(a, b)
    mean_a, root_a = _moments(a, weights_a)
    mean_b, root_b = _moments(b, weights_b)
    cross = torch.linalg.svdvals(root_a @ root_b.T).sum()
    apart = (mean_a - mean_b).square().sum()
    # the trace of a covariance is the sum of squares of any of its roots
    return (apart + root_a.square().sum() + root_b.square().sum() - 2 * cross).item()


def _moments(x, weights):
    """Mean, and a root R of the covariance in the sense that R'R is it; at most [D, D]."""
    weights = torch.ones(len(x), dtype=x.dtype) if weights is None else weights
    count = weights.sum()
    mean = weights @ x / count
    root = (x - mean) * (weights / (count - 1)).sqrt()[:, None]
    return mean, torch.linalg.qr(root, mode="r").R if len(x) > x.shape[1] else root

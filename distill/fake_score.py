"""The fake score: a second network, kept at denoising what the student makes at the moment.

It is trained as any diffusion model is, on samples of the student: Yin et al., arXiv:2311.18828,
algorithm 3. Where it and the teacher differ, `matching.py` moves the student.
"""

import torch

from .weights import weight


def fake_score_loss(
    fake_score, x, draw, *, process, landing=0.0, weighting="eps", largest_weight=5.0
):
    """Weighted squared error of the fake score's x0 estimate for samples of the student.

    For samples that are not clean but at level `landing`, it learns what predicts their
    distribution at draw.sigma without bias: Fan et al., "Phased DMD", arXiv:2510.27684, on score
    matching within subintervals. The x0 estimates these samples were made with do not, since
    their noise is not independent of them.

    Args:
        fake_score: (x, sigma) -> x0 estimate; it alone is given a gradient.
        x: [B, C, ...] samples of the student at level landing.
        draw: fresh noise, and levels above landing that the samples are raised to.
        landing: a float or [B, 1, ...]; 0 where the samples are x0 estimates.
        weighting: one of `weights.WEIGHTS`.
        largest_weight: weights are cut off there; "eps" up to 5 is Min-SNR-5, arXiv:2303.09556,
            which TDM uses.

    Returns:
        [B] loss of each sample.

    Raises:
        ValueError: there is no such weighting.
    """
    alpha, sigma = process.alpha(landing), draw.sigma
    loudness = weight(weighting, sigma, process).clamp(max=largest_weight)
    with torch.no_grad():
        ratio, fresh = raising(landing, sigma, process)
        raised = ratio * x + fresh * draw.noise
        wanted = (x - ratio * landing**2 / fresh * draw.noise) / alpha
    # what is wanted has noise of 1 / fresh in it, which is large just above the landing
    loudness = loudness * (fresh / sigma) ** 2
    return (loudness * (fake_score(raised, sigma) - wanted).square()).flatten(1).mean(dim=1)


def raising(landing, sigma, process):
    """Factors of x and of fresh noise whose sum is at level sigma where x is at level landing.

    `Process.renoise` for a level per sample: landing is a float or [B, 1, ...], sigma [B, 1, ...].
    """
    ratio = process.alpha(sigma) / process.alpha(landing)
    return ratio, (sigma**2 - (ratio * landing) ** 2).sqrt()

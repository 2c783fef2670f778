"""How well a picture shows its prompt, by the angle of their CLIP features.

Hessel et al., arXiv:2104.08718, equation 1, with 100 for the factor 2.5, as torchmetrics has it.
"""

import torch

from .features import checked_pair
from .kernel_distance import of_length_1


def clip_score(pictures: torch.Tensor, prompts: torch.Tensor) -> torch.Tensor:
    """100 times the cosine, no less than 0.

    Args:
        pictures, prompts: [N, D] features of each picture and of its prompt, of one CLIP model.

    Returns:
        [N] float64.

    Raises:
        ValueError: there is not one prompt for each picture, or they are not of one width.
    """
    if len(pictures) != len(prompts):
        raise ValueError(f"{len(prompts)} prompts for {len(pictures)} pictures; one for each.")
    prompts, pictures = checked_pair(prompts, pictures, 1)
    return 100.0 * (of_length_1(pictures) * of_length_1(prompts)).sum(1).clamp_min(0.0)

"""How different the pictures of one prompt are from seed to seed.

Vendi score: Friedman and Dieng, arXiv:2210.02410, equation 2, with the cosine as the similarity.
"""

from collections.abc import Sequence

import torch

from .features import checked
from .kernel_distance import of_length_1


def by_prompt(features: torch.Tensor, prompts: Sequence[int]) -> list[torch.Tensor]:
    """[S, D] features of the seeds of each prompt that has two or more, in order of the prompts.

    Args:
        features: [N, D].
        prompts: the prompt of each picture, as a number.

    Raises:
        ValueError: as of `features.checked`; there is not one prompt for each picture; none has two
            pictures.
    """
    features = checked(features, "the pictures")
    if len(prompts) != len(features):
        raise ValueError(f"{len(prompts)} prompts for {len(features)} pictures; one for each.")
    of = torch.tensor(list(prompts))
    found = [features[of == prompt] for prompt in of.unique()]
    found = [seeds for seeds in found if len(seeds) > 1]
    if not found:
        raise ValueError("no prompt has two pictures; diversity needs two or more seeds a prompt.")
    return found


def vendi_score(features: torch.Tensor) -> float:
    """How many different pictures there are: 1 if all are equal, S if none is like another.

    Args:
        features: [S, D] of one prompt.
    """
    directions = of_length_1(features)
    spectrum = torch.linalg.eigvalsh(directions @ directions.T / len(directions)).clamp_min(0.0)
    return torch.special.entr(spectrum).sum().exp().item()


def mean_distance(features: torch.Tensor) -> float:
    """Mean Euclidean distance of two pictures.

    Args:
        features: [S, D] of one prompt, S >= 2.
    """
    return torch.nn.functional.pdist(features.double()).mean().item()

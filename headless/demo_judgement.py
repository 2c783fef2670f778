"""What the demo world's judge says of a set of pictures: right or not, how far, how varied.

Features are measured in the reference's standard deviations from its mean, so that each counts
alike in every distance.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch

from ..demo.features import features
from ..demo.judge import read_picture, satisfies
from ..demo.world import read_caption
from ..evaluate import picture_file
from ..evaluate.figures import (
    Described,
    Figure,
    diversity,
    fid,
    kid,
    mean,
    of_prompts,
    share,
    vendi,
)
from ..evaluate.golden_set import Golden, prompt_numbers
from ..evaluate.picture_set import PictureSet
from ..evaluate.verdict import LESS

# of a feature: one that is always the same in few pictures, such as specks, must not blow up
LEAST_SPREAD = 0.05
# standard deviations; farther is broken, however far, and a few of those would be all of a distance
FARTHEST = 5.0


class Judged(NamedTuple):
    """A set of pictures as the judge reads it.

    Attributes:
        features: [N, 24].
        right: [N] bool, whether each shows its caption.
        prompts: the prompt of each.
    """

    features: np.ndarray
    right: np.ndarray
    prompts: tuple[int, ...]


def judge(pictures: PictureSet, golden_set: Sequence[Golden]) -> Judged:
    """Read every picture of a whole set.

    Args:
        golden_set: of captions of the demo world.

    Raises:
        ValueError: a picture is missing or cannot be read; a prompt is no caption of the world.
    """
    wanted = [read_caption(golden.prompt) for golden in golden_set]
    found, right = [], []
    for row, demand in enumerate(wanted):
        picture, _ = picture_file.read_picture(pictures.path(row))
        seen = read_picture(picture)
        found.append(features(picture, seen))
        right.append(satisfies(seen, demand))
    return Judged(np.stack(found), np.array(right), tuple(prompt_numbers(golden_set)))


def figures(reference: Judged, other: Judged, *, seed: int) -> list[Figure]:
    """A set beside the reference: accuracy, distances, and diversity where prompts have two seeds.

    Args:
        reference, other: of one golden set; of the reference itself there is accuracy alone.
    """
    right = torch.from_numpy(other.right)
    found = [share("accuracy", of_prompts(right, other.prompts), seed=seed)]
    if other is reference:
        return found
    less = right.double() - torch.from_numpy(reference.right).double()
    found.append(mean(f"accuracy{LESS}", of_prompts(less, other.prompts), seed=seed))
    far = _described(reference, reference), _described(other, reference)
    found += [fid(*far, seed=seed), kid(*far, seed=seed)]
    if len(set(reference.prompts)) < len(reference.prompts):
        found += [diversity(*far, seed=seed), vendi(*far, seed=seed)]
    return found


def worst_rows(reference: Judged, other: Judged, count: int) -> list[int]:
    """Rows whose pictures lost their caption, then those least alike; the worst first."""
    far = [_described(one, reference).features for one in (reference, other)]
    apart = (far[0] - far[1]).square().sum(1).tolist()
    lost = (reference.right & ~other.right).tolist()
    order = sorted(range(len(apart)), key=lambda row: (not lost[row], -apart[row]))
    return order[:count]


def _described(judged, reference):
    middle = reference.features.mean(axis=0)
    spread = np.maximum(reference.features.std(axis=0), LEAST_SPREAD)
    apart = np.clip((judged.features - middle) / spread, -FARTHEST, FARTHEST)
    return Described(torch.from_numpy(apart), judged.prompts)

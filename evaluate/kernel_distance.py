"""Kernel distances of two sets of features, by the squared maximum mean discrepancy: KID, CMMD.

Gretton et al., JMLR 13 (2012). KID: Binkowski et al., arXiv:1801.01401, section 4: cubic kernel,
unbiased. CMMD: Jayasumana et al., arXiv:2401.09603, section 4: CLIP features of length 1, Gaussian
kernel, the biased estimate, times 1,000.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch

from .features import checked_pair

Kernel = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]

BANDWIDTH = 10.0  # of CMMD's kernel, in lengths of a feature vector
CMMD_SCALE = 1000.0
# of pictures, as published
SUBSETS, SUBSET_SIZE = 100, 1000


def cubic(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """(a.b / D + 1)^3 for all pairs of rows of [N, D] and [M, D]."""
    return (a @ b.T / a.shape[1] + 1).pow(3)


def gaussian(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """exp(-|a - b|^2 / (2 bandwidth^2)) for all pairs of rows of [N, D] and [M, D]."""
    squares = a.square().sum(1)[:, None] + b.square().sum(1)[None] - 2 * a @ b.T
    return torch.exp(-squares.clamp_min(0.0) / (2 * BANDWIDTH**2))


class Discrepancy(NamedTuple):
    """The kernels of all pairs within and between two sets, so that pictures can be weighed anew.

    Attributes:
        aa, bb, ab: [N, N], [M, M] and [N, M]; 0 where a pair does not count.
        of_a, of_b: [N] and [M], the prompt of each picture, from 0 on; pairs of one prompt do not
            count. None where all do.
    """

    aa: torch.Tensor
    bb: torch.Tensor
    ab: torch.Tensor
    of_a: torch.Tensor | None = None
    of_b: torch.Tensor | None = None

    def value(
        self, weights_a: torch.Tensor | None = None, weights_b: torch.Tensor | None = None
    ) -> float:
        """Squared discrepancy where each picture counts as often as its weight says; None: once."""
        a, b = (
            torch.ones(len(kernels), dtype=kernels.dtype) if weights is None else weights
            for kernels, weights in ((self.aa, weights_a), (self.bb, weights_b))
        )
        of_a, of_b = self.of_a, self.of_b
        within = _mean(a, self.aa, a, of_a, of_a) + _mean(b, self.bb, b, of_b, of_b)
        return (within - 2 * _mean(a, self.ab, b, of_a, of_b)).item()


def unbiased(
    a: torch.Tensor,
    b: torch.Tensor,
    kernel: Kernel = cubic,
    prompts_a: Sequence[int] | None = None,
    prompts_b: Sequence[int] | None = None,
) -> Discrepancy:
    """Discrepancy whose mean over all sets of pictures is the truth; KID with the cubic kernel.

    Two pictures of one prompt are no two draws of the model, so that such pairs do not count,
    within a set or between both.

    Args:
        a, b: [N, D] and [M, D] features.
        prompts_a, prompts_b: the prompt of each picture as a number, the same in both sets where it
            is the same; None where no picture shares its prompt with any other of either set.

    Raises:
        ValueError: as of `features.checked_pair`; all pictures of a set are of one prompt; prompts
            are known of one set alone.
    """
    a, b = checked_pair(a, b)
    if (prompts_a is None) != (prompts_b is None):
        raise ValueError("prompts must be given of both sets or of none.")
    if prompts_a is None:
        prompts_a, prompts_b = range(len(a)), range(len(a), len(a) + len(b))
    for prompts, features in ((prompts_a, a), (prompts_b, b)):
        if len(prompts) != len(features):
            raise ValueError(f"{len(prompts)} prompts for {len(features)} pictures; one for each.")
        if len(set(prompts)) < 2:
            raise ValueError("all pictures are of one prompt; KID needs pictures of 2 or more.")
    _, of = torch.tensor([*prompts_a, *prompts_b]).unique(return_inverse=True)
    of_a, of_b = of[: len(a)], of[len(a) :]
    counted = lambda x, y, of_x, of_y: kernel(x, y) * (of_x[:, None] != of_y[None])
    kernels = counted(a, a, of_a, of_a), counted(b, b, of_b, of_b), counted(a, b, of_a, of_b)
    return Discrepancy(*kernels, of_a, of_b)


def biased(a: torch.Tensor, b: torch.Tensor, kernel: Kernel = gaussian) -> Discrepancy:
    """Discrepancy in which every pair counts, a picture with itself too.

    Args:
        a, b: [N, D] and [M, D] features.

    Raises:
        ValueError: as of `features.checked_pair`.
    """
    a, b = checked_pair(a, b)
    return Discrepancy(kernel(a, a), kernel(b, b), kernel(a, b))


def of_length_1(features: torch.Tensor) -> torch.Tensor:
    """[N, D] features scaled to length 1, as CMMD wants them.

    Raises:
        ValueError: a picture's features are all 0.
    """
    lengths = features.double().norm(dim=1, keepdim=True)
    if not lengths.all():
        row = int((lengths[:, 0] == 0).nonzero()[0])
        raise ValueError(f"features of picture {row + 1} are all 0, so they have no direction.")
    return features.double() / lengths


def kid_of_subsets(
    a: torch.Tensor,
    b: torch.Tensor,
    *,
    seed: int,
    size: int = SUBSET_SIZE,
    subsets: int = SUBSETS,
) -> tuple[float, float]:
    """KID as papers give it: mean and standard deviation over random subsets of both sets.

    The mean estimates what `unbiased` of all pictures does, with more chance in it; the deviation
    is that between subsets and no interval.

    Args:
        a, b: [N, D] and [M, D] features.

    Raises:
        ValueError: as of `features.checked_pair`; a set is smaller than a subset.
    """
    a, b = checked_pair(a, b)
    if min(len(a), len(b)) < size or size < 2:
        raise ValueError(
            f"a subset is of {size} pictures, and the sets have {len(a)} and {len(b)}; "
            f"allowed are 2 to {min(len(a), len(b))}."
        )
    generator = torch.Generator().manual_seed(seed)
    found = []
    for _ in range(subsets):
        rows = [torch.randperm(len(x), generator=generator)[:size] for x in (a, b)]
        found.append(unbiased(a[rows[0]], b[rows[1]]).value())
    values = torch.tensor(found, dtype=torch.float64)
    return values.mean().item(), values.std(correction=0).item()


def _mean(left, kernels, right, of_left, of_right):
    """Weighted mean of the kernels of the pairs that count."""
    pairs = left.sum() * right.sum()
    if of_left is not None:
        prompts = int(max(of_left.max(), of_right.max())) + 1
        sums = (torch.bincount(o, w, prompts) for o, w in ((of_left, left), (of_right, right)))
        pairs = pairs - torch.stack([*sums]).prod(0).sum()
    return (left @ kernels @ right) / pairs

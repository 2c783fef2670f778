"""The figures of a set of pictures beside its teacher's, each with its interval and its caveat."""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch

from .bootstrap import RESAMPLES, Estimate, estimate
from .diversity import by_prompt, mean_distance, vendi_score
from .frechet import FEW, frechet_distance
from .kernel_distance import CMMD_SCALE, biased, of_length_1, unbiased

# of KID, as papers print it
KID_SCALE = 1000.0
# a Frechet distance of many features takes long, and its interval needs no third digit
FRECHET_RESAMPLES = 200


class Described(NamedTuple):
    """A set of pictures as a feature extractor sees it.

    Attributes:
        features: [N, D].
        prompts: the prompt of each picture, as a number that means the same in every set.
    """

    features: torch.Tensor
    prompts: tuple[int, ...]


class Figure(NamedTuple):
    """One number of a report.

    Attributes:
        note: a sentence that a reader must know, "" where there is none.
    """

    name: str
    estimate: Estimate
    note: str = ""


def fid(reference: Described, other: Described, *, seed: int) -> Figure:
    """Frechet distance of two sets; 0 is best.

    Raises:
        ValueError: as of `frechet.frechet_distance`.
    """
    statistic = lambda a, b: frechet_distance(reference.features, other.features, a, b)
    found = _drawn_by_prompt(statistic, reference, other, seed, FRECHET_RESAMPLES)
    fewest = min(len(reference.features), len(other.features))
    note = (
        f"FID of {fewest} pictures, fewer than {FEW}, is biased: it lies above the truth, and not "
        "equally for every model. Compare KID or CMMD instead."
    )
    return Figure("FID", found, note if fewest < FEW else "")


def kid(reference: Described, other: Described, *, seed: int) -> Figure:
    """Kernel distance of two sets times 1,000; 0 is best, and less than 0 is chance.

    Raises:
        ValueError: as of `kernel_distance.unbiased`.
    """
    kernels = unbiased(
        reference.features,
        other.features,
        prompts_a=reference.prompts,
        prompts_b=other.prompts,
    )
    statistic = lambda a, b: KID_SCALE * kernels.value(a, b)
    return Figure("KID x 1000", _drawn_by_prompt(statistic, reference, other, seed, RESAMPLES))


def cmmd(reference: Described, other: Described, *, seed: int) -> Figure:
    """CMMD of two sets of CLIP features; 0 is best.

    Raises:
        ValueError: as of `kernel_distance.biased` and `of_length_1`.
    """
    kernels = biased(of_length_1(reference.features), of_length_1(other.features))
    statistic = lambda a, b: CMMD_SCALE * kernels.value(a, b)
    return Figure("CMMD", _drawn_by_prompt(statistic, reference, other, seed, RESAMPLES))


def diversity(reference: Described, other: Described, *, seed: int) -> Figure:
    """Mean distance of two seeds of a prompt over the reference's; 1 is best, 0 a collapse.

    Raises:
        ValueError: as of `diversity.by_prompt`; or the two sets have not two seeds of the same
            prompts.
    """
    found = _of_shared_prompts(mean_distance, reference, other)
    statistic = lambda weights: ((weights @ found[1]) / (weights @ found[0])).item()
    return Figure("diversity", estimate(statistic, [len(found[0])], seed=seed))


def vendi(reference: Described, other: Described, *, seed: int) -> Figure:
    """Mean Vendi score of the seeds of a prompt, less the reference's; 0 is best, less a collapse.

    Raises:
        ValueError: as of `diversity`.
    """
    found = _of_shared_prompts(vendi_score, reference, other)
    return mean("Vendi", found[1] - found[0], seed=seed)


def of_prompts(values: torch.Tensor, prompts: Sequence[int]) -> torch.Tensor:
    """[P] mean of what was measured of each picture of a prompt, in order of the prompts.

    Args:
        values: [N].
        prompts: the prompt of each picture, as a number.
    """
    _, of = torch.tensor(list(prompts)).unique(return_inverse=True)
    return torch.bincount(of, values.double()) / torch.bincount(of)


def mean(name: str, values: torch.Tensor, *, seed: int) -> Figure:
    """The mean of what was measured of each prompt.

    Args:
        values: [P], of each prompt.
    """
    values = values.double()
    statistic = lambda weights: (weights @ values / weights.sum()).item()
    return Figure(name, estimate(statistic, [len(values)], seed=seed))


def share(name: str, values: torch.Tensor, *, seed: int) -> Figure:
    """The mean share of pictures of a prompt of which something is true; its limits lie in 0..1.

    Args:
        values: [P] in 0..1, of each prompt.
    """
    found = mean(name, values, seed=seed).estimate
    if found.low is not None:
        found = found._replace(low=max(found.low, 0.0), high=min(found.high, 1.0))
    return Figure(name, found)


def _drawn_by_prompt(statistic: Callable, reference, other, seed, resamples):
    """An estimate whose units are prompts: those that both sets have are drawn together."""
    of_a, of_b = set(reference.prompts), set(other.prompts)
    groups = [sorted(group) for group in (of_a & of_b, of_a - of_b, of_b - of_a) if group]
    place = {prompt: i for i, prompt in enumerate(p for group in groups for p in group)}
    rows = [torch.tensor([place[p] for p in one.prompts]) for one in (reference, other)]

    def by_prompt(*weights):
        drawn = torch.cat(weights)
        return statistic(drawn[rows[0]], drawn[rows[1]])

    return estimate(by_prompt, [len(group) for group in groups], seed=seed, resamples=resamples)


def _of_shared_prompts(measure, reference, other):
    """[P] of each set, P the prompts of which each has two or more seeds."""
    if _with_two_seeds(reference.prompts) != _with_two_seeds(other.prompts):
        raise ValueError(
            "the two sets have not two or more seeds of the same prompts. Make both from one "
            "golden set."
        )
    return [
        torch.tensor([measure(seeds) for seeds in by_prompt(*one)], dtype=torch.float64)
        for one in (reference, other)
    ]


def _with_two_seeds(prompts: Sequence[int]):
    return {prompt for prompt, count in Counter(prompts).items() if count > 1}

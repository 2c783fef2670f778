"""Several sets of trajectories, each of its own size of picture, as one to train on.

Numbers of trajectories run through all sets, one after the other. Latents of different sizes make
no batch, so what is asked for at once is of one set, as in the multi-aspect training of Podell et
al., "SDXL", arXiv:2307.01952, section 2.3; there each size comes in turn, here by its share.
"""

from collections.abc import Sequence
from itertools import accumulate, chain
from typing import NamedTuple

import torch

from .trajectories import Request, Trajectories


class JoinedRequest(NamedTuple):
    """What joined sets are made of: as a `Request`, but the shape is each set's own.

    Attributes:
        each: of the sets, in order.
        teacher, sigmas, has_paths: of all.
        cfg_scales, rows, seeds: of the trajectories through all sets.
    """

    each: tuple[Request, ...]
    teacher: str
    sigmas: tuple[float, ...]
    has_paths: bool
    cfg_scales: tuple[float, ...]
    rows: tuple[int, ...]
    seeds: tuple[int, ...]

    is_of_one_cfg = Request.is_of_one_cfg
    cfg_range = Request.cfg_range

    def described(self) -> dict:
        """Fields to be compared with those of others: what all sets agree in, else a list."""
        found = [request.described() for request in self.each]
        values = {field: [one[field] for one in found] for field in found[0]}
        return {k: v[0] if v.count(v[0]) == len(v) else v for k, v in values.items()}


class JoinedData:
    """As `Trajectories`, for several sets; see `join`.

    Args:
        sets: two or more.

    Raises:
        ValueError: they cannot be trained on as one; or, later, numbers of several sets are asked
            for at once.
    """

    def __init__(self, sets: Sequence[Trajectories]):
        self.request = joined_request([one.request for one in sets])
        self._sets = tuple(sets)
        ends = accumulate(map(len, sets))
        self.spans = tuple(range(end - len(one), end) for one, end in zip(sets, ends, strict=True))
        self.rows = torch.cat([one.rows for one in sets])
        self.cfg_scales = torch.cat([one.cfg_scales for one in sets])

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def largest(self) -> Trajectories:
        """The set of the largest latents."""
        return max(self._sets, key=lambda one: torch.Size(one.request.shape).numel())

    def shape_of(self, number: int) -> tuple[int, ...]:
        """As of `Trajectories`."""
        return self._of(torch.tensor([number]))[0].request.shape

    def sigma(self, level):
        """As of `Trajectories`."""
        return self._sets[0].sigma(level)

    def x(self, index, level):
        """As of `Trajectories`; all numbers of one set, as in every method below."""
        one, own = self._of(index)
        return one.x(own, level)

    def guided_x0(self, index, level):
        """As of `Trajectories`."""
        one, own = self._of(index)
        return one.guided_x0(own, level)

    def x0(self, index):
        """As of `Trajectories`."""
        one, own = self._of(index)
        return one.x0(own)

    def _of(self, index):
        """The set that trajectories are of, and their numbers in it."""
        for one, span in zip(self._sets, self.spans, strict=True):
            if all(number in span for number in index.tolist()):
                return one, index - span.start
        ends = ", ".join(f"{span.start} to {span.stop - 1}" for span in self.spans)
        raise ValueError(
            f"trajectories {index.tolist()} are of several sizes, and a batch is of one; allowed "
            f"are numbers within {ends}. Choose them with `setting.choose_trajectories`."
        )


def join(sets: Sequence[Trajectories]) -> Trajectories | JoinedData:
    """Sets as one to train on; a single one is itself.

    Raises:
        ValueError: they cannot be trained on as one.
    """
    return JoinedData(sets) if len(sets) > 1 else sets[0]


def joined_request(requests: Sequence[Request]) -> JoinedRequest:
    """What sets are made of that are trained on as one.

    Raises:
        ValueError: they differ in more than sizes, prompts drawn, seeds and number format, or one
            is there twice; says which one, in what, and what to do.
    """
    first = requests[0]
    for number, other in enumerate(requests[1:], 2):
        for differs, said in DIFFERENCES:
            if differs(first, other):
                raise ValueError(f"data {number} of {len(requests)} {said(first, other)}")
        if other in requests[: number - 1]:
            raise ValueError(
                f"data {number} of {len(requests)} is there twice. Join each set once; how often "
                "a size is trained on is decided by how many trajectories it has."
            )
    return JoinedRequest(
        tuple(requests),
        first.teacher,
        first.sigmas,
        first.has_paths,
        *(_all(requests, field) for field in ("cfg_scales", "rows", "seeds")),
    )


def _all(requests, field):
    return tuple(chain.from_iterable(getattr(request, field) for request in requests))


def _other_teacher(first, other):
    return (
        "was made by another model, other LoRAs on it, or other prompts than data 1. Make all of "
        "them with the same model and prompts; the size may differ."
    )


def _other_source(first, other):
    of = {True: "the teacher's own paths", False: "pictures of yours"}
    return (
        f"was made of {of[other.has_paths]}, and data 1 of {of[first.has_paths]}. Join data of one "
        "kind alone."
    )


def _other_steps(first, other):
    return (
        f"was made with {len(other.sigmas) - 1} steps, and data 1 with {len(first.sigmas) - 1}. "
        "Make all of them with the same steps."
    )


def _other_sigmas(first, other):
    return (
        f"begins at noise levels {_few(other.sigmas)}, and data 1 at {_few(first.sigmas)}: the "
        "shift depends on the size. Set one shift for all sizes, and make the data anew."
    )


def _other_cfg(first, other):
    return (
        f"was made with {_cfg(other)}, and data 1 with {_cfg(first)}. Make all of them with the "
        "same cfg, or each with a range."
    )


def _cfg(request):
    return f"cfg {request.cfg_scales[0]:g}" if request.is_of_one_cfg else "a range of cfg"


def _few(sigmas):
    return ", ".join(f"{sigma:.4g}" for sigma in sigmas[:3])


# what sets must agree in, and what is said where they do not
DIFFERENCES = (
    (lambda a, b: (a.teacher, a.process) != (b.teacher, b.process), _other_teacher),
    (lambda a, b: a.has_paths != b.has_paths, _other_source),
    (lambda a, b: len(a.sigmas) != len(b.sigmas), _other_steps),
    (lambda a, b: a.sigmas != b.sigmas, _other_sigmas),
    (lambda a, b: _cfg(a) != _cfg(b), _other_cfg),
)

"""How a student's latents lie to its teacher's: the meters that stop a training, not its loss.

A loss can fall while samples get worse. Limits of the channels' std and of diversity are those at
which distribution matching is known to be over-baked; those of mean and detail are our own choice.
"""

from collections.abc import Iterable, Sequence
from itertools import combinations
from typing import NamedTuple

import torch

from .training import Diverged

# in the teacher's standard deviations
SHIFT_LIMIT = 0.1
# shares of the teacher's
STD_LIMIT = 0.05
DETAIL_LIMIT = 0.2
DIVERSITY_LIMIT = 0.15
# diversity below which the seeds of a prompt become one picture
COLLAPSE = 0.8
# cycles per place of a latent; Nyquist is 0.5
HALF_NYQUIST = 0.25
# places; below, hardly a frequency lies under half Nyquist
SMALLEST = 4


class Meters(NamedTuple):
    """Student against teacher; None where the teacher's latents give no measure.

    Attributes:
        mean_shift: of each channel, student less teacher in the teacher's standard deviations;
            0 is best.
        std_ratio: of each channel, student over teacher; 1 is best.
        detail_ratio: share of energy above half Nyquist, student over teacher; 1 is best, less is
            blur, more is grain.
        diversity: mean distance between seeds of one prompt, student over teacher; 1 is best. None
            where no prompt has two seeds.
        paired_error: mean squared difference to the teacher's latent of the same prompt and seed,
            over the variance within the teacher's channels; 0 is best, 1 is what the channels'
            means would have.
    """

    mean_shift: tuple[float | None, ...]
    std_ratio: tuple[float | None, ...]
    detail_ratio: float | None
    diversity: float | None
    paired_error: float


@torch.no_grad()
def measure(student: torch.Tensor, teacher: torch.Tensor, groups: Iterable[int]) -> Meters:
    """Compare clean latents of the same prompts and seeds, in float32 or float64.

    Args:
        student, teacher: [B, C, h, w] or [B, C, t, h, w], in each row one prompt and seed.
        groups: the prompt of each row, as a number.

    Raises:
        ValueError: shapes do not fit, latents are below 4 x 4, or the teacher's are NaN, infinite
            or flat.
        Diverged: the student's are NaN or infinite.
    """
    groups = [int(group) for group in groups]
    _check(student, teacher, groups)
    dtype = torch.promote_types(torch.promote_types(student.dtype, teacher.dtype), torch.float32)
    student, teacher = student.to(dtype), teacher.to(dtype)
    std, mean = _channels(student)
    teacher_std, teacher_mean = _channels(teacher)
    pairs = _seeds_of_one_prompt(groups)
    return Meters(
        mean_shift=_where_not_flat((mean - teacher_mean) / teacher_std, teacher),
        std_ratio=_where_not_flat(std / teacher_std, teacher),
        detail_ratio=_ratio(_detail(student), _detail(teacher)),
        diversity=_ratio(_distance(student, pairs), _distance(teacher, pairs)),
        paired_error=_ratio(_mean_square(student - teacher), _mean_square(teacher_std)),
    )


def over_sizes(several: Sequence[Meters]) -> Meters:
    """What pictures of several sizes measure together: of each number the mean of those there are.

    Of diversity it is the lowest, so that a collapse at one size is seen.

    Args:
        several: of one model, so that all have as many channels; one or more.
    """
    return Meters(
        mean_shift=_means(meters.mean_shift for meters in several),
        std_ratio=_means(meters.std_ratio for meters in several),
        detail_ratio=_mean(meters.detail_ratio for meters in several),
        diversity=min((m.diversity for m in several if m.diversity is not None), default=None),
        paired_error=_mean(meters.paired_error for meters in several),
    )


def has_collapsed(meters: Meters) -> bool:
    """Whether the seeds of one prompt become one picture.

    So does a student of few steps before it has learned, by blur; it is a reason to stop only where
    an earlier student of the run was above.
    """
    return meters.diversity is not None and meters.diversity < COLLAPSE


def is_better(a: Meters, b: Meters, is_paired: bool) -> bool:
    """Whether the student of a is to be kept rather than that of b, by their scores."""
    return score(a, is_paired) < score(b, is_paired)


def score(meters: Meters, is_paired: bool) -> float:
    """How far a student is from what it should be; 0 is best.

    Args:
        is_paired: whether it is to make the teacher's picture of each seed. Then the score is the
            paired error. Matching of distributions makes other pictures by design, so there it is
            the sum over the other meters of (departure from best / limit)^2, of channels the mean.
            That cannot see whether a picture shows what its prompt says.
    """
    if is_paired:
        return meters.paired_error
    return (
        _departure(meters.mean_shift, 0.0, SHIFT_LIMIT)
        + _departure(meters.std_ratio, 1.0, STD_LIMIT)
        + _departure([meters.detail_ratio], 1.0, DETAIL_LIMIT)
        + _departure([meters.diversity], 1.0, DIVERSITY_LIMIT)
    )


def _mean(values):
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _means(several):
    return tuple(_mean(values) for values in zip(*several, strict=True))


def _departure(values, best, limit):
    known = [((value - best) / limit) ** 2 for value in values if value is not None]
    return sum(known) / len(known) if known else 0.0


def _channels(x):
    """std [C] and mean [C] over rows and places."""
    return torch.std_mean(_by_channel(x), dim=1, correction=0)


def _by_channel(x):
    return x.transpose(0, 1).flatten(1)


def _where_not_flat(values, teacher):
    pairs = zip(_is_flat(teacher).tolist(), values.tolist(), strict=True)
    return tuple(None if is_flat else value for is_flat, value in pairs)


def _is_flat(x):
    """[C]; by comparison, since not every way to compute a std gives exactly 0."""
    return _by_channel(x).amin(1) == _by_channel(x).amax(1)


def _detail(x):
    """Share of energy above half Nyquist, in any direction, of all that is not flat."""
    energy = torch.fft.fft2(x).abs().square().flatten(0, -3).sum(0)
    down, across = (torch.fft.fftfreq(n, device=x.device) for n in x.shape[-2:])
    square = down[:, None] ** 2 + across**2
    above, all_of_it = energy[square > HALF_NYQUIST**2].sum(), energy[square > 0].sum()
    return (above / all_of_it).item() if all_of_it else 0.0


def _distance(x, pairs):
    return sum(torch.dist(x[i], x[j]).item() for i, j in pairs)


def _seeds_of_one_prompt(groups):
    """Pairs of rows, each once."""
    return [(i, j) for i, j in combinations(range(len(groups)), 2) if groups[i] == groups[j]]


def _mean_square(x):
    return x.square().mean().item()


def _ratio(a, b):
    return a / b if b else None


def _check(student, teacher, groups):
    if student.shape != teacher.shape or student.ndim not in (4, 5):
        raise ValueError(
            f"the student's latents are {list(student.shape)} and the teacher's "
            f"{list(teacher.shape)}; both must be of one shape [B, C, h, w] or [B, C, t, h, w]. "
            "Sample both from the same noise."
        )
    if len(groups) != len(student):
        raise ValueError(
            f"groups has {len(groups)} numbers for {len(student)} latents. Give the prompt of "
            "each latent."
        )
    if min(student.shape[-2:]) < SMALLEST:
        raise ValueError(
            f"the latents are {student.shape[-1]} x {student.shape[-2]}; {SMALLEST} x {SMALLEST} "
            "or more is allowed. Validate with larger pictures."
        )
    if not teacher.isfinite().all() or _is_flat(teacher).all():
        raise ValueError(
            "the teacher's latents are flat or hold NaN or infinity. Make the teacher's data anew."
        )
    if not student.isfinite().all():
        raise Diverged(
            "the student's latents hold NaN or infinity. Lower learning_rate; the checkpoint "
            "before this is kept."
        )

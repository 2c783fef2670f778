"""What is wrong with a student by its meters, and what to do about it."""

from .meters import (
    COLLAPSE,
    DETAIL_LIMIT,
    DIVERSITY_LIMIT,
    SHIFT_LIMIT,
    STD_LIMIT,
    Meters,
    has_collapsed,
)


def warnings(meters: Meters) -> list[str]:
    """A sentence for each meter beyond its limit: the number, the limit, the remedy.

    The paired error has none, since what can be reached depends on the number of steps.
    """
    found = (_of_mean(meters), _of_std(meters), _of_detail(meters), _of_seeds(meters))
    return [sentence for sentence in found if sentence]


def _furthest(values, best):
    """The value furthest from best, and its channel."""
    known = [(value, channel) for channel, value in enumerate(values) if value is not None]
    return max(known, key=lambda pair: abs(pair[0] - best))


def _of_mean(meters):
    shift, channel = _furthest(meters.mean_shift, 0.0)
    if abs(shift) <= SHIFT_LIMIT:
        return None
    return (
        f"the mean of channel {channel} is {shift:+.3f} of the teacher's standard deviations off "
        f"(limit {SHIFT_LIMIT} either way): brightness or colour drifts. See that sampling starts "
        "at the level that training starts at; then lower learning_rate."
    )


def _of_std(meters):
    ratio, channel = _furthest(meters.std_ratio, 1.0)
    found = f"the standard deviation of channel {channel} is {ratio:.3f} times the teacher's"
    if ratio > 1 + STD_LIMIT:
        return (
            f"{found} (limit {1 + STD_LIMIT}): over-baked, too much contrast. Lower learning_rate "
            "or stop earlier."
        )
    if ratio < 1 - STD_LIMIT:
        return f"{found} (limit {1 - STD_LIMIT}): washed out. Train longer or use more steps."
    return None


def _of_detail(meters):
    ratio = meters.detail_ratio
    if ratio is None or abs(ratio - 1) <= DETAIL_LIMIT:
        return None
    found = f"fine detail has {ratio:.3f} times the teacher's share of energy"
    if ratio > 1:
        return (
            f"{found} (limit {1 + DETAIL_LIMIT}): over-baked, grain. Lower learning_rate or stop "
            "earlier."
        )
    return f"{found} (limit {1 - DETAIL_LIMIT}): blurred. Train longer or use more steps."


def _of_seeds(meters):
    if meters.diversity is None or meters.diversity >= 1 - DIVERSITY_LIMIT:
        return None
    found = f"seeds of one prompt differ {meters.diversity:.3f} times as much as the teacher's"
    if has_collapsed(meters):
        return (
            f"{found} (limit {COLLAPSE}): collapsed, unless the run has just begun. Go back to the "
            "best student, then lower learning_rate or stop earlier."
        )
    return f"{found} (limit {1 - DIVERSITY_LIMIT}): pictures become alike. Stop earlier."

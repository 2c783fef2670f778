"""A run from its checkpoint to its end: iterations, validation, checkpoints, early stop."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from . import checkpoint
from .lora import Lora
from .meters import Meters, has_collapsed, is_better
from .training import Diverged, Training


class Outcome(NamedTuple):
    """What a run came to.

    Attributes:
        lora: the average of the student: the best one where it was validated, else the last.
        iteration: that it stems from.
        meters: of each validation, by iteration.
        is_stopped: whether it collapsed and was ended before its time.
    """

    lora: Lora
    iteration: int
    meters: dict[int, Meters]
    is_stopped: bool


def ignore(training, losses, meters):
    """An `on_step` that does nothing."""


def run(
    training: Training,
    folder: Path,
    description: dict,
    *,
    validate: Callable[[Lora], Meters] | None = None,
    on_step=ignore,
    is_paired: bool = True,
) -> Outcome:
    """Go on from the folder's checkpoint, or begin; ends with a checkpoint, whatever happens.

    Args:
        folder: of this run alone.
        description: what the run is of, as JSON; a checkpoint of another run is refused.
        validate: measures a student; called every validate_every iterations and at the end.
        on_step: (training, losses, meters), called after every iteration; meters is None where
            nothing was validated.
        is_paired: whether the student is to make the teacher's picture of each seed.

    Raises:
        ValueError: the checkpoint is of another run, or the run diverged; the last good checkpoint
            stays.
        OSError: the disk is full or the folder cannot be written to.
    """
    state = _State(training, folder, description, is_paired)
    try:
        if validate and state.lacks_validation():
            state.validated(validate)
        while not (training.is_done or state.is_stopped):
            losses = training.step()
            meters = state.validated(validate) if validate and _due(training, "validate") else None
            if _due(training, "checkpoint"):
                state.write()
            on_step(training, losses, meters)
    except Diverged:
        raise
    except BaseException:
        # what an interrupt left half done is not written; the checkpoint before it stays
        if training.is_between:
            state.write()
        raise
    state.write()
    return state.outcome()


def _due(training, what):
    every = getattr(training.options, f"{what}_every")
    return training.is_done or (every and training.i % every == 0)


class _State:
    """What a run remembers besides its training: meters, and the best student so far."""

    def __init__(self, training, folder, description, is_paired):
        self.training, self.folder, self.is_paired = training, folder, is_paired
        self.description = description
        self.best = copy.deepcopy(training.method.average)
        notes = checkpoint.restore(folder, training, description, {"best": self.best}) or {}
        self.meters = {int(i): Meters(*values) for i, values in notes.get("meters", {}).items()}
        self.best_at = notes.get("best_at")
        self.is_stopped = notes.get("is_stopped", False)

    def lacks_validation(self):
        """Whether a run was cut off while it looked at pictures."""
        i = self.training.i
        return i > 0 and _due(self.training, "validate") and i not in self.meters

    def validated(self, validate):
        average, i = self.training.method.average, self.training.i
        meters = self.meters[i] = validate(average)
        best = self.meters.get(self.best_at)
        if best is None or is_better(meters, best, self.is_paired):
            self.best_at = i
            self.best.load_state_dict(average.state_dict())
        # before it has learned a student blurs, which looks the same
        others = [m for at, m in self.meters.items() if at != i]
        self.is_stopped = has_collapsed(meters) and not all(map(has_collapsed, others))
        return meters

    def write(self):
        # all processes hold the same, and read it again after an interrupt
        if self.training.share.index:
            return
        notes = {
            "meters": {i: tuple(meters) for i, meters in self.meters.items()},
            "best_at": self.best_at,
            "is_stopped": self.is_stopped,
        }
        checkpoint.write(self.folder, self.training, self.description, notes, {"best": self.best})

    def outcome(self):
        is_validated = self.best_at is not None
        return Outcome(
            lora=self.best if is_validated else self.training.method.average,
            iteration=self.best_at if is_validated else self.training.i,
            meters=self.meters,
            is_stopped=self.is_stopped,
        )

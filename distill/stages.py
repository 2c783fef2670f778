"""A student by way of others: stages trained one after the other, each gone on with by itself."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from . import checkpoint
from .lora import Lora
from .meters import Meters
from .run import Outcome, ignore, run
from .setting import Setting
from .training import ALONE, Options, Share, Training
from .ways import Stage


class Chain(NamedTuple):
    """Stages and all that they have in common.

    Attributes:
        folder: of this chain alone; each stage has a folder in it, a single one the folder itself.
        about: what it is of, as JSON; checkpoints of anything else are refused.
        is_paired: whether students are to make the teacher's picture of each seed.
        share: which part of each batch is computed here.
    """

    stages: list[Stage]
    setting: Setting
    options: Options
    folder: Path
    about: dict
    is_paired: bool = True
    share: Share = ALONE

    def place(self, stage: Stage) -> Path:
        return self.folder / stage.name if len(self.stages) > 1 else self.folder

    def about_stage(self, stage: Stage) -> dict:
        return {**self.about, "stage": stage.name}

    def left(self) -> int:
        """Iterations that are still to be done.

        Raises:
            ValueError: a checkpoint cannot be read, or is of another run.
        """
        return sum(
            self.options.iterations
            - (checkpoint.done(self.place(stage), self.about_stage(stage)) or 0)
            for stage in self.stages
        )


class Trained(NamedTuple):
    """A stage that is done: what came of it, and the loss of every iteration by turn."""

    stage: Stage
    outcome: Outcome
    losses: dict[str, list[float]]


def train(
    chain: Chain, *, validate: Callable[[Stage, Lora], Meters] | None = None, on_step=ignore
) -> list[Trained]:
    """Train every stage, or what is missing of it.

    Args:
        validate: (stage, student) -> Meters.
        on_step: as of `run`.

    Raises:
        ValueError, OSError: as `run`; what was trained until the last checkpoint stays.
    """
    before, done = None, []
    for stage in chain.stages:
        training = Training(stage.begin(chain.setting, before), chain.options, chain.share)
        outcome = run(
            training,
            chain.place(stage),
            chain.about_stage(stage),
            validate=validate and (lambda lora, stage=stage: validate(stage, lora)),
            on_step=on_step,
            is_paired=chain.is_paired,
        )
        before = outcome.lora.requires_grad_(False)
        done.append(Trained(stage, outcome, training.losses))
    return done

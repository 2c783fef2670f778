"""One training run at some iteration: all of its state, and how it takes the next step."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import nn

from .ema import follow
from .lora import Lora
from .optimizer import new_optimizer
from .pace import pace, set_learning_rate


class Options(NamedTuple):
    """Hyper-parameters that every method has.

    Attributes:
        batch: samples of one step, over all processes.
        accumulation: parts in which each process computes its share, for less memory.
        warm_up: iterations; then half a cosine leads to 0.
        clip: largest norm of a gradient.
        ema_decay: of the average, which is what is saved, and the target where there is one.
        checkpoint_every, validate_every: iterations; 0 is only at the end.
    """

    iterations: int = 1000
    batch: int = 8
    accumulation: int = 1
    learning_rate: float = 1e-4
    warm_up: int = 50
    clip: float = 1.0
    ema_decay: float = 0.95
    optimizer: str = "adamw"
    seed: int = 0
    checkpoint_every: int = 100
    validate_every: int = 0


class Turn(NamedTuple):
    """One optimizer's part of an iteration.

    Attributes:
        name: of what learns, such as "student" or "discriminator".
        learner: whose parameters are trained.
        loss: (batch) -> [b] loss of each sample.
        rate: learning rate as a multiple of the run's.
    """

    name: str
    learner: nn.Module
    loss: Callable[[Any], torch.Tensor]
    rate: float = 1.0


class Method(NamedTuple):
    """What is trained and how, ready to run.

    Attributes:
        student: what the run is for.
        average: a slow copy of it, on its device.
        turns: taken in this order in every iteration.
        draw: (generator, count) -> a NamedTuple of tensors [count, ...], everything random.
    """

    student: Lora
    average: Lora
    turns: tuple[Turn, ...]
    draw: Callable[[torch.Generator, int], Any]


class Share(NamedTuple):
    """Which part of a batch is computed here.

    Attributes:
        index, of: this process and how many there are.
        average: replaces tensors by their mean over all processes, in place.
    """

    index: int = 0
    of: int = 1
    average: Callable[[list[torch.Tensor]], None] = lambda tensors: None


ALONE = Share()


class Diverged(ValueError):
    """A loss or a gradient is no number any more."""


class Training:
    """A run of a method; equal options, data and processes give equal runs, bit for bit on a CPU.

    Attributes:
        i: iterations done.
        losses: loss of every iteration by the name of its turn.

    Raises:
        ValueError: an option is out of range, or the batch does not divide.
    """

    def __init__(self, method: Method, options: Options, share: Share = ALONE):
        check(options, share)
        self.method, self.options, self.share = method, options, share
        self.i = 0
        self.losses = {turn.name: [] for turn in method.turns}
        self.generator = torch.Generator().manual_seed(options.seed)
        self.optimizers = {
            turn.name: new_optimizer(
                options.optimizer,
                turn.learner.parameters(),
                options.learning_rate * turn.rate,
            )
            for turn in method.turns
        }
        # False while some of an iteration's learners have moved and others have not
        self.is_between = True

    @property
    def is_done(self) -> bool:
        return self.i >= self.options.iterations

    def step(self) -> dict[str, float]:
        """Take one iteration; whatever interrupts it before a learner moved leaves no trace.

        Returns:
            the mean loss of each turn.

        Raises:
            Diverged: a loss or a gradient is NaN or infinite; its learner has not moved.
        """
        before = self.generator.get_state()
        try:
            losses = self._turns(self.method.draw(self.generator, self.options.batch))
        except BaseException:
            self.generator.set_state(before)
            raise
        follow(self.method.average, self.method.student, self.options.ema_decay)
        for name, loss in losses.items():
            self.losses[name].append(loss)
        self.i += 1
        self.is_between = True
        return losses

    def _turns(self, batch):
        options = self.options
        rate = options.learning_rate * pace(self.i, options.iterations, options.warm_up)
        parts = split(batch, self.share, options.accumulation)
        losses = {}
        for turn in self.method.turns:
            optimizer = self.optimizers[turn.name]
            set_learning_rate(optimizer, rate * turn.rate)
            losses[turn.name] = self._gradient(turn, optimizer, parts)
            self.is_between = False
            optimizer.step()
        return losses

    def _gradient(self, turn, optimizer, parts):
        optimizer.zero_grad(set_to_none=True)
        total = 0.0
        for part in parts:
            loss = turn.loss(part).mean() / len(parts)
            loss.backward()
            total = total + loss.detach()
        learned = [p for p in turn.learner.parameters() if p.grad is not None]
        self.share.average([total, *(p.grad for p in learned)])
        norm = nn.utils.clip_grad_norm_(learned, self.options.clip)
        for what, value in (("loss", total.item()), ("gradient", norm.item())):
            if not math.isfinite(value):
                raise Diverged(
                    f"the {what} of the {turn.name} is {value} at iteration {self.i}. What was "
                    "trained until the last checkpoint is kept. Begin a new run with a lower "
                    f"learning_rate (it is {self.options.learning_rate:g})."
                )
        return total.item()


def split(batch, share: Share, accumulation: int) -> list:
    """This process's part of a batch, in `accumulation` parts of one size."""
    size = len(batch[0]) // (share.of * accumulation)
    first = share.index * accumulation
    return [
        type(batch)(*(field[k * size : (k + 1) * size] for field in batch))
        for k in range(first, first + accumulation)
    ]


def check(options: Options, share: Share = ALONE) -> None:
    """Refuse options that no run can have.

    Raises:
        ValueError: names the option, its value and what is allowed.
    """
    for name in ("iterations", "batch", "accumulation", "warm_up"):
        if getattr(options, name) < 1:
            raise ValueError(f"{name} is {getattr(options, name)}; allowed is 1 or more.")
    for name in ("learning_rate", "clip"):
        if not 0.0 < getattr(options, name) < math.inf:
            raise ValueError(f"{name} is {getattr(options, name):g}; allowed is above 0.")
    if not 0.0 <= options.ema_decay < 1.0:
        raise ValueError(
            f"ema_decay is {options.ema_decay:g}; allowed is 0 (no average) to below 1. "
            "0.95 follows within 20 iterations, 0.99 within 100."
        )
    parts = share.of * options.accumulation
    if options.batch % parts:
        raise ValueError(
            f"batch is {options.batch}, which {parts} parts ({share.of} processes, "
            f"{options.accumulation} of accumulation each) do not divide. Choose a multiple of "
            f"{parts}."
        )

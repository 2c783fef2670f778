"""A method that learns in a blink: a linear student, and a second learner where one is wanted."""

import copy
from typing import NamedTuple

import torch
from torch import nn

from fewstep.distill.training import Method, Options, Turn


class Batch(NamedTuple):
    x: torch.Tensor
    wanted: torch.Tensor


def method(*, second=False, loss=None):
    """A linear student that learns a map from noise to noise."""
    torch.manual_seed(0)
    student = nn.Linear(3, 2).double()
    average = copy.deepcopy(student).requires_grad_(False)
    other = nn.Linear(2, 1).double()

    def squared(batch):
        return (student(batch.x) - batch.wanted).square().mean(dim=1)

    def draw(generator, count):
        x = torch.randn(count, 3, generator=generator, dtype=torch.float64)
        return Batch(x, torch.sin(x[:, :2]))

    turns = [Turn("student", student, loss or squared)]
    if second:
        turns.append(Turn("other", other, lambda b: other(b.wanted).square().mean(1), rate=0.5))
    return Method(student, average, tuple(turns), draw)


def options(**changed):
    return Options(iterations=12, batch=12, learning_rate=1e-2, warm_up=2)._replace(**changed)

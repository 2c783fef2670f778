"""The learning rate over a run: a short warm-up, then half a cosine down to zero."""

import math


def pace(i: int, iterations: int, warm_up: int) -> float:
    """Share of the full learning rate at iteration i of 0, ..., iterations - 1."""
    return min(1.0, (i + 1) / warm_up) * (0.5 + 0.5 * math.cos(math.pi * i / iterations))


def set_learning_rate(optimizer, rate: float) -> None:
    """Give every parameter of the optimizer this learning rate."""
    for group in optimizer.param_groups:
        group["lr"] = rate

"""A slow copy of weights in training: the exponential moving average of their path."""

import torch


@torch.no_grad()
def follow(average: torch.nn.Module, model: torch.nn.Module, decay: float) -> None:
    """Move the average towards the model: average = decay * average + (1 - decay) * model."""
    torch._foreach_lerp_(list(average.parameters()), list(model.parameters()), 1 - decay)

"""A network small enough to be trained within a test: it denoises points."""

import torch
from torch import nn


class Denoiser(nn.Module):
    """(x [B, D], sigma) -> x0 estimate, by an MLP of three hidden layers that predicts v."""

    def __init__(self, process, seed=0, dimensions=2, width=128):
        super().__init__()
        self.process = process
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.layers = nn.Sequential(
                nn.Linear(dimensions + 4, width),
                nn.ReLU(),
                nn.Linear(width, width),
                nn.ReLU(),
                nn.Linear(width, width),
                nn.ReLU(),
                nn.Linear(width, dimensions),
            )

    def forward(self, x, sigma):
        sigma = torch.as_tensor(sigma, dtype=x.dtype).expand(len(x), 1)
        angle = torch.atan2(sigma, self.process.alpha(sigma))
        # variance 1 at every level, as if the data had it
        x = x / torch.hypot(sigma, self.process.alpha(sigma))
        waves = [wave(n * angle) for n in (1, 2) for wave in (torch.cos, torch.sin)]
        v = self.layers(torch.cat([x, *waves], dim=1))
        return angle.cos() * x - angle.sin() * v

"""A network with what real ones have: blocks, convolutions, linear layers, a condition per row."""

import torch
from torch import nn

from fewstep.diffusion.process import VE
from fewstep.distill.hooks import Hooks
from fewstep.distill.network import NEGATIVE
from fewstep.distill.targets import choose, repeated_blocks

SHAPE = (2, 4, 4)
WIDTH = 6


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(WIDTH, WIDTH, 3, padding=1)
        self.emb = nn.Linear(WIDTH, WIDTH)

    def forward(self, x, states):
        return x + torch.tanh(self.conv(x) + self.emb(states)[:, :, None, None])


class Small(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(SHAPE[0], WIDTH, 1)
        self.blocks = nn.ModuleList(Block() for _ in range(3))
        self.out = nn.Conv2d(WIDTH, SHAPE[0], 1)

    def forward(self, x, states):
        x = self.stem(x)
        for block in self.blocks:
            x = block(x, states)
        return self.out(x)


class SmallNetwork:
    """`distill.network.Network` in float64, with five conditions."""

    def __init__(self, process=VE, layers="", is_checkpointed=False, seed=0):
        torch.manual_seed(seed)
        self.model = Small().double().requires_grad_(False)
        self.process, self.rows = process, 5
        self.device, self.fingerprint = torch.device("cpu"), f"small {seed}"
        self._states = torch.randn(self.rows + 1, WIDTH, dtype=torch.float64)
        blocks = repeated_blocks(self.model) if is_checkpointed else ()
        self.hooks = Hooks(choose(self.model, layers), blocks)
        self.passes = []

    def denoise(self, x, sigma, rows):
        self.passes.append((len(x), rows.tolist()))
        at = sigma.double().view(-1, 1, 1, 1)
        alpha = self.process.alpha(at)
        std = (alpha**2 + at**2).sqrt()
        told = self._states[rows % (self.rows + 1)] + at.flatten(1).log()
        assert NEGATIVE % (self.rows + 1) == self.rows
        # a plain mixture, so that the output is like data at every level
        return alpha / std**2 * x.double() + at / std * self.model(x.double() / std, told)

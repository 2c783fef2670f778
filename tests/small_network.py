"""A network with what real ones have: blocks, convolutions, linear layers, a condition per row."""

import torch
from torch import nn

from fewstep.diffusion.process import VE
from fewstep.diffusion.sigmas import sigma_table
from fewstep.distill.hooks import Hooks
from fewstep.distill.network import NEGATIVE
from fewstep.distill.targets import choose, repeated_blocks
from fewstep.guidance.embedded import COND_PROJ, guidance_embedding

SHAPE = (2, 4, 4)
WIDTH = 6
# numbers that guidance is told by
EMBEDDING = 12


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
    """`distill.network.Network` in float64, with five conditions.

    With `is_told` it has an input for guidance, of zeros.
    """

    def __init__(self, process=VE, layers="", is_checkpointed=False, seed=0, is_told=False):
        torch.manual_seed(seed)
        self.model = Small().double().requires_grad_(False)
        self.process, self.rows = process, 5
        self.device, self.fingerprint = torch.device("cpu"), f"small {seed}"
        self._states = torch.randn(self.rows + 1, WIDTH, dtype=torch.float64)
        blocks = repeated_blocks(self.model) if is_checkpointed else ()
        self.table = sigma_table() if process is VE else None
        self._projection = nn.Linear(EMBEDDING, WIDTH, bias=False).double().requires_grad_(False)
        nn.init.zeros_(self._projection.weight)
        trained = choose(self.model, layers) | ({COND_PROJ: self._projection} if is_told else {})
        self.hooks = Hooks(trained, blocks)
        self.passes, self.told = [], []

    def denoise(self, x, sigma, rows, guidance=None):
        self.passes.append((len(x), rows.tolist()))
        self.told.append(guidance)
        at = sigma.double().view(-1, 1, 1, 1)
        alpha = self.process.alpha(at)
        std = (alpha**2 + at**2).sqrt()
        told = self._states[rows % (self.rows + 1)] + at.flatten(1).log()
        if guidance is not None:
            told = told + self._projection(guidance_embedding(guidance, EMBEDDING).double())
        assert NEGATIVE % (self.rows + 1) == self.rows
        # a plain mixture, so that the output is like data at every level
        return alpha / std**2 * x.double() + at / std * self.model(x.double() / std, told)

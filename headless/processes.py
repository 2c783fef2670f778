"""The processes of one run, as `accelerate launch` starts them; one alone where it did not."""

import os
from datetime import timedelta
from typing import NamedTuple

import torch
import torch.distributed as dist
from accelerate import PartialState
from accelerate.utils import parse_flag_from_env
from tqdm import tqdm

from ..distill.training import ALONE, Share

# others wait while the main one encodes prompts and writes what is large
PATIENCE = timedelta(days=2)


class Processes(NamedTuple):
    """This process among those of the run."""

    device: torch.device
    index: int = 0
    of: int = 1

    @property
    def is_main(self) -> bool:
        return self.index == 0

    @property
    def share(self) -> Share:
        """Its part of each batch, with gradients averaged over all."""
        return Share(self.index, self.of, average) if self.of > 1 else ALONE

    def wait(self) -> None:
        """Go on when every process has come so far."""
        if self.of > 1:
            dist.barrier()

    def say(self, text: str) -> None:
        """A line on the terminal, above bars of progress, of the main process alone."""
        if self.is_main:
            tqdm.write(text)

    def of_main(self, values: list[float]) -> list[float]:
        """The main process's numbers, in every process; as many in each."""
        if self.of == 1:
            return values
        told = torch.tensor(values, dtype=torch.float64, device=self.device)
        dist.broadcast(told, src=0)
        return told.tolist()


def processes() -> Processes:
    """This process, joined with the others; the device is its own."""
    # torchrun and accelerate launch start several on a machine without a GPU too
    is_cpu = parse_flag_from_env("ACCELERATE_USE_CPU") or not torch.cuda.is_available()
    is_alone = int(os.environ.get("WORLD_SIZE", 1)) == 1
    state = PartialState(timeout=PATIENCE) if is_alone else PartialState(is_cpu, timeout=PATIENCE)
    return Processes(state.device, state.process_index, state.num_processes)


def average(tensors: list[torch.Tensor]) -> None:
    """Replace tensors by their mean over all processes, in place and in one message."""
    together = torch.cat([tensor.detach().float().flatten() for tensor in tensors])
    dist.all_reduce(together)
    together /= dist.get_world_size()
    parts = together.split([tensor.numel() for tensor in tensors])
    with torch.no_grad():
        for tensor, part in zip(tensors, parts, strict=True):
            tensor.copy_(part.view_as(tensor))

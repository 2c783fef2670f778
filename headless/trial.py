"""How long an iteration takes and how much memory, from two that are thrown away."""

import time

import torch

from ..distill.plan import Memory
from ..distill.training import Training


def measured(training: Training, device: torch.device) -> tuple[float, Memory | None]:
    """Seconds of an iteration, and the memory it takes where the device tells.

    Args:
        training: not the one that will run; two iterations of it are done.

    Raises:
        ValueError: not even the trial fits into memory.
    """
    is_cuda, options = device.type == "cuda", training.options
    if is_cuda:
        torch.cuda.reset_peak_memory_stats(device)
        free, _ = torch.cuda.mem_get_info(device)
        before = torch.cuda.memory_allocated(device)
    try:
        # the first also pays for what is done once
        training.step()
        began = time.perf_counter()
        training.step()
    except torch.OutOfMemoryError as error:
        raise ValueError(
            "one iteration does not fit into the memory that is free. Set [train] "
            "accumulation to the batch, checkpointing to true, or a lower rank."
        ) from error
    if is_cuda:
        torch.cuda.synchronize(device)
    seconds = time.perf_counter() - began
    if not is_cuda:
        return seconds, None
    peak = torch.cuda.max_memory_allocated(device) - before
    return seconds, Memory(free, peak, 0, options.batch, options.accumulation)

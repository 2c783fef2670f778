"""How long an iteration takes and how much memory, from two that are thrown away."""

import time

import comfy.model_management
import torch

from ...distill.plan import Memory
from ...distill.training import Training


def measured(training: Training, device) -> tuple[float, Memory | None]:
    """Seconds of an iteration, and the memory it takes where the device tells.

    Args:
        training: to try, not the one that will run.

    Raises:
        ValueError: not even the trial fits into memory, or the model has no gradient.
    """
    free = comfy.model_management.get_free_memory(device)
    is_cuda = torch.device(device).type == "cuda"
    if is_cuda:
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
    try:
        # the first also pays for what is done once
        training.step()
        began = time.perf_counter()
        training.step()
    except comfy.model_management.OOM_EXCEPTION as error:
        raise ValueError(
            f"one iteration does not fit into the {free / 1e9:.1f} GB that are free. Set "
            "accumulation to the batch, turn checkpointing on, or lower rank."
        ) from error
    except (RuntimeError, NotImplementedError) as error:
        raise ValueError(
            f"this model cannot be trained: {error}. A part of it has no gradient. Remove nodes "
            "that patch or compile it, or load it in another weight_dtype."
        ) from error
    if is_cuda:
        torch.cuda.synchronize(device)
    seconds = time.perf_counter() - began
    if not is_cuda:
        return seconds, None
    peak = torch.cuda.max_memory_allocated(device) - before
    options = training.options
    return seconds, Memory(free, peak, 0, options.batch, options.accumulation)

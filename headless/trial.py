"""A trial of a training on the device of a process."""

import torch

from ..distill.plan import Memory
from ..distill.training import Training
from ..distill.trial import gauge_of, timed


def measured(training: Training, device: torch.device) -> tuple[float, Memory | None]:
    """Seconds of an iteration, and the memory it takes where the device tells; as of `timed`.

    Raises:
        ValueError: not even the trial fits into memory.
    """
    free = torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else 0
    try:
        return timed(training, gauge_of(device, free))
    except torch.OutOfMemoryError as error:
        raise ValueError(
            "one iteration does not fit into the memory that is free. Set [train] "
            "accumulation to the batch, checkpointing to true, or a lower rank."
        ) from error

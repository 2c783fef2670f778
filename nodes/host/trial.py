"""A trial of a training on ComfyUI's device."""

import comfy.model_management

from ...distill.plan import Memory
from ...distill.training import Training
from ...distill.trial import gauge_of, timed


def measured(training: Training, device) -> tuple[float, Memory | None]:
    """Seconds of an iteration, and the memory it takes where the device tells; as of `timed`.

    Raises:
        ValueError: not even the trial fits into memory, or the model has no gradient.
    """
    free = comfy.model_management.get_free_memory(device)
    try:
        return timed(training, gauge_of(device, free))
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

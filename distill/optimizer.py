"""AdamW, with its state in 8 bits where the library for that is installed.

Loshchilov and Hutter, arXiv:1711.05101; Dettmers et al., arXiv:2110.02861.
"""

import importlib.util

import torch

OPTIMIZERS = ("adamw", "adamw 8-bit")


def new_optimizer(name: str, parameters, learning_rate: float) -> torch.optim.Optimizer:
    """An optimizer without weight decay, which would pull a LoRA back to its teacher.

    Args:
        name: one of OPTIMIZERS.

    Raises:
        ValueError: there is no such optimizer, or its library is not installed.
    """
    if name not in OPTIMIZERS:
        raise ValueError(f"optimizer is {name!r}; allowed is one of {', '.join(OPTIMIZERS)}.")
    if name == "adamw":
        return torch.optim.AdamW(parameters, lr=learning_rate, weight_decay=0.0)
    if importlib.util.find_spec("bitsandbytes") is None:
        raise ValueError(
            "optimizer is 'adamw 8-bit', and its library is not installed. Install bitsandbytes, "
            "or choose 'adamw'; it takes 6 bytes more for each number trained."
        )
    from bitsandbytes.optim import AdamW8bit

    return AdamW8bit(parameters, lr=learning_rate, weight_decay=0.0)

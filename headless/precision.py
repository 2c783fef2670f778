"""The number format that networks run in, by what the user wants and what the device can."""

import torch

from .config import AUTO, BFLOAT16


def dtype_of(wanted: str, device: torch.device) -> torch.dtype:
    """One of config.DTYPES as torch has it; AUTO is bfloat16 on GPUs that have it, else float32."""
    if wanted == AUTO and device.type == "cuda" and torch.cuda.is_bf16_supported():
        return torch.bfloat16
    return torch.bfloat16 if wanted == BFLOAT16 else torch.float32

"""What tells models and their conditions from others, without reading gigabytes."""

import torch
from torch import nn

# numbers of each weight that are read
SAMPLES = 1024


def add_weights(digest, module: nn.Module, *, without: str | None = None) -> None:
    """Have a digest know the weights of a module; of a large one a part is read.

    Args:
        digest: of hashlib.
        without: a submodule that is left out where it is zeros, as if it were not there.
    """
    for name, weight in module.state_dict().items():
        # one that is spread over processes together again; each of them asks for it
        weight = weight.full_tensor() if hasattr(weight, "full_tensor") else weight
        if without and name.startswith(without) and not weight.any():
            continue
        stride = max(weight.numel() // SAMPLES, 1)
        digest.update(f"{name} {tuple(weight.shape)} {weight.dtype}".encode())
        add_tensor(digest, weight.reshape(-1)[::stride])


def add_tensor(digest, tensor: torch.Tensor) -> None:
    """Have a digest know all numbers of a tensor."""
    digest.update(tensor.detach().cpu().float().contiguous().numpy().tobytes())

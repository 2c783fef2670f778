"""State dicts of LoRA files, made for tests."""

import torch


def pair(stem, rank=2, width=3, out=5, alpha=None, down="lora_down", up="lora_up"):
    generator = torch.Generator().manual_seed(len(stem))
    state = {
        f"{stem}.{down}.weight": torch.randn(rank, width, generator=generator),
        f"{stem}.{up}.weight": torch.randn(out, rank, generator=generator),
    }
    return state if alpha is None else state | {f"{stem}.alpha": torch.tensor(float(alpha))}


def only(layers):
    (layer,) = layers.values()
    return layer

"""A LoRA file in kohya's names with one rank and no alpha, which diffusers reads right.

diffusers 0.42.1 takes the rank and alpha that most layers have for all layers of attention: of
files whose layers have several, it loads others than they are.
"""

from collections.abc import Mapping

import torch
from torch.nn import functional

DOWN, UP, ALPHA = ".lora_down.weight", ".lora_up.weight", ".alpha"


def evened(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The same LoRA with alpha in its weights, and ranks filled up with zeros.

    Args:
        state: tensors of a file; those in other names than kohya's are left as they are.
    """
    stems = [key.removesuffix(DOWN) for key in state if key.endswith(DOWN)]
    stems = [stem for stem in stems if stem + UP in state]
    most = max((len(state[stem + DOWN]) for stem in stems), default=0)
    found = dict(state)
    for stem in stems:
        down, up = (state[stem + part].float() for part in (DOWN, UP))
        rank = len(down)
        alpha = found.pop(stem + ALPHA, torch.tensor(float(rank))).item()
        found[stem + DOWN] = _filled(down, most)
        found[stem + UP] = _filled((up * (alpha / rank)).transpose(0, 1), most).transpose(0, 1)
    return found


def _filled(rows, count):
    """Zeros below, so that there are count rows."""
    return functional.pad(rows, [0, 0] * (rows.ndim - 1) + [0, count - len(rows)]).contiguous()

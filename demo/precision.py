"""The number format that the demo networks are trained in: bfloat16 only where it is fast."""

import torch


def autocast():
    """A context in which networks compute in bfloat16 if this CPU can, and in float32 if not.

    A CPU without instructions for it emulates bfloat16, twenty times slower than float32.
    """
    return torch.autocast("cpu", torch.bfloat16, enabled=_has_bfloat16())


def _has_bfloat16():
    return torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported()

"""Guidance without its second pass: the unconditional prediction from the conditional one.

Lv et al., "FasterCache: Training-Free Video Diffusion Model Acceleration with High Quality",
arXiv:2410.19355, CFG-Cache (section 3.3): the difference of the two predictions changes slowly,
its low frequencies mattering early in a run and its high ones late. It is kept from a step where
both were computed, and its frequencies are weighted when it is used again.
"""

import torch

# of the shorter side of a picture; what is nearer to the middle of the spectrum is low
RADIUS = 5
# alpha_1 and alpha_2 of the paper
BOOST = 0.2


def low_frequencies(x: torch.Tensor) -> torch.Tensor:
    """The low frequencies of pictures.

    Args:
        x: [..., H, W].

    Returns:
        [..., H, W] of x's type; x minus this are the high ones.
    """
    height, width = x.shape[-2:]
    rows = torch.fft.fftfreq(height, 1 / height, device=x.device)
    columns = torch.fft.fftfreq(width, 1 / width, device=x.device)
    is_low = rows[:, None] ** 2 + columns**2 <= (min(height, width) // RADIUS) ** 2
    spectrum = torch.fft.fft2(x.float()) * is_low
    return torch.fft.ifft2(spectrum).real.to(x.dtype)


def weighted(difference: torch.Tensor, is_early: bool, boost: float = BOOST) -> torch.Tensor:
    """A kept difference as it is used again: 1 + boost times its low frequencies early in a run,
    1 + boost times its high ones late; boost 0 leaves it as it is.

    Args:
        difference: [..., H, W] unconditional minus conditional prediction of an earlier step.
    """
    if boost == 0.0:
        return difference
    low = low_frequencies(difference)
    return difference + boost * (low if is_early else difference - low)

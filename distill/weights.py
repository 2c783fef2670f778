"""How much a squared error of the x0 estimate counts at each noise level.

With SNR = (alpha / sigma)^2: the error of eps is SNR times that of x0, that of v SNR + 1 times.
Salimans and Ho, "Progressive Distillation for Fast Sampling of Diffusion Models",
arXiv:2202.00512, section 4, where max(SNR, 1) is called truncated SNR.
"""

WEIGHTS = ("x0", "eps", "v", "truncated snr")


def weight(name: str, sigma, process):
    """The weight of a squared x0 error at level sigma.

    Args:
        name: one of WEIGHTS, the space in which the error is to count the same at every level.
        sigma: [B, 1, ...] levels above 0, in the process's unit.
        process: VE or FLOW.

    Returns:
        [B, 1, ...]

    Raises:
        ValueError: there is no such weight.
    """
    snr = (process.alpha(sigma) / sigma) ** 2
    match name:
        case "x0":
            return snr * 0 + 1
        case "eps":
            return snr
        case "v":
            return snr + 1
        case "truncated snr":
            return snr.clamp(min=1)
    raise ValueError(f"weight is {name!r}; allowed is one of {', '.join(WEIGHTS)}.")

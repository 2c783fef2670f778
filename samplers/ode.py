"""Deterministic solvers of the probability flow, for students of Euler type and for teachers.

Euler and Heun: Karras et al., arXiv:2206.00364, algorithm 1. DPM-Solver++ (2M): Lu et al.,
arXiv:2211.01095, algorithm 2. In both processes dx / dsigma = (x - denoised) / sigma.
"""

import math

from .levels import check_run
from .trajectory import ignore


def sample_euler(denoise, x, sigmas, *, process, on_step=ignore):
    """Sample with first-order steps, one network evaluation each.

    In float32 bit-identical to ComfyUI's `euler` on the same levels: levels that are float32
    numbers subtract exactly in double, and the difference rounds once, as theirs does.

    Args:
        denoise: (x, sigma) -> x0 estimate, guidance included.
        x: [B, C, ...] noisy latent at level sigmas[0].
        sigmas: N + 1 noise levels, strictly decreasing; the last may be 0.
        process: VE or FLOW, the space x is in.
        on_step: (i, x, denoised), called after the first evaluation of step i, x at sigmas[i].

    Returns:
        [B, C, ...] latent at level sigmas[-1].

    Raises:
        ValueError: the levels do not fall or leave the process's range, or x holds NaN.
    """
    levels = check_run(x, sigmas, process)
    for i, (sigma, sigma_next) in enumerate(zip(levels[:-1], levels[1:], strict=True)):
        denoised = denoise(x, sigma)
        on_step(i, x, denoised)
        x = x + _slope(x, denoised, sigma) * (sigma_next - sigma)
    return x


def sample_heun(denoise, x, sigmas, *, process, on_step=ignore):
    """Sample with second-order steps, two network evaluations each but one for a step to 0.

    Arguments, result and errors as `sample_euler`.
    """
    levels = check_run(x, sigmas, process)
    for i, (sigma, sigma_next) in enumerate(zip(levels[:-1], levels[1:], strict=True)):
        denoised = denoise(x, sigma)
        on_step(i, x, denoised)
        d = _slope(x, denoised, sigma)
        step = sigma_next - sigma
        x_next = x + d * step
        # the slope at 0 is 0 / 0: the last step stays first order
        if sigma_next > 0.0:
            d_next = _slope(x_next, denoise(x_next, sigma_next), sigma_next)
            x_next = x + (d + d_next) * (0.5 * step)
        x = x_next
    return x


def sample_dpmpp_2m(denoise, x, sigmas, *, process, on_step=ignore):
    """Sample with second-order multistep steps, one network evaluation each.

    Extrapolates the x0 estimate in the half-log-SNR of the process, so it is as right for FLOW as
    for VE. ComfyUI's `dpmpp_2m` extrapolates in -log sigma for every model, the same only for VE.
    Arguments, result and errors as `sample_euler`.
    """
    levels = check_run(x, sigmas, process)
    denoised_last, h_last = None, None
    for i, (sigma, sigma_next) in enumerate(zip(levels[:-1], levels[1:], strict=True)):
        denoised = denoise(x, sigma)
        on_step(i, x, denoised)
        h = process.half_log_snr(sigma_next) - process.half_log_snr(sigma)
        target = denoised
        # first order at the start, and into 0, where h is infinite
        if denoised_last is not None and sigma_next > 0.0:
            r = h_last / h
            target = denoised + (denoised - denoised_last) * (0.5 / r)
        x = (sigma_next / sigma) * x - process.alpha(sigma_next) * math.expm1(-h) * target
        denoised_last, h_last = denoised, h
    return x


def _slope(x, denoised, sigma):
    # CUDA divides by a Python number by multiplying with its reciprocal, one bit away from the
    # host, which divides by a tensor; a tensor made on the device costs no transfer
    return (x - denoised) / x.new_full((), sigma)

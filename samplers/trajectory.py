"""Trajectory sampling: predict x0, land below the next level, climb back with fresh noise.

Zheng et al., "Trajectory Consistency Distillation", arXiv:2402.19159. landings.py says which
landings make it LCM, TCD or DDIM.
"""

from .levels import check_run


def ignore(i, x, denoised):
    """An `on_step` that does nothing."""


def sample_trajectory(denoise, x, sigmas, landings, *, process, noise, on_step=ignore):
    """Sample with one network evaluation per step.

    In float32 with landings of 0 the result is bit-identical to ComfyUI's `lcm` sampler: every
    coefficient is exact in double and rounds once to what float32 arithmetic gives.

    Args:
        denoise: (x, sigma) -> x0 estimate, guidance included.
        x: [B, C, ...] noisy latent at level sigmas[0].
        sigmas: N + 1 noise levels, strictly decreasing; the last may be 0.
        landings: N levels reached deterministically, 0 <= landings[i] <= sigmas[i + 1].
            All 0 is multistep consistency sampling (LCM); sigmas[1:] is deterministic DDIM.
        process: VE or FLOW, the space x is in.
        noise: () -> standard normal noise like x; called only where a landing is below its level.
        on_step: (i, x, denoised), called after the network evaluation of step i, x at sigmas[i].

    Returns:
        [B, C, ...] latent at level sigmas[-1].

    Raises:
        ValueError: the levels do not fall or leave the process's range, a landing lies above the
            level that follows it, or x holds NaN.
    """
    levels = check_run(x, sigmas, process)
    _check_landings(landings, levels)
    hops = zip(levels[:-1], levels[1:], landings, strict=True)
    for i, (sigma, sigma_next, landing) in enumerate(hops):
        denoised = denoise(x, sigma)
        on_step(i, x, denoised)
        x = process.mix(denoised, process.noise_in(x, denoised, sigma), landing)
        if landing < sigma_next:
            x = process.renoise(x, noise(), landing, sigma_next)
    return x


def _check_landings(landings, levels):
    if len(landings) != len(levels) - 1:
        raise ValueError(
            f"landings has {len(landings)} levels for {len(levels) - 1} steps; "
            "it needs one for each step."
        )
    for i, (landing, sigma_next) in enumerate(zip(landings, levels[1:], strict=True)):
        if not 0.0 <= landing <= sigma_next:
            raise ValueError(
                f"landings[{i}] is {landing:g}; allowed is 0 to sigmas[{i + 1}], {sigma_next:g}. "
                "Make the landings from the same sigmas."
            )

"""How noisy a run starts: the latent a network is shown first.

The two conventions in use differ only for an empty latent, where the run starts from noise alone:

- "unit variance" scales the noise to what data of standard deviation 1 would have at the level,
  sqrt(alpha^2 + sigma^2). A VE network then sees input of variance 1, as it was trained to, at
  every start level. LCMScheduler, TCDScheduler and ComfyUI's full denoise start so.
- "sigma" scales it to sigma. EulerDiscreteScheduler with trailing spacing starts so. At SD's
  largest level it is 0.234 % smaller; at timestep 399 it is 24 % too small.
"""

import torch

CONVENTIONS = ("unit variance", "sigma")


def start(noise, latent, sigma, *, process, convention="unit variance"):
    """The noisy latent a run at level sigma starts from.

    Args:
        noise: [B, C, ...] standard normal noise.
        latent: [B, C, ...] the input picture; all zero where there is none.
        sigma: start level, > 0.
        process: VE or FLOW.
        convention: "unit variance" or "sigma", for an empty latent.

    Returns:
        [B, C, ...] the picture with noise of the level, or noise alone for an empty latent.

    Raises:
        ValueError: the convention is neither of the two.
    """
    scale = noise_scale(sigma, process, convention)
    if torch.any(latent):
        return process.mix(latent, noise, sigma)
    return noise * scale


def rescaled(x, sigma, *, process, made, wanted):
    """A start made from an empty latent in convention `made`, brought to convention `wanted`.

    Args:
        x: [B, C, ...] noise as the host scaled it.
        sigma: start level, > 0.
        made, wanted: "unit variance" or "sigma".

    Returns:
        [B, C, ...]; x itself where nothing changes.

    Raises:
        ValueError: a convention is neither of the two.
    """
    ratio = noise_scale(sigma, process, wanted) / noise_scale(sigma, process, made)
    return x if ratio == 1.0 else x * ratio


def noise_scale(sigma, process, convention):
    """Standard deviation of a start from noise alone.

    Raises:
        ValueError: the convention is neither of the two.
    """
    if convention not in CONVENTIONS:
        raise ValueError(
            f"start is {convention!r}; allowed is 'unit variance' (LCM, TCD and most few-step "
            "models) or 'sigma' (to repeat diffusers' Euler with trailing spacing)."
        )
    return process.std(sigma) if convention == "unit variance" else sigma

"""Sampling runs as a workflow makes them, through ComfyUI's own nodes, with every pass on record.

Import only after the host fixture has prepared ComfyUI.
"""

from typing import NamedTuple

import comfy.samplers
import torch
from comfy.patcher_extension import WrappersMP
from comfy_extras import nodes_custom_sampler as core_nodes
from host import tiny_models

from fewstep.nodes.samplers import FewStepSamplerEuler, FewStepSamplerLCM, FewStepSamplerTCD
from fewstep.nodes.schedules import FewStepSigmas
from fewstep.samplers.noise import cpu_noise

SEED = 3
LATENT = (4, 8, 8)


class Pass(NamedTuple):
    """One call of the diffusion model."""

    x: torch.Tensor  # as the network sees it
    timesteps: list[float]  # one for each row


def watched(model):
    """A copy of a MODEL, and the list that every call of its network is added to."""
    passes = []

    def record(executor, x, timesteps, *args, **kwargs):
        passes.append(Pass(x.clone(), timesteps.tolist()))
        return executor(x, timesteps, *args, **kwargs)

    model = model.clone()
    model.add_wrapper_with_key(WrappersMP.DIFFUSION_MODEL, "fewstep.tests", record)
    return model, passes


def sigmas(model, spacing="trailing", steps=4, denoise=1.0, timesteps=""):
    """The SIGMAS that our node gives."""
    return FewStepSigmas.execute(model, spacing, steps, denoise, timesteps)[0]


def lcm():
    return FewStepSamplerLCM.execute()[0]


def tcd(eta):
    return FewStepSamplerTCD.execute(eta)[0]


def euler(start="unit variance"):
    return FewStepSamplerEuler.execute(start)[0]


def core(name, latent=None):
    """Core's sampler of this name; lcm draws the step noise that ours draws for this latent."""
    if name != "lcm":
        return comfy.samplers.ksampler(name)
    draw = cpu_noise((latent or empty())["samples"], SEED)
    return comfy.samplers.ksampler(name, {"noise_sampler": lambda sigma, sigma_next: draw()})


def empty(batch=1):
    """LATENT as EmptyLatentImage gives it."""
    return {"samples": torch.zeros(batch, *LATENT)}


def picture(batch=1):
    """LATENT as VAEEncode gives it."""
    return {"samples": torch.randn(batch, *LATENT, generator=torch.Generator().manual_seed(11))}


def sample(
    model, sampler, sigmas, latent=None, *, cfg=2.0, seed=SEED, positive=None, negative=None
):
    """Latents [B, C, H, W] that the SamplerCustom node makes."""
    node = core_nodes.SamplerCustom()
    return node.sample(
        model,
        True,
        seed,
        cfg,
        positive or tiny_models.conditioning(1),
        negative or tiny_models.conditioning(2),
        sampler,
        sigmas,
        latent or empty(),
    )[0]["samples"]


def sample_advanced(model, sampler, sigmas, latent=None, *, cfg=2.0, seed=SEED):
    """Latents that RandomNoise, CFGGuider and SamplerCustomAdvanced make."""
    guider = comfy.samplers.CFGGuider(model)
    guider.set_conds(tiny_models.conditioning(1), tiny_models.conditioning(2))
    guider.set_cfg(cfg)
    noise = core_nodes.Noise_RandomNoise(seed)
    node = core_nodes.SamplerCustomAdvanced()
    return node.sample(noise, guider, sampler, sigmas, latent or empty())[0]["samples"]


def difference(a, b):
    """Largest absolute difference of two results, which must be finite and of one shape."""
    assert a.shape == b.shape
    assert a.isfinite().all() and b.isfinite().all() and a.std() > 0
    return (a - b).abs().max().item()

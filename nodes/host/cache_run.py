"""The cache of a MODEL: what is checked before a run, put up for it, and told after it."""

import time
from collections.abc import Callable
from typing import NamedTuple

from comfy.model_patcher import create_model_options_clone
from comfy.patcher_extension import WrappersMP

from ...cache.families import FAMILIES, Family
from ...cache.policy import LEAST_STEPS, WHOLE_STEP, Policy
from ...cache.reuse import Reuse, Tally
from ...evaluate.compare import psnr, ssim
from .cache_dit import DitBlocks, blocks_of
from .cache_unet import UNetBlocks
from .cache_whole import WholeNetwork
from .guidance_reuse import GuidanceReuse, GuidanceTally
from .lists import name_of
from .sampling import sampling_of
from .wrapping import has_wrapper, with_wrapper, wrap_run

KEY = "fewstep.cache"
# ComfyUI's own caches
OTHERS = {"easycache": "EasyCache", "lazycache": "LazyCache"}
UNET = "UNetModel"
# samplers that put fresh noise in at every step
STOCHASTIC = ("lcm", "tcd")


class Settings(NamedTuple):
    """What the cache of a MODEL does; the names are the inputs of the node.

    order: of the forecast. start_percent, end_percent: where in a run steps may be reused, as
    ComfyUI counts. front_blocks, back_blocks: always computed; 0 in front is the family's own.
    guidance_interval: every how many steps the unconditional pass is computed. force: also below
    LEAST_STEPS steps. compare: runs again without the cache.
    """

    policy: Policy
    order: int
    start_percent: float = 0.0
    end_percent: float = 1.0
    front_blocks: int = 0
    back_blocks: int = 0
    guidance_interval: int = 1
    force: bool = False
    compare: bool = False


class Quality(NamedTuple):
    """The same run without the cache, and how close the latents are to it."""

    seconds: float
    psnr: float  # dB; inf where they are equal
    ssim: float


class Report(NamedTuple):
    """A run with the cache."""

    steps: int
    tally: Tally
    guidance: GuidanceTally
    seconds: float
    quality: Quality | None = None


def family_of(model) -> Family | None:
    """What suits a MODEL's network; None where its blocks cannot be reached."""
    network = model.model.diffusion_model
    name = type(network).__name__
    return FAMILIES.get(name) if name == UNET or blocks_of(network) else None


def unreachable(model, policy: str) -> str:
    """Why a policy cannot be had for a MODEL whose blocks cannot be reached."""
    name = type(model.model.diffusion_model).__name__
    return (
        f"policy is {policy!r}, and ComfyUI gives no way to leave out blocks of this model's "
        f"network, {name}. Set policy to {WHOLE_STEP!r}, which reuses its output as a whole."
    )


def with_cache(model, settings: Settings, tell: Callable[[Report], None]):
    """A copy of a MODEL whose sampling runs reuse what earlier steps have computed.

    Args:
        tell: called with a report after each run that was not broken off.

    Raises:
        ValueError: the MODEL has a cache, or a setting is out of range.
    """
    _check_alone(model)
    _check_settings(settings)

    def around(executor, noise, latent_image, sampler, sigmas, *others, **named):
        guider = executor.class_obj
        _check_run(sampler, sigmas, settings)
        plain, conds = guider.model_options, _copied(guider.conds)
        guider.model_options = create_model_options_clone(plain)
        begun = time.perf_counter()
        try:
            network, guidance = _put_up(guider, settings)
            made = executor(noise, latent_image, sampler, sigmas, *others, **named)
        finally:
            guider.model_options = plain
        seconds, quality = time.perf_counter() - begun, None
        if settings.compare:
            guider.conds, begun = conds, time.perf_counter()
            whole = executor(noise, latent_image, sampler, sigmas, *others, **named)
            quality = Quality(time.perf_counter() - begun, psnr(made, whole), ssim(made, whole))
        tell(Report(len(sigmas) - 1, network.reuse.tally, guidance.tally, seconds, quality))
        return made

    return with_wrapper(model, WrappersMP.OUTER_SAMPLE, KEY, around)


def _copied(conds):
    return {name: [cond.copy() for cond in values] for name, values in conds.items()}


def _check_alone(model):
    if has_wrapper(model, WrappersMP.OUTER_SAMPLE, KEY):
        raise ValueError("model has a Cache (FewStep) already. Remove one of the two.")
    for key, title in OTHERS.items():
        if has_wrapper(model, WrappersMP.OUTER_SAMPLE, key):
            raise ValueError(
                f"model has ComfyUI's {title} already, and one would reuse what the other has "
                "guessed. Remove one of the two."
            )


def _check_settings(settings):
    start, end = settings.start_percent, settings.end_percent
    if not 0.0 <= start <= end <= 1.0:
        raise ValueError(
            f"start_percent is {start:g} and end_percent {end:g}; allowed is 0 to 1, and start not "
            "above end."
        )
    least = {"guidance_interval": 1, "front_blocks": 0, "back_blocks": 0}
    for name, low in least.items():
        if getattr(settings, name) < low:
            raise ValueError(f"{name} is {getattr(settings, name)}; allowed is {low} or more.")


def _check_run(sampler, sigmas, settings):
    name = (name_of(sampler)[0] or "").removeprefix("comfyui:")
    if name in STOCHASTIC:
        raise ValueError(
            f"the sampler is {name}, which puts fresh noise in at every step, so that no step is "
            "like the one before and nothing can be reused. Remove Cache (FewStep), or use a "
            "sampler without noise, such as euler."
        )
    steps = len(sigmas) - 1
    if steps < LEAST_STEPS and not settings.force:
        raise ValueError(
            f"the run has {steps} steps; below {LEAST_STEPS} every step differs too much from the "
            "one before to be reused, and the picture suffers more than by taking fewer steps. "
            "Remove Cache (FewStep), or set force to see it."
        )


def _put_up(guider, settings):
    sampling = sampling_of(guider.model_patcher)
    start, end, middle = (
        float(sampling.percent_to_sigma(percent))
        for percent in (settings.start_percent, settings.end_percent, 0.5)
    )
    reuse = Reuse(settings.policy, settings.order, start, end)
    network = _network(guider.model_patcher, settings, reuse)
    if network.can_skip:
        network.put_up(guider, KEY)

    def begin(executor, x, timestep, *others, **named):
        reuse.begin(timestep.flatten()[0].item())
        return executor(x, timestep, *others, **named)

    wrap_run(guider, WrappersMP.PREDICT_NOISE, KEY, begin)
    guidance = GuidanceReuse(settings.guidance_interval, start, end, middle)
    guidance.put_up(guider, KEY)
    return network, guidance


def _network(model, settings, reuse):
    network = model.model.diffusion_model
    if settings.policy.kind == WHOLE_STEP:
        return WholeNetwork(reuse)
    front, back = settings.front_blocks or family_of(model).front, settings.back_blocks
    if type(network).__name__ == UNET:
        return UNetBlocks(network, min(max(front, back), len(network.input_blocks)), reuse)
    return DitBlocks(network, front, back, reuse)

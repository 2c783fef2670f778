"""KSampler's own drop-downs."""

import comfy.k_diffusion.sampling
import comfy.samplers


def add_sampler(name: str, function) -> None:
    """Offer a sampler in KSampler's drop-down; a name that is there already is left alone."""
    if name in comfy.samplers.SAMPLER_NAMES:
        return
    setattr(comfy.k_diffusion.sampling, f"sample_{name}", function)
    for names in (comfy.samplers.KSAMPLER_NAMES, comfy.samplers.SAMPLER_NAMES):
        names.append(name)


def add_scheduler(name: str, schedule) -> None:
    """Offer (model_sampling, steps) -> sigmas in the schedulers' drop-downs, once."""
    if name in comfy.samplers.SCHEDULER_NAMES:
        return
    comfy.samplers.SCHEDULER_HANDLERS[name] = comfy.samplers.SchedulerHandler(schedule)
    comfy.samplers.SCHEDULER_NAMES.append(name)

"""KSampler's own drop-downs, and what their names stand for."""

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


def core_sampler(name: str):
    """The core's SAMPLER of this name.

    Raises:
        ValueError: this ComfyUI has none.
    """
    _check(name, comfy.samplers.SAMPLER_NAMES, "sampler")
    return comfy.samplers.sampler_object(name)


def core_sigmas(sampling, name: str, steps: int) -> list[float]:
    """Noise levels of the core's scheduler of this name, falling to 0.

    Raises:
        ValueError: this ComfyUI has none.
    """
    _check(name, comfy.samplers.SCHEDULER_NAMES, "scheduler")
    return comfy.samplers.calculate_sigmas(sampling, name, steps).tolist()


def name_of(sampler) -> tuple[str | None, dict]:
    """What a SAMPLER is called, and its options; ours are bare, the core's are "comfyui:euler".

    None where it is not given, or is no function that tells its name.
    """
    function = getattr(sampler, "sampler_function", None)
    if function is None:
        return None, {}
    name = function.__name__
    options = dict(sampler.extra_options)
    if name.startswith("fewstep_"):
        return name.removeprefix("fewstep_"), options
    name = name.removeprefix("sample_")
    # the one family whose functions are not called as the drop-down calls them
    return "comfyui:" + name.replace("unipc", "uni_pc"), options


def _check(name, known, what):
    if name not in known:
        raise ValueError(
            f"the recipe needs ComfyUI's {what} {name!r}, which this ComfyUI does not have. Update "
            "ComfyUI, or remove the extension that took it away."
        )

"""What a MODEL's model_sampling tells: its process, its noise levels, the timesteps it is told."""

from types import SimpleNamespace

import comfy.model_sampling
import torch

from ...diffusion.process import FLOW, VE, Process


def process_of(sampling) -> tuple[Process, float]:
    """Which process a model_sampling object follows, and how it scales noise besides.

    Asked of its behaviour, not its class, so that other packs' classes are understood too.

    Raises:
        ValueError: it is neither a VE nor a flow process.
    """
    half, one, zero = torch.tensor([0.5]), torch.ones(1, 1), torch.zeros(1, 1)
    alpha = sampling.noise_scaling(half, zero.clone(), one.clone()).item()
    scale = sampling.noise_scaling(half, one.clone(), zero.clone()).item() / 0.5
    for process in (VE, FLOW):
        if alpha == process.alpha(0.5) and scale > 0.0:
            return process, scale
    raise ValueError(
        f"model has the sampling {type(sampling).__name__}, which adds noise in a way FewStep does "
        "not know; it samples eps, v, x0 and flow models. Remove the node that patched the model's "
        "sampling, or use ComfyUI's own samplers for it."
    )


def sampling_of(model):
    """The model_sampling object of a MODEL, patches included."""
    return model.get_model_object("model_sampling")


def undistilled_table(sampling) -> list[float]:
    """Sigma of every integer timestep, rising, also where a patch left only 50 of them.

    Raises:
        ValueError: the model has no integer timesteps, or they cannot be had any more.
    """
    count = getattr(sampling, "num_timesteps", None)
    if count is None:
        raise ValueError(
            "model has continuous noise levels and no integer timesteps, which distilled SD models "
            "are sampled at. Use one of ComfyUI's own schedulers for it."
        )
    known = sampling.sigmas
    if len(known) == count:
        return known.tolist()
    settings = {"linear_start": sampling.linear_start, "linear_end": sampling.linear_end}
    whole = comfy.model_sampling.ModelSamplingDiscrete(
        SimpleNamespace(sampling_settings=settings), zsnr=sampling.zsnr
    ).sigmas
    stride = count // len(known)
    if not torch.equal(whole[stride - 1 :: stride], known.to(whole.device)):
        raise ValueError(
            f"model is patched so that only {len(known)} of its {count} timesteps are left, and "
            "the others cannot be told from them. Remove the node that patched the model's "
            "sampling."
        )
    return whole.tolist()


def check_told_timesteps(sampling, grid: list[int], spacing: str) -> None:
    """Raise ValueError if the network would be told other timesteps than these."""
    table = undistilled_table(sampling)
    remedy = "Use one of ComfyUI's own schedulers for a model that is told other things."
    if len(sampling.sigmas) < len(table):
        remedy = "ModelSamplingDiscrete (lcm) leaves only every 20th: use 'lcm', or remove it."
    told = sampling.timestep(torch.tensor([table[timestep] for timestep in grid])).tolist()
    for timestep, instead in zip(grid, told, strict=True):
        if timestep != instead:
            raise ValueError(
                f"spacing is {spacing!r}, which needs timestep {timestep}, but the network of this "
                f"model would be told {instead:g}. {remedy}"
            )


def flow_sigma(sampling, fraction: float) -> float:
    """A flow model's noise level at this fraction of its unshifted time, 1 being pure noise."""
    return float(sampling.percent_to_sigma(1.0 - fraction))

"""A sampling run of the core's, in the words of our samplers."""

import functools
from typing import Any, NamedTuple

import comfy.model_management
import comfy.samplers
import torch
from comfy_extras import nodes_custom_sampler
from tqdm.auto import tqdm

from ...diffusion.process import FLOW, VE, Process
from ...samplers.levels import check_run
from ...samplers.noise import cpu_noise
from ...samplers.start import CONVENTIONS, rescaled
from . import passes
from .sampling import process_of, sampling_of, undistilled_table


class Run(NamedTuple):
    """One sampling run in the core's terms."""

    denoise: Any  # (x, sigma) -> denoised
    x: torch.Tensor  # [B, C, ...] as the host started it
    sigmas: list[float]  # falling noise levels
    process: Process
    noise: Any  # () -> noise like x
    on_step: Any  # (i, x, denoised): progress, preview and interrupt
    sampling: Any  # the host's model_sampling object
    made: str | None  # how the host scaled an empty latent's noise; None if there is a picture

    def started(self, convention: str) -> torch.Tensor:
        """x with the noise of an empty latent scaled by the named convention."""
        if self.made is None:
            return self.x
        sigma, process = self.sigmas[0], self.process
        return rescaled(self.x, sigma, process=process, made=self.made, wanted=convention)

    def table(self) -> list[float] | None:
        """The undistilled model's sigma of every timestep; None for flow models."""
        return None if self.process is FLOW else undistilled_table(self.sampling)


def as_sampler_function(sample):
    """Turn (run, **options) -> x into a function with the signature of the host's samplers."""

    @functools.wraps(sample)
    @torch.no_grad()
    def function(model, x, sigmas, extra_args=None, callback=None, disable=None, **options):
        given = extra_args or {}
        bar = tqdm(total=max(len(sigmas) - 1, 0), disable=disable)
        with bar, passes.told(given.get("model_options", {})) as model_options:
            given = given | {"model_options": model_options}
            return sample(_run(model, x, sigmas, given, callback, bar), **options)

    return function


def as_sampler(function, **options):
    """A SAMPLER value; options are passed to the function at every run."""
    return comfy.samplers.KSAMPLER(function, extra_options=options)


def _run(model, x, sigmas, extra_args, callback, bar):
    guider = model.inner_model
    sampling = sampling_of(guider.model_patcher)
    process, noise_scale = process_of(sampling)
    draw = cpu_noise(x, extra_args.get("seed") or 0)
    levels = sigmas.tolist()

    def denoise(x, sigma):
        return model(x, x.new_full([x.shape[0]], sigma), **extra_args)

    def on_step(i, x, denoised):
        bar.update()
        if callback is not None:
            sigma = sigmas[i]
            callback({"i": i, "x": x, "denoised": denoised, "sigma": sigma, "sigma_hat": sigma})

    return Run(
        denoise=denoise,
        x=x,
        sigmas=levels,
        process=process,
        noise=draw if noise_scale == 1.0 else lambda: noise_scale * draw(),
        on_step=on_step,
        sampling=sampling,
        made=_made(model, guider, sigmas, process),
    )


def _made(model, guider, sigmas, process):
    if len(sigmas) < 2 or not sigmas[0] > 0 or torch.count_nonzero(model.latent_image) > 0:
        return None
    full = process is VE and comfy.samplers.Sampler().max_denoise(guider, sigmas)
    return CONVENTIONS[0] if full else CONVENTIONS[1]


def sample(
    model, sampler, sigmas: list[float], cfg, positive, negative, latent_image, seed, add_noise=True
):
    """LATENT that the core's SamplerCustom makes of all this.

    Args:
        add_noise: False where latent_image is noisy at sigmas[0] already.

    Raises:
        ValueError: latent_image or a level is nothing that can be sampled.
    """
    if not add_noise and is_empty(latent_image):
        raise ValueError(
            "latent_image is empty, and the recipe is for the low noise part of a run, which goes "
            "on from what the high noise part has left. Connect the latent of that node."
        )
    for part in parts_of(latent_image):
        check_run(part, sigmas, process_of(sampling_of(model))[0])
    node = nodes_custom_sampler.SamplerCustom()
    levels = torch.tensor(sigmas, dtype=torch.float32)
    words = positive, negative
    return node.sample(model, add_noise, seed, cfg, *words, sampler, levels, latent_image)[0]


def load(model) -> None:
    """Have a MODEL where it runs, as far as memory allows, before somebody takes the time."""
    comfy.model_management.load_models_gpu([model])


def is_empty(latent_image) -> bool:
    """Whether a LATENT holds no picture yet."""
    return not any(torch.count_nonzero(part) for part in parts_of(latent_image))


def is_finite(latent_image) -> bool:
    """Whether all values of a LATENT are numbers."""
    return all(torch.isfinite(part).all() for part in parts_of(latent_image))


def parts_of(latent_image) -> list[torch.Tensor]:
    """The tensors of a LATENT: one, or those of a video and its sound."""
    samples = latent_image["samples"]
    return list(samples.unbind()) if samples.is_nested else [samples]

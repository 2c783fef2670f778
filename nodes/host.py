"""The only door to ComfyUI's internals: models, samplers and settings as the core sees them."""

import functools
import json
import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import comfy.clip_model
import comfy.k_diffusion.sampling
import comfy.latent_formats
import comfy.model_management
import comfy.model_patcher
import comfy.model_sampling
import comfy.samplers
import comfy.sd
import comfy.sd1_clip
import comfy.supported_models
import comfy.supported_models_base
import comfy.utils
import folder_paths
import torch
from tqdm.auto import tqdm

from ..diffusion.process import FLOW, VE, Process
from ..samplers.noise import cpu_noise
from ..samplers.start import CONVENTIONS, rescaled


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
        with tqdm(total=max(len(sigmas) - 1, 0), disable=disable) as bar:
            return sample(_run(model, x, sigmas, extra_args or {}, callback, bar), **options)

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


def setting(name: str) -> Any:
    """A value from the default user's ComfyUI settings; None where it was never set."""
    path = Path(folder_paths.get_user_directory()) / "default" / "comfy.settings.json"
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(settings, dict):
            raise ValueError("it holds no JSON object")
        return settings.get(name)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        logging.warning("FewStep could not read its settings from %s: %s", path, error)
        return None


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


def sd_model(shape: dict, weights: dict[str, torch.Tensor], latent_format, reload):
    """A MODEL of the SD 1.5 architecture, of any size, in float32.

    Args:
        shape: the UNet's description in the host's words.
        weights: its state dict, diffusers' names.
        latent_format: the host's latent format of its VAE.
        reload: () -> the same MODEL anew, for hosts that reload instead of copying.
    """
    model_config = comfy.supported_models.SD15(shape)
    model_config.unet_config |= shape  # SD15 has put its own 8 heads over the shape's
    model_config.latent_format = latent_format
    model_config.set_inference_dtype(torch.float32, None)
    names = comfy.utils.unet_to_diffusers(shape)
    model = model_config.get_model({}, "")
    model.diffusion_model.load_state_dict({names[k]: v.float() for k, v in weights.items()})
    patcher = comfy.model_patcher.ModelPatcher(
        model,
        load_device=comfy.model_management.get_torch_device(),
        offload_device=comfy.model_management.unet_offload_device(),
    )
    patcher.cached_patcher_init = (lambda disable_dynamic=True: reload(), ())
    return patcher


def clip_text_model(config: dict, weights: dict[str, torch.Tensor], tokenizer_folder: str):
    """A CLIP of SD 1.5's kind with a text model and vocabulary of any size.

    Args:
        config: the text model's config.json as transformers writes it.
        weights: its state dict, transformers' names.
        tokenizer_folder: vocab.json and merges.txt of transformers' CLIPTokenizer.
    """
    tokens = config["max_position_embeddings"]
    special = {"start": "bos_token_id", "end": "eos_token_id", "pad": "pad_token_id"}

    class TextModel(comfy.clip_model.CLIPTextModel):
        def __init__(self, config, dtype, device, operations):
            super().__init__(config, dtype, device, operations)
            size = (config["vocab_size"], config["hidden_size"])
            self.set_input_embeddings(operations.Embedding(*size, dtype=dtype, device=device))

    encoder = functools.partial(
        comfy.sd1_clip.SDClipModel,
        max_length=tokens,
        textmodel_json_config=config,
        model_class=TextModel,
        special_tokens={name: config[key] for name, key in special.items()},
        return_projected_pooled=False,
    )
    tokenizer = functools.partial(
        comfy.sd1_clip.SDTokenizer,
        tokenizer_path=tokenizer_folder,
        max_length=tokens,
        embedding_size=config["hidden_size"],
    )
    target = comfy.supported_models_base.ClipTarget(
        functools.partial(comfy.sd1_clip.SD1Tokenizer, tokenizer=tokenizer),
        functools.partial(comfy.sd1_clip.SD1ClipModel, clip_model=encoder),
    )
    clip = comfy.sd.CLIP(target)
    clip.load_sd({**weights, "text_projection.weight": torch.eye(config["hidden_size"])})
    return clip


def taesd_vae(weights: dict[str, torch.Tensor]):
    """A VAE of TAESD's shape; weights is the state dict of diffusers' AutoencoderTiny."""
    sd = {"vae_scale": torch.tensor(1.0), "vae_shift": torch.tensor(0.0)}
    for key, value in weights.items():
        part, _, index, rest = key.split(".", 3)
        # the host's decoder begins with a clamp that diffusers keeps outside its layer list
        index = int(index) + (part == "decoder")
        sd[f"taesd_{part}.{index}.{rest}"] = value
    return comfy.sd.VAE(sd=sd)


def plain_latents(preview_factors: list[list[float]]):
    """A latent format without scaling; the factors turn latent channels into -1..1 RGB previews."""
    latents = comfy.latent_formats.LatentFormat()
    latents.latent_rgb_factors = preview_factors
    return latents


def with_lora(model, path):
    """A copy of a MODEL with a LoRA applied by the host's own loader."""
    lora = comfy.utils.load_torch_file(str(path), safe_load=True)
    return comfy.sd.load_lora_for_models(model, None, lora, 1.0, 0.0)[0]

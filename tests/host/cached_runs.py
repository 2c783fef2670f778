"""Small random networks of every kind that a cache is for, and sampling runs of them.

Import only after the host fixture has prepared ComfyUI.
"""

from typing import NamedTuple

import comfy.samplers
import torch
from comfy import supported_models
from comfy.model_patcher import ModelPatcher
from comfy_extras import nodes_custom_sampler
from host import tiny_dits, tiny_models

from fewstep.nodes.cache import FewStepCache
from fewstep.nodes.cache_inputs import cache_inputs

SDXL = {
    **tiny_models.UNET,
    "channel_mult": [1, 2, 2],
    "num_res_blocks": [1, 1, 1],
    "transformer_depth": [0, 1, 2],
    "transformer_depth_middle": 2,
    "transformer_depth_output": [0, 0, 1, 1, 2, 2],
    "use_linear_in_transformer": True,
    # a pooled vector of 8 and six sizes of 256 numbers each
    "num_classes": "sequential",
    "adm_in_channels": 8 + 6 * 256,
}
SDXL.pop("attention_resolutions")


class Net(NamedTuple):
    """A MODEL and what it is sampled with."""

    name: str
    model: object
    positive: list
    negative: list
    latent: dict


def network(name: str) -> Net:
    """A network by its name; at least five blocks."""
    if name in tiny_dits.NETWORKS:
        model = tiny_dits.tiny_dit(name, **tiny_dits.DEEP[name])
        # LTX-Video cannot do without a mask, nor ComfyUI's attention on the CPU with two at once
        has_mask = name == "LTX-Video"
        prompts = (
            tiny_dits.words(1, 9, has_mask=has_mask),
            tiny_dits.words(2, 6, pooled=8, has_mask=has_mask),
        )
        return Net(name, model, *prompts, tiny_dits.latent(name, 1 if has_mask else 2))
    model = tiny_models.tiny_model(network=tiny_models.UNET) if name == "SD 1.5" else _sdxl()
    prompts = tiny_dits.words(1, 7), tiny_dits.words(2, 7, pooled=8)
    return Net(name, model, *prompts, {"samples": torch.zeros(2, 4, 12, 12)})


def _sdxl():
    config = supported_models.SDXL(SDXL)
    config.set_inference_dtype(torch.float32, None)
    model = config.get_model({}, "", device="cpu")
    tiny_models.initialise(model.diffusion_model, seed=1)
    device = torch.device("cpu")
    return ModelPatcher(model, load_device=device, offload_device=device)


def node_inputs(**chosen):
    """The inputs of Cache (FewStep) but its model: as chosen, else its defaults."""
    widgets = cache_inputs()[1:]
    return {widget.id: widget.default for widget in widgets} | chosen


def through_node(model, **inputs):
    """The MODEL as Cache (FewStep) gives it."""
    return FewStepCache.execute(model, **node_inputs(**inputs))[0]


class Stopped(Exception):
    """A network failed because a test wanted it to."""


def stopping(model, at):
    """A copy of a MODEL whose network fails at one of its calls."""
    model, calls = model.clone(), []

    def stop(executor, *arguments, **named):
        calls.append(1)
        if len(calls) == at:
            raise Stopped
        return executor(*arguments, **named)

    model.add_wrapper_with_key("apply_model", "test", stop)
    return model


def levels(model, steps=12):
    """SIGMAS of ComfyUI's simple schedule."""
    sampling = model.get_model_object("model_sampling")
    return comfy.samplers.calculate_sigmas(sampling, "simple", steps)


def sampled(net, model, *, cfg=2.0, steps=12, sampler="euler", seed=3, latent=None, taken=None):
    """Latents that SamplerCustom makes; taken is how many of the steps, else all."""
    if isinstance(sampler, str):
        sampler = comfy.samplers.sampler_object(sampler)
    made = nodes_custom_sampler.SamplerCustom().sample(
        *(model, True, seed, cfg, net.positive, net.negative),
        *(sampler, levels(model, steps)[: taken and taken + 1], latent or net.latent),
    )
    return made[0]["samples"]


def asked(net, model, times=2, *, cfg=2.0, conditions=None):
    """What the network says of one noisy latent at one level, asked several times in a run."""
    said = []

    def sample_asking(model, x, sigmas, extra_args=None, callback=None, disable=None):
        for _ in range(times):
            said.append(model(x, sigmas[4] * x.new_ones(len(x)), **(extra_args or {})))
        return x

    sampler = comfy.samplers.KSAMPLER(sample_asking)
    prompts = conditions or (net.positive, net.negative)
    nodes_custom_sampler.SamplerCustom().sample(
        *(model, True, 3, cfg, *prompts, sampler, levels(model), net.latent)
    )
    return said

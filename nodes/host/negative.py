"""A negative prompt without guidance: a MODEL whose attention turns away from it in every run."""

from contextlib import contextmanager
from functools import partial

import torch
from comfy.patcher_extension import WrappersMP
from comfy.sampler_helpers import convert_cond
from comfy.utils import repeat_to_batch_size

from ...guidance.nag import check_settings
from .negative_families import family_of
from .negative_joint import refused_mask
from .negative_words import Settings, Words
from .wrapping import has_wrapper, with_run, wrap_run

KEY = "fewstep.negative"
# of a prompt; they act on the prediction for it, and for this negative prompt there is none
UNUSED = {"control", "control_apply_to_uncond", "gligen", "hooks"}
# guiders with more prompts than these weigh whole predictions against each other
PROMPTS = {"positive", "negative"}


def with_negative(model, negative, scale: float, tau: float, alpha: float):
    """A copy of a MODEL that leaves a negative prompt at cfg 1, in one pass for each step.

    Args:
        negative: CONDITIONING, one prompt for the whole picture and run.
        scale: 0 or more; at 0 the copy is like the model.
        tau: 1 or more.
        alpha: 0..1; at 0 the copy is like the model.

    Raises:
        ValueError: a number out of its range, a negative prompt in parts, a network that it cannot
            be done in, a second negative prompt, or another node in its place.
    """
    check_settings(scale, tau, alpha)
    _check_prompt(negative)
    family = family_of(model)
    family.check(model.model.diffusion_model, model.model_options["transformer_options"])
    if has_wrapper(model, WrappersMP.OUTER_SAMPLE, KEY):
        raise ValueError(
            "model has a negative prompt of Negative (FewStep) already; one is allowed. Write both "
            "into one prompt."
        )
    if scale == 0 or alpha == 0:
        return model.clone()
    words = _bare(negative)
    return with_run(model, KEY, partial(_run, words, family, Settings(scale, tau, alpha)))


def _check_prompt(negative):
    if len(negative) != 1 or negative[0][0] is None or negative[0][0].shape[1] == 0:
        raise ValueError(
            f"negative has {len(negative)} parts; allowed is one with tokens, as "
            "CLIPTextEncode gives it. Take the node out that combines prompts, or connect a prompt."
        )
    kept = negative[0][1]
    times = kept.get("start_percent", 0.0), kept.get("end_percent", 1.0)
    limits = [name for name in ("area", "mask") if name in kept]
    limits += ["a part of the run"] if times != (0.0, 1.0) else []
    if limits:
        raise ValueError(
            f"negative is limited to {limits[0]}; allowed is a prompt for the whole picture and "
            "the whole run. Connect it before the node that limits it."
        )


def _bare(negative):
    ((words, kept),) = negative
    return [[words, {key: value for key, value in kept.items() if key not in UNUSED}]]


@contextmanager
def _run(words, family, settings, guider, sampler, sigmas):
    if set(guider.conds) - PROMPTS:
        raise ValueError(
            f"the guider takes the prompts {', '.join(guider.conds)}; Negative (FewStep) allows "
            "those with positive and negative, such as KSampler, SamplerCustom and CFGGuider."
        )
    # there ComfyUI encodes it for the model as it encodes the others
    guider.conds[KEY] = convert_cond(words)
    wrapper = partial(_guide, guider, family, settings)
    wrap_run(guider, WrappersMP.APPLY_MODEL, KEY, wrapper)
    try:
        yield
    finally:
        guider.conds.pop(KEY, None)


def _guide(
    guider,
    family,
    settings,
    executor,
    x,
    sigma,
    concat,
    context,
    control,
    transformer_options,
    **conditions,
):
    kinds = transformer_options["cond_or_uncond"]
    if 0 in kinds:
        network = executor.class_obj.diffusion_model
        family.check(network, transformer_options)
        if "attention_mask" in conditions:
            raise ValueError(refused_mask())
        batch = x.shape[0] // len(kinds)
        rows = repeat_to_batch_size(_encoded(guider), batch).repeat(len(kinds), 1, 1)
        is_positive = torch.tensor([kind == 0 for kind in kinds]).repeat_interleave(batch)
        words = Words(network, rows, is_positive, settings)
        context, transformer_options = family.guide(context, words, transformer_options)
    return executor(x, sigma, concat, context, control, transformer_options, **conditions)


def _encoded(guider):
    encoded = guider.conds[KEY][0]["model_conds"]
    if "attention_mask" in encoded:
        raise ValueError(refused_mask())
    return encoded["c_crossattn"].cond

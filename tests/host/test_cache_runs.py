"""A cache ends with its run, and says what it did in it."""

import importlib
import math
import types

import pytest
import torch
from host.cache_fixtures import (
    EVERY_THIRD,
    KINDS,
    POLICIES,
    cache,
    cached,
    either,
    flux,
    nets,
    unet,
)

from fewstep.cache.policy import FIRST_BLOCK, Policy

__all__ = ["cache", "either", "flux", "nets", "unet"]


@pytest.mark.parametrize("policy", POLICIES, ids=KINDS)
def test_other_and_broken_off_runs_in_between_leave_nothing_behind(cache, nets, either, policy):
    settings = {"start_percent": 0.0, "guidance_interval": 2, "front_blocks": 1}
    model, reports = cached(cache, either, policy, 1, **settings)
    fresh = [
        nets.sampled(either, cached(cache, either, policy, 1, **settings)[0], seed=s)
        for s in (3, 4)
    ]
    other = either._replace(positive=either.negative, negative=either.positive)
    assert torch.equal(nets.sampled(either, model), fresh[0])
    nets.sampled(other, model)
    for at in (2, 7):
        with pytest.raises(nets.Stopped):
            nets.sampled(either, nets.stopping(model, at))
    assert torch.equal(nets.sampled(either, model, seed=4), fresh[1])
    assert torch.equal(nets.sampled(either, model), fresh[0])
    # runs that were broken off tell nothing
    assert len(reports) == 4


def test_the_model_is_as_it_was_after_runs(cache, nets, either):
    model, _ = cached(cache, either, EVERY_THIRD, start_percent=0.0)
    before = contents(model.model_options), list(either.model.model.diffusion_model.state_dict())
    nets.sampled(either, model)
    with pytest.raises(nets.Stopped):
        nets.sampled(either, nets.stopping(model, 5))
    after = contents(model.model_options), list(either.model.model.diffusion_model.state_dict())
    assert after == before


def contents(value):
    if isinstance(value, dict):
        return {key: contents(entry) for key, entry in value.items()}
    return [contents(entry) for entry in value] if isinstance(value, list) else id(value)


def functions_of(modules):
    """Every function and method of ComfyUI's modules, by its place."""
    found = {}
    for module in modules:
        for name, value in vars(importlib.import_module(module)).items():
            found[module, name] = value
            if isinstance(value, type) and value.__module__ == module:
                found |= {(module, name, key): entry for key, entry in vars(value).items()}
    kinds = types.FunctionType, types.BuiltinFunctionType, classmethod, staticmethod, type
    return {place: value for place, value in found.items() if isinstance(value, kinds)}


def test_no_function_of_comfyui_is_another_after_cache_guider_and_negative(nets, either):
    modules = [
        *("comfy.samplers", "comfy.sample", "comfy.model_base", "comfy.model_patcher"),
        *("comfy.patcher_extension", "comfy.ldm.modules.attention", "comfy.ldm.flux.model"),
        *("comfy.ldm.modules.diffusionmodules.openaimodel", "comfy.k_diffusion.sampling"),
        *("execution", "nodes", "comfy_extras.nodes_custom_sampler"),
    ]
    ours = importlib.import_module("fewstep.nodes")
    before = functions_of(modules)
    assert len(before) > 500
    nets.sampled(either, nets.through_node(either.model, policy="fixed", guidance_interval=2))
    model = ours.FewStepNegative.execute(either.model, either.negative, 4.0, 2.5, 0.25)[0]
    nets.sampled(either, model, cfg=1.0)
    prompts = either.positive, 0.0, 2.0, 0.0, 0.5, either.negative
    guider = ours.FewStepGuider.execute(either.model, *prompts)[0]
    latent, sampler = either.latent["samples"], importlib.import_module("host.runs").core("euler")
    guider.sample(latent, latent, sampler, nets.levels(either.model))
    after = functions_of(modules)
    assert after.keys() == before.keys()
    assert [place for place in before if before[place] is not after[place]] == []


# --- what is told ---------------------------------------------------------------------------------


def test_a_run_says_what_it_left_out(nets, unet, caplog):
    caplog.set_level("INFO")
    nets.sampled(unet, nets.through_node(unet.model, policy="fixed", guidance_interval=3))
    (line,) = [text for text in caplog.messages if text.startswith("FewStep cache")]
    assert "fixed" in line and "passes reused an earlier step" in line
    assert "second passes of guidance left out" in line and "without the cache" not in line


def test_a_run_in_which_nothing_was_alike_says_so(nets, unet, caplog):
    caplog.set_level("INFO")
    nets.sampled(unet, nets.through_node(unet.model, policy="first block", threshold=0.0))
    (line,) = [text for text in caplog.messages if text.startswith("FewStep cache")]
    assert "no step was like an earlier one" in line


def test_a_run_that_was_to_reuse_guidance_alone_says_no_more(nets, unet, caplog):
    caplog.set_level("INFO")
    inputs = {"policy": "fixed", "max_skips": 0, "guidance_interval": 2}
    nets.sampled(unet, nets.through_node(unet.model, **inputs))
    (line,) = [text for text in caplog.messages if text.startswith("FewStep cache")]
    assert line.endswith(" of 12 second passes of guidance left out") and line.count(";") == 1


def test_compared_with_itself_a_run_without_reuse_is_equal(cache, nets, either):
    # SSIM needs a picture as large as its window
    if either.name == "FLUX":
        pytest.skip("the small FLUX makes pictures below SSIM's window")
    model, reports = cached(cache, either, Policy(FIRST_BLOCK, 0.0, 2), compare=True)
    nets.sampled(either, model)
    assert reports[0].quality[1:] == (math.inf, pytest.approx(1.0))


def test_compared_the_distance_is_that_of_the_latents(cache, nets, unet):
    compare = importlib.import_module("fewstep.evaluate.compare")
    model, reports = cached(cache, unet, EVERY_THIRD, compare=True)
    made, plain = nets.sampled(unet, model), nets.sampled(unet, unet.model)
    assert reports[0].quality.psnr == pytest.approx(compare.psnr(made, plain), rel=1e-6)
    assert reports[0].quality.ssim == pytest.approx(compare.ssim(made, plain), rel=1e-6)
    assert reports[0].quality.seconds > 0

"""What a cache cannot do is refused before the first pass, with what to do instead."""

import importlib
import math

import pytest
import torch
from host.cache_fixtures import flux, nets, unet

from fewstep.cache.policy import ACCUMULATED

__all__ = ["flux", "nets", "unet"]


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"policy": "magic"}, "policy is 'magic'; allowed is one of auto, first block"),
        ({"policy": "first block", "threshold": -0.1}, "threshold is -0.1; allowed"),
        ({"policy": "first block", "threshold": math.nan}, "threshold is nan; allowed"),
        ({"start_percent": 0.6, "end_percent": 0.5}, "start_percent is 0.6 and end_percent 0.5"),
        ({"end_percent": math.nan}, "end_percent nan; allowed is 0 to 1"),
        ({"guidance_interval": 0}, "guidance_interval is 0; allowed is 1 or more"),
        ({"front_blocks": -1}, "front_blocks is -1; allowed is 0 or more"),
        ({"max_skips": -1}, "max_skips is -1; allowed is 0"),
        ({"forecast": "oracle"}, "forecast is 'oracle'; allowed is one of reuse, taylor"),
        ({"policy": ACCUMULATED, "coefficients": "1, 2, 3"}, "coefficients are 3 numbers"),
        ({"policy": ACCUMULATED, "coefficients": "1 2 x"}, "coefficients are '1 2 x'; allowed"),
        ({"coefficients": "1 2 3 4 5"}, "they go with 'accumulated change' only"),
    ],
)
def test_bad_input_is_refused_in_the_node(nets, unet, inputs, message):
    with pytest.raises(ValueError, match=message):
        nets.through_node(unet.model, **inputs)


def test_teacache_coefficients_are_taken(nets, unet):
    model = nets.through_node(unet.model, policy=ACCUMULATED, coefficients="0, 0 0,1, 0")
    plain = nets.through_node(unet.model, policy=ACCUMULATED)
    assert torch.equal(nets.sampled(unet, model), nets.sampled(unet, plain))


def test_a_second_cache_is_refused(nets, unet):
    with pytest.raises(ValueError, match="has a Cache .FewStep. already"):
        nets.through_node(nets.through_node(unet.model))


@pytest.mark.parametrize("name", ["EasyCache", "LazyCache"])
def test_comfyuis_caches_are_refused_beside_it(nets, unet, name):
    module = importlib.import_module("comfy_extras.nodes_easycache")
    model = getattr(module, f"{name}Node").execute(unet.model, 0.2, 0.15, 0.95, False)[0]
    with pytest.raises(ValueError, match=f"has ComfyUI's {name} already"):
        nets.through_node(model)


@pytest.mark.parametrize("policy", ["auto", "first block", "accumulated change", "fixed"])
def test_a_network_that_cannot_be_reached_is_refused_but_for_whole_steps(nets, unet, policy):
    class Foreign(type(unet.model.model.diffusion_model)):
        pass

    network = unet.model.model.diffusion_model
    own, network.__class__ = network.__class__, Foreign
    try:
        with pytest.raises(ValueError, match="network, Foreign. Set policy to 'whole step'"):
            nets.through_node(unet.model, policy=policy)
        nets.through_node(unet.model, policy="whole step")
    finally:
        network.__class__ = own


def test_few_steps_are_refused_before_the_first_pass_unless_forced(nets, unet):
    model = nets.stopping(nets.through_node(unet.model), at=1)
    with pytest.raises(ValueError, match="the run has 9 steps; below 10"):
        nets.sampled(unet, model, steps=9)
    nets.sampled(unet, nets.through_node(unet.model, force=True), steps=9)


@pytest.mark.parametrize("name", ["lcm", "fewstep_lcm", "fewstep_tcd"])
def test_samplers_with_fresh_noise_are_refused_before_the_first_pass(nets, unet, name):
    runs = importlib.import_module("host.runs")
    ours = {"fewstep_lcm": runs.lcm(), "fewstep_tcd": runs.tcd(0.3)}
    sampler = ours.get(name) or runs.core("lcm")
    model = nets.stopping(nets.through_node(unet.model, force=True), at=1)
    word = name.removeprefix("fewstep_")
    with pytest.raises(ValueError, match=f"the sampler is {word}, which puts fresh noise in"):
        nets.sampled(unet, model, sampler=sampler)


def test_a_node_on_the_place_of_a_block_is_named(nets, flux):
    model = flux.model.clone()
    model.set_model_patch_replace(lambda args, extra: None, "dit", "double_block", 1)
    with pytest.raises(ValueError, match="replaces double_block 1 of its network"):
        nets.sampled(flux, nets.through_node(model))

"""A cache lives with other nodes: LoRAs, ControlNets, patches, torch.compile, the guider."""

import importlib

import pytest
import torch
from host.cache_fixtures import (
    EVERY_THIRD,
    KINDS,
    POLICIES,
    cache,
    cached,
    flux,
    nets,
    unet,
)

from fewstep.cache.policy import FIXED, Policy

__all__ = ["cache", "flux", "nets", "unet"]


def test_a_lora_counts_in_reused_steps_as_in_others(host, cache, nets, unet):
    loaded = host.with_lora
    before, _ = cached(cache, unet._replace(model=loaded(unet.model)), EVERY_THIRD, 1)
    after = loaded(cached(cache, unet, EVERY_THIRD, 1)[0])
    made = nets.sampled(unet, before)
    assert torch.equal(made, nets.sampled(unet, after))
    assert (made - nets.sampled(unet, cached(cache, unet, EVERY_THIRD, 1)[0])).abs().max() > 1e-3


@pytest.mark.parametrize("policy", POLICIES[:2], ids=KINDS[:2])
def test_a_controlnet_acts_once_in_every_block_of_every_step(host, cache, nets, policy):
    controls = importlib.import_module("host.test_speed_style_controlnet")
    control_net = controls.control_net.__wrapped__(host)
    demo, clip, _ = controls.demo()
    words = controls.encode(clip, controls.CAPTION), controls.encode(clip, "")
    latent = {"samples": torch.zeros(1, 4, 16, 16)}
    net = nets.Net("demo", demo, *controls.controlled(words, control_net, 1.0), latent)
    model, reports = cached(cache, net, policy._replace(threshold=1e-6), start_percent=0.0)
    first, second = nets.asked(net, model)
    torch.testing.assert_close(second, first, rtol=1e-4, atol=1e-4)
    assert reports[0].tally[:2] == (2, 2)
    plain = nets.asked(net._replace(positive=words[0], negative=words[1]), demo, times=1)[0]
    assert (first - plain).abs().max() > 0.01
    assert torch.equal(first, nets.asked(net, demo, times=1)[0])


def adding(block, number):
    """A patch of core's kind for one output block, told by its number in the whole network.

    It changes what it is given in place, as FreeU does.
    """

    def add(h, hsp, options):
        if options["block"] == (block, number):
            h += h.flip(-1)
        return h, hsp

    return add


def assert_acts_alike(cache, nets, unet, patched):
    """What was patched onto a UNet acts in a reused step as in a computed one."""
    net = unet._replace(model=patched)
    model, _ = cached(cache, net, EVERY_THIRD, start_percent=0.0)
    first, second = nets.asked(net, model)
    torch.testing.assert_close(second, first, rtol=1e-4, atol=1e-4)
    assert (first - nets.asked(unet, unet.model, times=1)[0]).abs().max() > 1e-3


@pytest.mark.parametrize("number", [0, 2, 3])
def test_patches_of_blocks_find_their_block_in_reused_steps(cache, nets, unet, number):
    patched = unet.model.clone()
    patched.set_model_output_block_patch(adding("output", number))
    assert_acts_alike(cache, nets, unet, patched)


def test_the_attention_of_one_block_is_replaced_in_reused_steps_too(cache, nets, unet):
    patched = unet.model.clone()
    # the last output block, which is always computed
    patched.set_model_attn1_replace(lambda q, k, v, options: v, "output", 3)
    assert_acts_alike(cache, nets, unet, patched)


def test_patches_of_attention_are_told_the_same_in_reused_steps(cache, nets, unet):
    patched, told = unet.model.clone(), []

    def note(q, k, v, options):
        told.append((options["block"], options["block_index"], options["transformer_index"]))
        return q, k, v

    patched.set_model_attn1_patch(note)
    net = unet._replace(model=patched)
    nets.asked(net, patched, times=1)
    plain = list(told)
    told.clear()
    nets.asked(net, cached(cache, net, EVERY_THIRD, start_percent=0.0)[0])
    assert told[: len(plain)] == plain
    assert told[len(plain) :] == [one for one in plain if one[0] == ("output", 3)] != []


@pytest.fixture
def compiler():
    """torch.compile that has compiled nothing; a function three times, since each takes seconds."""
    # a function that has met its limit is let alone by later tests too
    torch.compiler.reset()
    with torch._dynamo.config.patch(recompile_limit=3):
        yield
    torch.compiler.reset()


@pytest.mark.parametrize(
    ("name", "policy"),
    [("FLUX", POLICIES[1]), ("SD 1.5", EVERY_THIRD), ("SD 1.5", POLICIES[1])],
    ids=["FLUX, first block", "SD 1.5, fixed", "SD 1.5, first block"],
)
def test_a_compiled_network_is_cached_alike(cache, nets, unet, flux, compiler, name, policy):
    compiled = pytest.importorskip("comfy_api.torch_helpers")
    net = {"SD 1.5": unet, "FLUX": flux}[name]
    model, _ = cached(cache, net, policy, 1, start_percent=0.0)
    expected = nets.sampled(net, model)
    compiled.set_torch_compile_wrapper(model, backend="eager")
    torch.testing.assert_close(nets.sampled(net, model), expected, rtol=1e-4, atol=1e-4)


def test_the_guider_counts_only_passes_that_ran(host, cache, nets, unet):
    guided = importlib.import_module("fewstep.nodes.host.passes")
    lines = []
    model, _ = cached(cache, unet, Policy(FIXED, 0.0, 0), guidance_interval=2, start_percent=0.0)
    nets.sampled(unet, guided.counted(model, lines.append))
    # 12 steps, the second pass in each other one
    assert lines == ["18 network passes in 12 steps: 2 on 6 of them"]

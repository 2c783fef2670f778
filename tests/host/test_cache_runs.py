"""A cache ends with its run, lives with other nodes, and refuses what it cannot do."""

import importlib
import math
import types

import pytest
import torch
from host.test_cache import cache, cached, nets

from fewstep.cache.policy import ACCUMULATED, FIRST_BLOCK, FIXED, WHOLE_STEP, Policy
from fewstep.guidance.reuse import weighted

__all__ = ["cache", "nets"]

EVERY_THIRD = Policy(FIXED, 0.0, 2)
POLICIES = [EVERY_THIRD, Policy(FIRST_BLOCK, 10.0, 2), Policy(WHOLE_STEP, 10.0, 2)]
KINDS = [policy.kind for policy in POLICIES]


@pytest.fixture(scope="module")
def unet(nets):
    return nets.network("SD 1.5")


@pytest.fixture(scope="module")
def flux(nets):
    return nets.network("FLUX")


@pytest.fixture(params=["SD 1.5", "FLUX"])
def net(request, unet, flux):
    return {"SD 1.5": unet, "FLUX": flux}[request.param]


def node(host):
    return importlib.import_module("fewstep.nodes").FewStepCache


DEFAULTS = {
    "policy": "auto",
    "threshold": 0.1,
    "start_percent": 0.1,
    "end_percent": 1.0,
    "max_skips": 3,
    "guidance_interval": 1,
    "front_blocks": 0,
    "back_blocks": 0,
    "forecast": "taylor",
    "coefficients": "",
    "force": False,
    "compare": False,
}


def executed(host, model, **inputs):
    return node(host).execute(model, **{**DEFAULTS, **inputs})[0]


# --- nothing outlives a run -----------------------------------------------------------------------


class Stopped(Exception):
    pass


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


@pytest.mark.parametrize("policy", POLICIES, ids=KINDS)
def test_other_and_broken_off_runs_in_between_leave_nothing_behind(cache, nets, net, policy):
    settings = {"start_percent": 0.0, "guidance_interval": 2, "front_blocks": 1}
    model, reports = cached(cache, net, policy, 1, **settings)
    fresh = [
        nets.sampled(net, cached(cache, net, policy, 1, **settings)[0], seed=s) for s in (3, 4)
    ]
    other = net._replace(positive=net.negative, negative=net.positive)
    assert torch.equal(nets.sampled(net, model), fresh[0])
    nets.sampled(other, model)
    for at in (2, 7):
        with pytest.raises(Stopped):
            nets.sampled(net, stopping(model, at))
    assert torch.equal(nets.sampled(net, model, seed=4), fresh[1])
    assert torch.equal(nets.sampled(net, model), fresh[0])
    # runs that were broken off tell nothing
    assert len(reports) == 4


def test_the_model_is_as_it_was_after_runs(cache, nets, net):
    model, _ = cached(cache, net, EVERY_THIRD, start_percent=0.0)
    before = contents(model.model_options), list(net.model.model.diffusion_model.state_dict())
    nets.sampled(net, model)
    with pytest.raises(Stopped):
        nets.sampled(net, stopping(model, 5))
    after = contents(model.model_options), list(net.model.model.diffusion_model.state_dict())
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


def test_no_function_of_comfyui_is_another_afterwards(host, nets, net):
    modules = [
        *("comfy.samplers", "comfy.sample", "comfy.model_base", "comfy.model_patcher"),
        *("comfy.patcher_extension", "comfy.ldm.modules.attention", "comfy.ldm.flux.model"),
        *("comfy.ldm.modules.diffusionmodules.openaimodel", "comfy.k_diffusion.sampling"),
        *("execution", "nodes", "comfy_extras.nodes_custom_sampler"),
    ]
    before = functions_of(modules)
    assert len(before) > 500
    nets.sampled(net, executed(host, net.model, policy="fixed", guidance_interval=2))
    after = functions_of(modules)
    assert after.keys() == before.keys()
    assert [place for place in before if before[place] is not after[place]] == []


# --- beside other nodes ---------------------------------------------------------------------------


def test_a_lora_counts_in_reused_steps_as_in_others(cache, nets, unet):
    weights = unet.model.model.diffusion_model.state_dict()
    (name,) = [name for name in weights if name.endswith("middle_block.1.proj_in.weight")]
    patch = {f"diffusion_model.{name}": ("diff", (torch.ones_like(weights[name]) * 0.05,))}

    def loaded(model):
        model = model.clone()
        assert model.add_patches(patch) == list(patch)
        return model

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


@pytest.mark.parametrize("number", [0, 2, 3])
def test_patches_of_blocks_find_their_block_in_reused_steps(cache, nets, unet, number):
    patched = unet.model.clone()
    patched.set_model_output_block_patch(adding("output", number))
    net = unet._replace(model=patched)
    model, _ = cached(cache, net, EVERY_THIRD, start_percent=0.0)
    first, second = nets.asked(net, model)
    torch.testing.assert_close(second, first, rtol=1e-4, atol=1e-4)
    assert (first - nets.asked(unet, unet.model, times=1)[0]).abs().max() > 1e-3


def test_the_attention_of_one_block_is_replaced_in_reused_steps_too(cache, nets, unet):
    patched = unet.model.clone()
    # the last output block, which is always computed
    patched.set_model_attn1_replace(lambda q, k, v, options: v, "output", 3)
    net = unet._replace(model=patched)
    model, _ = cached(cache, net, EVERY_THIRD, start_percent=0.0)
    first, second = nets.asked(net, model)
    torch.testing.assert_close(second, first, rtol=1e-4, atol=1e-4)
    assert (first - nets.asked(unet, unet.model, times=1)[0]).abs().max() > 1e-3


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


@pytest.mark.parametrize("policy", POLICIES, ids=KINDS)
def test_a_compiled_network_is_cached_alike(cache, nets, net, policy):
    compiled = pytest.importorskip("comfy_api.torch_helpers")
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


# --- guidance -------------------------------------------------------------------------------------


@pytest.mark.parametrize("cfg", [2.0, 7.5])
def test_a_second_pass_left_out_is_the_kept_difference(cache, nets, net, cfg):
    model, reports = cached(
        cache, net, Policy(FIXED, 0.0, 0), guidance_interval=2, start_percent=0.0
    )
    prompts = net.positive, net.negative
    cond = nets.asked(net, net.model, 1, cfg=1.0)[0]
    uncond = nets.asked(net, net.model, 1, cfg=1.0, conditions=prompts[::-1])[0]
    answers = nets.asked(net, model, 3, cfg=cfg)
    levels = net.model.get_model_object("model_sampling")
    sigma = nets.levels(net.model)[4]
    difference = weighted((uncond - cond) / sigma, bool(sigma > levels.percent_to_sigma(0.5)))
    guessed = cond + sigma * difference
    for answer, other in zip(answers, (uncond, guessed, uncond), strict=True):
        expected = other + cfg * (cond - other)
        torch.testing.assert_close(answer, expected, rtol=1e-4, atol=1e-4)
    assert reports[0].guidance == (2, 1)


def test_at_cfg_1_there_is_no_guidance_to_reuse(cache, nets, unet):
    model, reports = cached(
        cache, unet, Policy(FIXED, 0.0, 0), guidance_interval=3, start_percent=0.0
    )
    assert torch.equal(nets.sampled(unet, model, cfg=1.0), nets.sampled(unet, unet.model, cfg=1.0))
    assert reports[0].guidance == (0, 0)


def test_outside_its_part_of_the_run_guidance_is_computed(cache, nets, unet):
    model, reports = cached(
        cache, unet, Policy(FIXED, 0.0, 0), guidance_interval=12, start_percent=0.5
    )
    nets.sampled(unet, model)
    computed, reused = reports[0].guidance
    assert (computed, reused) == (6, 6)


def in_turns(first, second):
    """A prompt that gives way to another in the middle of a run."""
    ranged = importlib.import_module("nodes").ConditioningSetTimestepRange().set_range
    return ranged(first, 0.0, 0.5)[0] + ranged(second, 0.5, 1.0)[0]


@pytest.fixture(scope="module")
def changing(host, flux):
    """Prompts of which the positive one gives way to a longer one."""
    words = importlib.import_module("host.tiny_dits").words(5, 12)
    return flux._replace(positive=in_turns(flux.positive, words))


@pytest.mark.parametrize("policy", POLICIES, ids=KINDS)
def test_a_prompt_may_give_way_to_a_longer_one(cache, nets, changing, policy):
    model, reports = cached(cache, changing, policy, 1, start_percent=0.0)
    made, plain = (nets.sampled(changing, each) for each in (model, changing.model))
    assert 0 < (made - plain).abs().max() < 0.5 * plain.abs().max()
    assert reports[0].tally.reused > 0


def test_what_a_prompt_gave_is_not_used_for_the_next(cache, nets, changing):
    model, reports = cached(cache, changing, Policy(FIXED, 0.0, 99), start_percent=0.0)
    nets.sampled(changing, model)
    # both in the first step, and the longer prompt in its first one; in one step three hold
    assert reports[0].tally[:2] == (3, 22)


def test_guidance_of_one_prompt_is_not_used_for_the_next(cache, nets, unet):
    words = importlib.import_module("host.tiny_dits").words(5, 7)
    net = unet._replace(positive=in_turns(unet.positive, words))
    model, reports = cached(
        cache, net, Policy(FIXED, 0.0, 0), guidance_interval=99, start_percent=0.0
    )
    nets.sampled(net, model)
    # the first step, and the first one of the second prompt
    assert reports[0].guidance == (2, 10)


# --- what is told ---------------------------------------------------------------------------------


def test_a_run_says_what_it_left_out(host, nets, unet, caplog):
    caplog.set_level("INFO")
    nets.sampled(unet, executed(host, unet.model, policy="fixed", guidance_interval=3))
    (line,) = [text for text in caplog.messages if text.startswith("FewStep cache")]
    assert "fixed" in line and "passes reused an earlier step" in line
    assert "second passes of guidance left out" in line and "without the cache" not in line


def test_a_run_in_which_nothing_was_alike_says_so(host, nets, unet, caplog):
    caplog.set_level("INFO")
    nets.sampled(unet, executed(host, unet.model, policy="first block", threshold=0.0))
    (line,) = [text for text in caplog.messages if text.startswith("FewStep cache")]
    assert "no step was like an earlier one" in line


def test_compared_with_itself_a_run_without_reuse_is_equal(cache, nets, net):
    # SSIM needs a picture as large as its window
    if net.name == "FLUX":
        pytest.skip("the small FLUX makes pictures below SSIM's window")
    model, reports = cached(cache, net, Policy(FIRST_BLOCK, 0.0, 2), compare=True)
    nets.sampled(net, model)
    assert reports[0].quality[1:] == (math.inf, pytest.approx(1.0))


def test_compared_the_distance_is_that_of_the_latents(cache, nets, unet):
    compare = importlib.import_module("fewstep.evaluate.compare")
    model, reports = cached(cache, unet, EVERY_THIRD, compare=True)
    made, plain = nets.sampled(unet, model), nets.sampled(unet, unet.model)
    assert reports[0].quality.psnr == pytest.approx(compare.psnr(made, plain), rel=1e-6)
    assert reports[0].quality.ssim == pytest.approx(compare.ssim(made, plain), rel=1e-6)
    assert reports[0].quality.seconds > 0


# --- what is refused ------------------------------------------------------------------------------


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
def test_bad_input_is_refused_in_the_node(host, unet, inputs, message):
    with pytest.raises(ValueError, match=message):
        executed(host, unet.model, **inputs)


def test_teacache_coefficients_are_taken(host, nets, unet):
    model = executed(host, unet.model, policy=ACCUMULATED, coefficients="0, 0 0,1, 0")
    plain = executed(host, unet.model, policy=ACCUMULATED)
    assert torch.equal(nets.sampled(unet, model), nets.sampled(unet, plain))


def test_a_second_cache_is_refused(host, unet):
    with pytest.raises(ValueError, match="has a Cache .FewStep. already"):
        executed(host, executed(host, unet.model))


@pytest.mark.parametrize("name", ["EasyCache", "LazyCache"])
def test_comfyuis_caches_are_refused_beside_it(host, unet, name):
    module = importlib.import_module("comfy_extras.nodes_easycache")
    model = getattr(module, f"{name}Node").execute(unet.model, 0.2, 0.15, 0.95, False)[0]
    with pytest.raises(ValueError, match=f"has ComfyUI's {name} already"):
        executed(host, model)


@pytest.mark.parametrize("policy", ["auto", "first block", "accumulated change", "fixed"])
def test_a_network_that_cannot_be_reached_is_refused_but_for_whole_steps(host, unet, policy):
    class Foreign(type(unet.model.model.diffusion_model)):
        pass

    network = unet.model.model.diffusion_model
    own, network.__class__ = network.__class__, Foreign
    try:
        with pytest.raises(ValueError, match="network, Foreign. Set policy to 'whole step'"):
            executed(host, unet.model, policy=policy)
        executed(host, unet.model, policy="whole step")
    finally:
        network.__class__ = own


def test_few_steps_are_refused_before_the_first_pass_unless_forced(host, nets, unet):
    model = stopping(executed(host, unet.model), at=1)
    with pytest.raises(ValueError, match="the run has 9 steps; below 10"):
        nets.sampled(unet, model, steps=9)
    nets.sampled(unet, executed(host, unet.model, force=True), steps=9)


@pytest.mark.parametrize("name", ["lcm", "fewstep_lcm", "fewstep_tcd"])
def test_samplers_with_fresh_noise_are_refused_before_the_first_pass(host, nets, unet, name):
    runs = importlib.import_module("host.runs")
    ours = {"fewstep_lcm": runs.lcm(), "fewstep_tcd": runs.tcd(0.3)}
    sampler = ours.get(name) or runs.core("lcm")
    model = stopping(executed(host, unet.model, force=True), at=1)
    word = name.removeprefix("fewstep_")
    with pytest.raises(ValueError, match=f"the sampler is {word}, which puts fresh noise in"):
        nets.sampled(unet, model, sampler=sampler)


def test_a_node_on_the_place_of_a_block_is_named(host, nets, flux):
    model = flux.model.clone()
    model.set_model_patch_replace(lambda args, extra: None, "dit", "double_block", 1)
    with pytest.raises(ValueError, match="replaces double_block 1 of its network"):
        nets.sampled(flux, executed(host, model))

"""FewStepGuider is ComfyUI's guiders where they can do the same, and leaves nothing behind."""

import importlib
import logging

import pytest
import torch
from host import test_told_guidance
from host.guided_runs import (
    FIRST,
    FLUX,
    ONLY_FIRST,
    areas,
    basic_guider,
    cfg_guider,
    guided,
    guider,
    passes_logged,
    sampled,
)
from host.test_demo_model import CAPTION, demo, encode
from host.test_interrupt import contents, press_cancel

flux = test_told_guidance.flux


@pytest.fixture(scope="module")
def runs(host):
    return importlib.import_module("host.runs")


@pytest.fixture(scope="module")
def core(host):
    """ComfyUI's own nodes for guiders."""
    return importlib.import_module("comfy_extras.nodes_custom_sampler")


@pytest.fixture
def override(core):
    """(model, cfg, start, end) -> MODEL of ComfyUI's CFGOverride."""
    if not hasattr(core, "CFGOverride"):
        pytest.skip("this ComfyUI has no CFGOverride")
    return lambda *inputs: core.CFGOverride.execute(*inputs)[0]


def masked(host):
    """A prompt that counts where a mask is."""
    nodes = importlib.import_module("nodes")
    mask = torch.zeros(1, 64, 64)
    mask[:, :, :40] = 1.0
    one = nodes.ConditioningSetMask().append(host.conditioning(1), mask, "default", 0.7)[0]
    return nodes.ConditioningCombine().combine(one, host.conditioning(6))[0]


def half_painted(runs):
    """A picture of two, of which only a part is painted anew."""
    mask = torch.zeros(1, 64, 64)
    mask[:, 10:50, 20:60] = 1.0
    return runs.picture(2) | {"noise_mask": mask}


LATENTS = {
    "empty": lambda runs: runs.empty(2),
    "picture": lambda runs: runs.picture(2),
    "masked": half_painted,
}
WORDS = {"plain": lambda host: host.conditioning(1), "areas": areas, "masks": masked}


# --- ComfyUI's guiders ----------------------------------------------------------------------------


@pytest.mark.parametrize("by", ["guidance", "cfg"])
@pytest.mark.parametrize("cfg", [1.0, 2.0, 7.5])
@pytest.mark.parametrize("latent", LATENTS)
@pytest.mark.parametrize("kind", ["eps", "v", "flow"])
def test_at_one_cfg_it_is_cores_cfg_guider(host, runs, core, kind, latent, cfg, by):
    model, latent = host.tiny_model(kind), LATENTS[latent](runs)
    sigmas = runs.sigmas(model, "trailing", 3)
    words = host.conditioning(1), host.conditioning(2)
    expected = sampled(cfg_guider(core, model, *words, cfg), runs.euler(), sigmas, latent)
    made = sampled(guider(host, model, **{by: cfg}), runs.euler(), sigmas, latent)
    assert runs.difference(made, expected) == 0.0


@pytest.mark.parametrize("words", WORDS)
@pytest.mark.parametrize("latent", LATENTS)
@pytest.mark.parametrize("kind", ["eps", "v", "flow"])
def test_at_cfg_1_it_is_cores_basic_guider(host, runs, core, kind, latent, words):
    model, latent, positive = host.tiny_model(kind), LATENTS[latent](runs), WORDS[words](host)
    sigmas = runs.sigmas(model, "trailing", 3)
    expected = sampled(basic_guider(core, model, positive), runs.lcm(), sigmas, latent)
    alone = guided(model, positive)[0]
    assert runs.difference(sampled(alone, runs.lcm(), sigmas, latent), expected) == 0.0


@pytest.mark.parametrize("words", ["areas", "masks"])
def test_areas_and_masks_of_prompts_are_cores(host, runs, core, words):
    model, positive = host.tiny_model(), WORDS[words](host)
    sigmas = runs.sigmas(model, "trailing", 3)
    by_core = cfg_guider(core, model, positive, host.conditioning(2), 2.0)
    made = sampled(
        guider(host, model, positive=positive, cfg=2.0), runs.euler(), sigmas, runs.empty()
    )
    assert runs.difference(made, sampled(by_core, runs.euler(), sigmas, runs.empty())) == 0.0


@pytest.mark.parametrize("span", [(0.0, 0.2), (0.2, 1.0), (0.25, 0.6), (0.5, 0.5), (0.3, 0.3)])
@pytest.mark.parametrize("sampler", ["euler", "lcm", "heun"])
@pytest.mark.parametrize("kind", ["eps", "v", "flow"])
def test_an_interval_is_cores_cfg_override(host, runs, core, override, kind, sampler, span):
    model = host.tiny_model(kind, **({"shift": 3.0} if kind == "flow" else {}))
    sigmas, words = (
        runs.sigmas(model, "trailing", 4),
        (host.conditioning(1), host.conditioning(2)),
    )
    expected = sampled(
        cfg_guider(core, override(model, 3.0, *span), *words, 1.0),
        runs.core(sampler),
        sigmas,
        runs.empty(),
    )
    inputs = {"cfg": 3.0, "start_percent": span[0], "end_percent": span[1]}
    made = sampled(guider(host, model, **inputs), runs.core(sampler), sigmas, runs.empty())
    assert runs.difference(made, expected) == 0.0


def test_of_two_that_set_cfg_the_one_nearer_the_sampler_holds(host, runs, core, override):
    model = host.tiny_model()
    sigmas = runs.sigmas(model, "trailing", 4)
    words = host.conditioning(1), host.conditioning(2)
    # from 0.2 on the override of the whole run is the only one
    both = override(override(model, 4.0, 0.0, 1.0), 2.0, 0.0, 0.2)
    expected = sampled(cfg_guider(core, both, *words, 1.0), runs.euler(), sigmas, runs.empty())
    ours = guider(host, override(model, 4.0, 0.0, 1.0), cfg=2.0, **FIRST)
    assert runs.difference(sampled(ours, runs.euler(), sigmas, runs.empty()), expected) == 0.0


def scales_seen(model, change):
    """A copy of a MODEL, and the cfg that a function before, in or after guidance was given."""
    seen, model = [], model.clone()

    def function(arguments):
        seen.append(arguments["cond_scale"])
        return change(arguments)

    return model, seen, function


@pytest.mark.parametrize("place", ["pre", "cfg", "post"])
def test_functions_around_guidance_are_called_with_the_cfg_of_the_step(host, runs, place):
    change = {
        "pre": lambda a: a["conds_out"],
        "cfg": lambda a: a["uncond"] + 2.5 * (a["cond"] - a["uncond"]),
        "post": lambda a: a["denoised"] * 0.9,
    }[place]
    model, seen, function = scales_seen(host.tiny_model(), change)
    put = {
        "pre": model.set_model_sampler_pre_cfg_function,
        "cfg": model.set_model_sampler_cfg_function,
        "post": model.set_model_sampler_post_cfg_function,
    }[place]
    put(function)
    sigmas = runs.sigmas(model, "trailing", 4)
    sampled(guider(host, model, guidance=1.5, cfg=2.0, **FIRST), runs.euler(), sigmas, runs.empty())
    assert seen == [2.0, 1.5, 1.5, 1.5]


def test_patches_of_the_model_act_as_under_cores_guider(host, runs, core):
    model = host.tiny_model()
    model.set_model_attn1_output_patch(lambda out, options: out * 0.5)
    sigmas, words = runs.sigmas(model), (host.conditioning(1), host.conditioning(2))
    expected = sampled(cfg_guider(core, model, *words, 2.0), runs.euler(), sigmas, runs.empty())
    made = sampled(guider(host, model, cfg=2.0), runs.euler(), sigmas, runs.empty())
    assert runs.difference(made, expected) == 0.0
    bare = sampled(guider(host, host.tiny_model(), cfg=2.0), runs.euler(), sigmas, runs.empty())
    assert runs.difference(made, bare) > 0.01


# --- what the network is told ---------------------------------------------------------------------


@pytest.mark.parametrize("recipe", [None, FLUX])
@pytest.mark.parametrize("guidance", [1.0, 2.5, 4.0])
def test_flux_is_told_its_guidance_as_by_the_guidance_node(flux, runs, core, guidance, recipe):
    told_node = importlib.import_module("fewstep.nodes").FewStepGuidance
    model, words = flux(), test_told_guidance.words()
    latent, sigmas = {"samples": torch.zeros(2, 16, 4, 4)}, torch.tensor([1.0, 0.6, 0.0])
    by_node = basic_guider(core, told_node.execute(model, guidance)[0], words)
    expected = sampled(by_node, runs.core("euler"), sigmas, latent)
    ours = guided(model, words, recipe=recipe, guidance=guidance)[0]
    assert runs.difference(sampled(ours, runs.core("euler"), sigmas, latent), expected) == 0.0
    # what it has been told before counts where guidance is 0
    kept = guided(told_node.execute(model, guidance)[0], words, recipe=recipe)[0]
    assert runs.difference(sampled(kept, runs.core("euler"), sigmas, latent), expected) == 0.0


def test_a_recipe_tells_flux_its_own_guidance(flux, runs, core):
    model, words = flux(), test_told_guidance.words()
    latent, sigmas = {"samples": torch.zeros(1, 16, 4, 4)}, torch.tensor([1.0, 0.6, 0.0])
    spoken = basic_guider(core, model, test_told_guidance.words(3.5))
    expected = sampled(spoken, runs.core("euler"), sigmas, latent)
    ours, report = guided(model, words, recipe=FLUX)
    assert runs.difference(sampled(ours, runs.core("euler"), sigmas, latent), expected) == 0.0
    assert report.startswith("FLUX.1-Turbo-Alpha 8 steps, guidance 3.5, cfg 1\n")


def test_without_recipe_and_guidance_flux_hears_what_the_prompt_carries(flux, runs, core):
    model, words = flux(), test_told_guidance.words(2.0)
    latent, sigmas = {"samples": torch.zeros(1, 16, 4, 4)}, torch.tensor([1.0, 0.6, 0.0])
    expected = sampled(basic_guider(core, model, words), runs.core("euler"), sigmas, latent)
    ours = guided(model, words)[0]
    assert runs.difference(sampled(ours, runs.core("euler"), sigmas, latent), expected) == 0.0


@pytest.mark.parametrize("guidance", [3.0, 8.0])
def test_an_lcm_unet_is_told_its_guidance_as_by_the_guidance_node(host, runs, core, guidance):
    told_node = importlib.import_module("fewstep.nodes").FewStepGuidance
    model, clip = demo("LCM UNet")[:2]
    words, latent = encode(clip, CAPTION), {"samples": torch.zeros(1, 4, 16, 16)}
    sigmas = runs.sigmas(model, "lcm", 4)
    by_node = basic_guider(core, told_node.execute(model, guidance)[0], words)
    expected = sampled(by_node, runs.lcm(), sigmas, latent)
    ours, report = guided(model, words, recipe="lcm-dreamshaper-v7", guidance=guidance)
    assert runs.difference(sampled(ours, runs.lcm(), sigmas, latent), expected) == 0.0
    assert f", guidance {guidance:g}, cfg 1\n" in report


# --- runs leave nothing behind --------------------------------------------------------------------


def state_of(guider):
    model = guider.model_patcher
    return {
        "guider": {k: v for k, v in contents(vars(guider)).items() if k != "model_patcher"},
        "options": contents(model.model_options),
        "wrappers": contents(model.wrappers),
        "object patches": contents(model.object_patches),
    }


@pytest.mark.parametrize("stop_at", [1, 2, 4])
def test_a_cancelled_run_leaves_no_trace_and_counts_nothing(host, runs, caplog, stop_at):
    management = importlib.import_module("comfy.model_management")
    extension = importlib.import_module("comfy.patcher_extension")
    caplog.set_level(logging.INFO)
    sigmas = runs.sigmas(host.tiny_model(), "trailing", 4)
    fresh = sampled(
        guider(host, host.tiny_model(), **ONLY_FIRST), runs.euler(), sigmas, runs.empty()
    )
    stops, calls, model = [stop_at], [], host.tiny_model()

    def cancel(executor, *arguments, **named):
        calls.append(1)
        if len(calls) in stops:
            press_cancel()
        return executor(*arguments, **named)

    model.add_wrapper_with_key(extension.WrappersMP.DIFFUSION_MODEL, "fewstep.tests", cancel)
    ours = guider(host, model, **ONLY_FIRST)
    before = state_of(ours)
    caplog.clear()
    with pytest.raises(management.InterruptProcessingException, match="^$"):
        sampled(ours, runs.euler(), sigmas, runs.empty())
    assert passes_logged(caplog) == []
    left = state_of(ours)
    # ComfyUI's guider keeps what a run that failed had loaded, and puts it anew into the next
    for name in ("conds", "inner_model", "loaded_models"):
        left["guider"].pop(name, None)
    assert left == before
    stops.clear()
    assert torch.equal(sampled(ours, runs.euler(), sigmas, runs.empty()), fresh)
    assert passes_logged(caplog) == ["5 network passes in 4 steps: 2 on 1 of them"]


def test_one_guider_serves_two_samplers_as_fresh_ones_would(host, runs, caplog):
    caplog.set_level(logging.INFO)
    model = host.tiny_model()
    short, long = (runs.sigmas(model, "trailing", steps) for steps in (2, 4))
    shared = guider(host, model, **ONLY_FIRST)
    before = state_of(shared)
    for sigmas, sampler in [(long, runs.lcm()), (short, runs.euler()), (long, runs.euler())]:
        fresh = guider(host, host.tiny_model(), **ONLY_FIRST)
        expected = sampled(fresh, sampler, sigmas, runs.empty())
        assert runs.difference(sampled(shared, sampler, sigmas, runs.empty()), expected) == 0.0
    assert state_of(shared) == before
    totals = [line.split()[0] for line in passes_logged(caplog)]
    assert totals == ["5", "5", "3", "3", "5", "5"]


def test_the_model_that_was_connected_is_left_as_it_was(host, runs):
    model = host.tiny_model()
    before = contents([model.model_options, model.wrappers, model.object_patches])
    sigmas = runs.sigmas(model)
    sampled(guider(host, model, **ONLY_FIRST), runs.euler(), sigmas, runs.empty())
    assert contents([model.model_options, model.wrappers, model.object_patches]) == before

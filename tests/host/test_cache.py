"""A cache changes nothing where nothing is reused, and gives back what it kept in every network."""

import pytest
import torch
from host.cache_fixtures import cache, cached, nets

from fewstep.cache.policy import (
    ACCUMULATED,
    FIRST_BLOCK,
    FIXED,
    KINDS,
    WHOLE_STEP,
    Policy,
    relative_change,
)

__all__ = ["cache", "nets"]

NETWORKS = [
    *("SD 1.5", "SDXL", "FLUX", "FLUX.2", "Chroma", "SD3", "AuraFlow", "Qwen-Image"),
    *("Wan", "Wan VACE", "Wan camera", "HunyuanVideo", "LTX-Video"),
]


@pytest.fixture(scope="module", params=NETWORKS)
def net(request, nets):
    from comfy import supported_models

    if request.param == "FLUX.2" and not hasattr(supported_models, "Flux2"):
        pytest.skip("this ComfyUI does not have the network")
    return nets.network(request.param)


@pytest.fixture(scope="module")
def plain(net, nets):
    return nets.sampled(net, net.model)


OFF = {
    "threshold 0": (Policy(FIRST_BLOCK, 0.0, 9), {}),
    "threshold 0, added up": (Policy(ACCUMULATED, 0.0, 9), {}),
    "threshold 0, whole step": (Policy(WHOLE_STEP, 0.0, 9), {}),
    "no skips": (Policy(FIXED, 1.0, 0), {}),
    "all blocks at the front": (Policy(FIXED, 1.0, 9), {"front_blocks": 99}),
    "all blocks at the back": (Policy(FIXED, 1.0, 9), {"back_blocks": 99}),
    "interval 1": (Policy(FIXED, 1.0, 0), {"guidance_interval": 1}),
    "forecast of a line": (Policy(FIRST_BLOCK, 0.0, 9), {"order": 1}),
}


@pytest.mark.parametrize("off", OFF)
def test_where_nothing_is_reused_it_is_bit_for_bit_off(cache, nets, net, plain, off):
    policy, settings = OFF[off]
    model, reports = cached(cache, net, policy, **settings)
    assert torch.equal(nets.sampled(net, model), plain)
    assert reports[0].tally.reused == 0 and reports[0].guidance.reused == 0


@pytest.mark.parametrize("order", [0, 1])
@pytest.mark.parametrize("kind", [FIRST_BLOCK, ACCUMULATED, FIXED, WHOLE_STEP])
def test_the_same_question_gets_the_same_answer_from_the_cache(cache, nets, net, kind, order):
    model, reports = cached(cache, net, Policy(kind, 1e-6, 9), order, start_percent=0.0)
    answers = nets.asked(net, model, times=3)
    for answer in answers[1:]:
        torch.testing.assert_close(answer, answers[0], rtol=1e-4, atol=1e-4)
    # the whole step has to see a change before it can foretell one
    expected = (6, 0) if kind == WHOLE_STEP else (2, 4)
    assert reports[0].tally[:2] == expected


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_that_reuses_is_close_to_one_that_does_not(cache, nets, net, plain, kind):
    model, reports = cached(cache, net, Policy(kind, 10.0, 1), 1, start_percent=0.0)
    made = nets.sampled(net, model)
    tally = reports[0].tally
    assert 0 < tally.reused < tally.passes == 24 and tally.passes_saved > 0
    assert 0 < (made - plain).abs().max() < 0.5 * plain.abs().max()


def blocks_of(network):
    """Modules of which one stands for each block."""
    if hasattr(network, "input_blocks"):
        parts = [*network.input_blocks, network.middle_block, *network.output_blocks]
        return [part[0] for part in parts]
    names = "double_blocks single_blocks double_layers single_layers".split()
    names += "joint_blocks transformer_blocks blocks".split()
    return [block for name in names for block in getattr(network, name, ())]


def test_blocks_are_counted_as_they_run(cache, nets, net):
    model, reports = cached(cache, net, Policy(FIXED, 1.0, 2), front_blocks=1, start_percent=0.0)
    blocks, ran = blocks_of(net.model.model.diffusion_model), []
    handles = [block.register_forward_hook(lambda *_: ran.append(1)) for block in blocks]
    nets.sampled(net, model, cfg=1.0)
    for handle in handles:
        handle.remove()
    # one computed, two reused, four times over; UNets have an outer block at either end
    outer = 2 if hasattr(net.model.model.diffusion_model, "input_blocks") else 1
    expected = (4, 8, 4 * len(blocks) + 8 * outer, 12 * len(blocks))
    assert reports[0].tally == expected and len(ran) == expected[2]


def first_block_signals(nets, net):
    """What the first block adds, in a UNet gives, in each of two steps."""
    network, seen = net.model.model.diffusion_model, []
    adds = not hasattr(network, "input_blocks")

    def before(module, arguments, named):
        # blocks may add to their input in place
        seen.append((named["img"] if "img" in named else arguments[0]).clone())

    def after(module, arguments, named, out):
        out = out[0] if isinstance(out, tuple) else out
        entered = seen.pop()
        seen.append(out - entered if adds else out.clone())

    block = blocks_of(network)[0]
    handles = [
        block.register_forward_pre_hook(before, with_kwargs=True),
        block.register_forward_hook(after, with_kwargs=True),
    ]
    nets.sampled(net, net.model, cfg=1.0, taken=2)
    for handle in handles:
        handle.remove()
    return seen


@pytest.mark.parametrize("name", ["SD 1.5", "FLUX", "Wan", "LTX-Video"])
def test_a_step_is_reused_up_to_the_change_of_its_first_block(cache, nets, name):
    net = nets.network(name)
    first, second = first_block_signals(nets, net)
    change = relative_change([second], [first])
    assert 0.0 < change < 1.0
    for factor, expected in ((1.01, (1, 1)), (0.99, (2, 0))):
        policy = Policy(FIRST_BLOCK, factor * change, 1)
        model, reports = cached(cache, net, policy, start_percent=0.0, force=True)
        nets.sampled(net, model, cfg=1.0, taken=2)
        assert reports[0].tally[:2] == expected


@pytest.mark.parametrize("kind", [FIRST_BLOCK, FIXED])
def test_a_run_has_nothing_of_another_of_another_size(cache, nets, kind):
    net = nets.network("SD 1.5")
    model, reports = cached(cache, net, Policy(kind, 1.0, 2), start_percent=0.0)
    large = {"samples": torch.zeros(1, 4, 24, 16)}
    first = nets.sampled(net, model, latent=large)
    nets.sampled(net, model)
    assert torch.equal(nets.sampled(net, model, latent=large), first)
    assert reports[0].tally == reports[2].tally


def test_conditions_in_calls_of_their_own_are_reused_alike(cache, nets):
    """Prompts of other lengths than can be in one batch, as Wan's would be: one call each."""
    net = nets.network("FLUX")
    model, reports = cached(cache, net, Policy(FIRST_BLOCK, 10.0, 1), start_percent=0.0)
    assert net.positive[0][0].shape != net.negative[0][0].shape
    nets.sampled(net, model)
    assert reports[0].tally.reused % 2 == 0 < reports[0].tally.reused

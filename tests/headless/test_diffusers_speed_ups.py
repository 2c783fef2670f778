"""fp8 weights, a cache and a compiler: what each does to the network of a pipeline of diffusers."""

import gc
import inspect
import weakref

import diffusers
import numpy as np
import pytest
import torch
from diffusers import FlowMatchEulerDiscreteScheduler
from tiny_pipelines import FLUX, save_flux, save_sd

from fewstep.evaluate.golden_set import Golden
from fewstep.headless import diffusers_speed_ups
from fewstep.headless.diffusers_contenders import loaded, maker_of, plan_of, request_of
from fewstep.headless.diffusers_pipeline import load_pipeline
from fewstep.headless.diffusers_speed_ups import CACHED
from fewstep.headless.evaluation_config import Model
from fewstep.headless.golden_pictures import Contender, make_sets
from fewstep.headless.pass_count import PassCount
from fewstep.headless.pipeline_guidance import PIPELINES
from fewstep.headless.processes import Processes

ROWS = [Golden(prompt, None, seed, (), 64, 64) for seed, prompt in enumerate(("a", "a red circle"))]
STEPS = 12
# relative changes that every step stays below, and none but equal ones
HUGE, TINY = 1e9, 1e-9
FP8 = torch.float8_e4m3fn


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    found = tmp_path_factory.mktemp("models")
    save_flux(found / "flux")
    save_sd(found / "sd")
    return found


def flux(folder, **given):
    return Model("mine", folder / "flux", **{"steps": STEPS, "guidance": 3.5, **given})


def made(model, rows=ROWS):
    """The pipeline, and pictures of it made together."""
    plan = plan_of(model)
    pipeline = loaded(plan, torch.float32)
    return pipeline, maker_of(plan, pipeline, rows)(rows)


@pytest.fixture(scope="module")
def plain(folder):
    return made(flux(folder))[1]


def dtypes(network):
    return {parameter.dtype for parameter in network.parameters()}


@pytest.mark.parametrize("kind", ["flux", "sd"])
def test_fp8_keeps_weights_in_8_bits_and_makes_nearly_the_same_picture(folder, kind):
    own = {"guidance": 3.5} if kind == "flux" else {"cfg": 2.0}
    model = Model("mine", folder / kind, steps=4, **own)
    (_, plain), (pipeline, found) = made(model), made(model._replace(fp8=True))
    assert dtypes(getattr(pipeline, plan_of(model).part)) == {torch.float32, FP8}
    assert dtypes(pipeline.vae) == dtypes(pipeline.text_encoder) == {torch.float32}
    apart = np.abs(found.astype(float) - plain).mean()
    assert 0.0 < apart < 4.0


def test_fp8_widens_layers_to_the_format_that_the_rest_computes_in(folder):
    scheduler = FlowMatchEulerDiscreteScheduler(**FLUX)
    model, half = flux(folder, fp8=True), torch.bfloat16
    network = load_pipeline(model, "transformer", scheduler, 1.0, half).transformer
    seen = []
    layer = network.transformer_blocks[0].attn.to_q
    layer.register_forward_pre_hook(lambda module, given: seen.append(given[0].dtype))
    assert layer.weight.dtype == FP8
    layer(torch.zeros(1, layer.in_features, dtype=half))
    assert dtypes(network) == {half, FP8} and network.dtype == half and seen == [half]


def test_a_cache_leaves_out_what_comes_after_the_first_block(folder, plain):
    model = flux(folder, cache=HUGE)
    pipeline = loaded(plan_of(model), torch.float32)
    network, calls = pipeline.transformer, []
    inside = {
        "first": network.transformer_blocks[0].attn.to_q,
        "late": network.single_transformer_blocks[-1].proj_mlp,
    }
    for name, layer in inside.items():
        layer.register_forward_hook(lambda *given, name=name: calls.append(name))
    maker = maker_of(plan_of(model), pipeline, ROWS)
    pictures = [maker(ROWS) for _ in range(2)]
    # nothing of a picture is left when the next one begins
    assert calls == (["first", "late"] + ["first"] * (STEPS - 1)) * 2
    assert np.array_equal(*pictures) and not np.array_equal(pictures[0], plain)
    assert maker(ROWS[:1]).shape == (1, 64, 64, 3)


def test_a_cache_that_never_reuses_changes_no_bit(folder, plain):
    assert np.array_equal(made(flux(folder, cache=TINY))[1], plain)


def test_each_condition_has_a_cache_of_its_own_and_passes_are_those_computed(folder):
    for cache, passes in ((None, 2 * STEPS), (HUGE, 2)):
        plan = plan_of(flux(folder, cfg=2.0, cache=cache))
        pipeline = loaded(plan, torch.float32)
        count = PassCount(pipeline.transformer, cache is not None)
        maker_of(plan, pipeline, ROWS)(ROWS[:1])
        assert count.passes == passes
        maker_of(plan, pipeline, ROWS)(ROWS)
        assert count.passes == 3 * passes


def test_both_conditions_in_one_call_are_two_passes(folder):
    plan = plan_of(Model("mine", folder / "sd", steps=3, cfg=2.0))
    pipeline = loaded(plan, torch.float32)
    count = PassCount(pipeline.unet, is_cached=False)
    maker_of(plan, pipeline, ROWS)(ROWS[:1])
    assert count.passes == plan.passes == 6


def test_the_compiled_network_is_what_is_called(folder, monkeypatch):
    compiled = []

    def backend(graph, given):
        compiled.append(graph)
        return graph.forward

    monkeypatch.setattr(diffusers_speed_ups, "BACKEND", backend)
    model = Model("mine", folder / "sd", steps=1, cfg=1.0)
    pipeline, found = made(model._replace(compile=True), ROWS[:1])
    assert compiled and type(pipeline.unet).__name__ == "OptimizedModule"
    assert np.abs(found.astype(int) - made(model, ROWS[:1])[1]).max() <= 1


def test_what_the_machine_cannot_do_is_said_with_what_to_leave_out(folder, monkeypatch):
    def pipeline(**given):
        raise RuntimeError("inductor raised:\nNo compiler found\n\nand a long trace")

    model = Model("mine", folder / "sd", steps=1, cfg=1.0, fp8=True, compile=True)
    maker = maker_of(plan_of(model), pipeline, ROWS)
    message = "mine: this machine cannot make its pictures with fp8 and compile: inductor raised: "
    with pytest.raises(ValueError, match=message + "No compiler found. Leave it out"):
        maker(ROWS)
    monkeypatch.setattr(diffusers_speed_ups, "BACKEND", "nothing")
    with pytest.raises(ValueError, match="cannot .* with compile: .*nothing.* Leave it out"):
        loaded(plan_of(model._replace(fp8=False)), torch.float32)


@pytest.mark.parametrize(
    ("error", "model"),
    [
        (RuntimeError, Model("mine", None)),
        (torch.cuda.OutOfMemoryError, Model("mine", None, fp8=True)),
    ],
)
def test_what_has_nothing_to_do_with_a_speed_up_stays_as_it_is(error, model):
    with pytest.raises(error, match="out of memory"), diffusers_speed_ups.explained(model):
        raise error("out of memory")


def test_pipelines_that_are_cached_are_those_that_tell_the_cache_their_condition():
    told = {
        name
        for name in PIPELINES
        if "cache_context" in inspect.getsource(getattr(diffusers, name).__call__)
    }
    assert told == set(CACHED)


@pytest.mark.parametrize(
    ("kind", "given", "message"),
    [
        (
            "sd",
            {"cfg": 2.0, "steps": 20},
            "cache is 0.08, .* a StableDiffusionPipeline; diffusers caches transformers alone, "
            r".*in ComfyUI use Cache \(FewStep\)",
        ),
        ("flux", {"guidance": 3.5, "steps": 9}, "cache is 0.08, and the run has 9 steps; below 10"),
    ],
)
def test_a_cache_that_cannot_be_or_gains_nothing_is_refused(folder, kind, given, message):
    with pytest.raises(ValueError, match=message):
        plan_of(Model("mine", folder / kind, cache=0.08, **given))


def test_pictures_depend_on_each_and_those_of_before_are_still_those_of_a_model_without(folder):
    request = lambda **given: request_of(plan_of(flux(folder, **given)), torch.float32)
    base, *others = (
        request(**given) for given in ({}, {"fp8": True}, {"cache": 0.08}, {"compile": True})
    )
    added = [{name: one[name] for name in one.keys() - base.keys()} for one in others]
    assert added == [{"fp8": True}, {"cache": 0.08}, {"compile": True}]


def test_a_network_that_knows_itself_is_gone_before_the_next_is_loaded(tmp_path):
    class Network:
        def __init__(self):
            self.own = self

    there = []

    def load():
        assert [one for one in there if one() is not None] == []
        there.append(weakref.ref(network := Network()))
        return lambda rows, network=network: np.zeros((len(rows), 64, 64, 3), np.uint8)

    contenders = [Contender(name, 1, {}, load) for name in "ab"]
    # so that nothing is gone by chance
    gc.disable()
    try:
        make_sets(contenders, ROWS, tmp_path, Processes(torch.device("cpu")), batch=2)
    finally:
        gc.enable()
    assert len(there) == 2

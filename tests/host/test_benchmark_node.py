"""Ways to make a picture are timed beside each other, and what is said of them is so."""

import json

import pytest
import torch
from host.test_golden_nodes import student
from host.test_recipe_api import node
from host.test_training_nodes import teacher

__all__ = ["teacher"]

LATENT = {"samples": torch.zeros(1, 4, 16, 16)}


@pytest.fixture
def bench(host):
    from fewstep.nodes.benchmark import FewStepBenchmark
    from fewstep.nodes.host.encoding import encode

    def timed(model, clip, **changed):
        (words,) = encode(clip, ["a red circle"])
        given = {"name": "mine", "positive": words, "latent_image": LATENT, "runs": 3}
        given |= {"cfg": 1.0, "guidance": 0.0} | changed
        return FewStepBenchmark.execute(model=model, **given).result

    return timed


def by_hand(model, steps, cfg):
    from comfy_extras.nodes_custom_sampler import BasicScheduler, KSamplerSelect

    sampler = KSamplerSelect().get_sampler("euler")[0]
    return {
        "sampler": sampler,
        "sigmas": BasicScheduler().get_sigmas(model, "normal", steps, 1.0)[0],
    } | {"cfg": cfg}


def test_a_chain_is_timed_at_its_end_and_counts_passes(bench, teacher):
    model, clip, _ = teacher
    ways, report, _, _ = bench(model, clip, name="slow", runs=0, **by_hand(model, 8, 4.0))
    assert report == "" and [way.name for way in ways] == ["slow"]
    ways, report, images, told = bench(
        model, clip, name="fast", ways=ways, **by_hand(model, 2, 1.0)
    )
    found = json.loads(told)
    assert {name: of["passes"] for name, of in found.items()} == {"slow": 16, "fast": 2}
    assert found["slow"]["ratio"] == 1.0 and 2.0 < found["fast"]["ratio"]
    assert all(0 < of["median"] <= of["late"] and of["peak"] is None for of in found.values())
    lines = report.splitlines()
    assert lines[0].split() == [
        "passes",
        "median",
        "s",
        "95",
        "%",
        "s",
        "times",
        "as",
        "fast",
        "peak",
        "GB",
    ]
    assert lines[1].split()[:2] == ["slow", "16"] and lines[2].split()[-1] == "-"
    assert images.shape == (1, 100, 900, 3)
    # the longer bar is the slower one's
    blue = (images[0, :, :, 2] - images[0, :, :, 0] > 0.2).sum(1)
    assert blue[:50].max() > 2 * blue[50:].max() > 0


def test_a_distilled_model_is_timed_by_its_recipe(bench, host):
    model, clip, _, recipe = student(host)
    *_, told = bench(model, clip, name="two", runs=1, recipe=recipe)
    assert json.loads(told)["two"]["passes"] == 2


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({}, "neither recipe nor sampler and sigmas are connected"),
        ({"name": " ", "hand": True}, "name is empty; write what this way is"),
        ({"name": "slow", "hand": True}, "name is 'slow', and another way is called so"),
    ],
)
def test_what_cannot_be_timed_is_refused_before_a_pass(bench, teacher, changed, message):
    model, clip, _ = teacher
    hand = by_hand(model, 2, 1.0)
    ways = bench(model, clip, name="slow", runs=0, **hand)[0]
    changed = changed | (hand if changed.pop("hand", False) else {})
    with pytest.raises(ValueError, match=message):
        bench(model, clip, ways=ways, **changed)


def test_a_graph_times_two_ways(server):
    common = {"model": ["demo", 0], "positive": ["words", 0], "latent_image": ["latent", 0]}
    common |= {"cfg": 1.0, "guidance": 0.0, "sampler": ["sampler", 0]}
    scheduler = {"model": ["demo", 0], "scheduler": "normal", "denoise": 1.0}
    graph = {
        "demo": node("FewStepDemoModel", variant="teacher"),
        "words": node("CLIPTextEncode", clip=["demo", 1], text="a red circle"),
        "latent": node("EmptyLatentImage", width=128, height=128, batch_size=1),
        "sampler": node("KSamplerSelect", sampler_name="euler"),
        "six": node("BasicScheduler", steps=6, **scheduler),
        "one": node("BasicScheduler", steps=1, **scheduler),
        "first": node("FewStepBenchmark", name="six", runs=0, sigmas=["six", 0], **common),
        "last": node(
            "FewStepBenchmark", name="one", runs=2, sigmas=["one", 0], ways=["first", 0], **common
        ),
        "report": node("PreviewAny", source=["last", 1]),
        "plot": node("PreviewImage", images=["last", 2]),
    }
    outputs = server.client.run(graph)
    report = outputs["report"]["text"][0]
    assert [line.split()[:2] for line in report.splitlines()[1:]] == [["six", "6"], ["one", "1"]]
    assert server.client.images(outputs["plot"])[0].size == (900, 100)

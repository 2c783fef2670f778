"""Cached runs through a server equal fresh ones, however it keeps the outputs of nodes."""

import importlib
import sys
from functools import partial

import pytest
import safetensors.torch
import torch
from host.client import Client, PromptError
from host.test_interrupt import wait_until_logged

from fewstep.bootstrap.server import Server, own_base_directory

# arguments for how a server keeps what nodes gave: not said, the last few, nothing
WAYS = {"as it comes": [], "lru": ["--cache-lru", "3"], "none": ["--cache-none"]}
PROMPTS = {
    "cross": (5, "a white cross right of a black triangle on a pink background"),
    "circle": (6, "a blue circle on a white background"),
}
# reuses whatever it may
CACHE = {
    "policy": "first block",
    "threshold": 10.0,
    "start_percent": 0.0,
    "max_skips": 2,
    "guidance_interval": 2,
}
STEPS = 12


def inputs_of_cache(**chosen):
    return importlib.import_module("host.cached_runs").node_inputs(**CACHE | chosen)


def graph(*names, steps=STEPS, **cache):
    """One sampler for each prompt, all with the same model and its cache."""
    inputs = {"model": ["1", 0], **inputs_of_cache(**cache)}
    prompt = {
        "1": {"class_type": "FewStepDemoModel", "inputs": {"variant": "teacher"}},
        "2": {"class_type": "FewStepCache", "inputs": inputs},
        "3": {"class_type": "CLIPTextEncode", "inputs": {"text": "", "clip": ["1", 1]}},
        "4": {
            "class_type": "EmptyLatentImage",
            "inputs": {"width": 128, "height": 128, "batch_size": 1},
        },
    }
    for name in names:
        seed, text = PROMPTS[name]
        inputs = {"model": ["2", 0], "positive": [f"{name} words", 0], "negative": ["3", 0]}
        inputs |= {"latent_image": ["4", 0], "seed": seed, "steps": steps, "cfg": 4.0}
        inputs |= {"sampler_name": "euler", "scheduler": "simple", "denoise": 1.0}
        words = {"text": text, "clip": ["1", 1]}
        prompt |= {
            f"{name} words": {"class_type": "CLIPTextEncode", "inputs": words},
            f"{name} run": {"class_type": "KSampler", "inputs": inputs},
            f"{name} saved": {
                "class_type": "SaveLatent",
                "inputs": {"samples": [f"{name} run", 0], "filename_prefix": name},
            },
        }
    return prompt


def latents(client, prompt_id):
    """The latents that a prompt has saved, by the prompt's name."""
    outputs = client.wait(prompt_id)["outputs"]
    saved = {node.removesuffix(" saved"): output["latents"][0] for node, output in outputs.items()}
    return {
        name: safetensors.torch.load(client.get("/view", **file))["latent_tensor"]
        for name, file in saved.items()
    }


def run(client, *names, **inputs):
    return latents(client, client.queue(graph(*names, **inputs)))


@pytest.fixture(scope="module", params=WAYS)
def started(request, comfyui, tmp_path_factory):
    """A running ComfyUI that keeps what nodes gave in one of the ways."""
    if not WAYS[request.param]:
        yield request.getfixturevalue("server")
        return
    folder = tmp_path_factory.mktemp("comfyui")
    arguments = ["--cpu", *own_base_directory(folder), *WAYS[request.param]]
    with Server(comfyui, sys.executable, folder, arguments=arguments, shim=True) as running:
        running.wait_until_ready()
        running.client = Client(running.url)
        yield running


@pytest.fixture(scope="module")
def fresh(host):
    """What each prompt gives in this process, with a model just loaded."""
    return {name: fresh_run(name, cached) for name in PROMPTS}


def cached(model, clip, **inputs):
    ours = importlib.import_module("fewstep.nodes")
    return ours.FewStepCache.execute(model, **inputs_of_cache(**inputs))[0]


def uncached(model, clip):
    return model


def with_negative_off(model, clip):
    ours = importlib.import_module("fewstep.nodes")
    words = importlib.import_module("nodes").CLIPTextEncode().encode(clip, "red")[0]
    return ours.FewStepNegative.execute(model, words, 0.0, 2.5, 0.25)[0]


def fresh_run(name, changed):
    """Latents of a prompt with a demo model just loaded; changed makes a MODEL of it and a CLIP."""
    ours, core = (importlib.import_module(name) for name in ("fewstep.nodes", "nodes"))
    model, clip, _ = ours.FewStepDemoModel.execute("teacher").result
    model = changed(model, clip)
    seed, text = PROMPTS[name]
    words = [core.CLIPTextEncode().encode(clip, words)[0] for words in (text, "")]
    latent = {"samples": torch.zeros(1, 4, 16, 16)}
    made = core.KSampler().sample(model, seed, STEPS, 4.0, "euler", "simple", *words, latent)
    return made[0]["samples"]


def same(made, fresh):
    return all(torch.equal(made[name], fresh[name]) for name in made)


def test_prompts_between_others_and_two_in_one_graph_are_as_fresh_ones(started, fresh):
    client = started.client
    queued = [
        client.queue(graph(*names, **inputs))
        for names, inputs in (
            (["cross"], {}),
            (["circle"], {}),
            (["cross"], {"steps": STEPS - 1}),
            (["circle", "cross"], {}),
            (["circle"], {"max_skips": 1}),
            (["cross"], {}),
        )
    ]
    first, second, fewer, both, other, again = (latents(client, each) for each in queued)
    assert [len(made) for made in (first, second, both, again)] == [1, 1, 2, 1]
    for made in (first, second, both, again):
        assert same(made, fresh)
    assert not same(fewer, fresh) and not same(other, fresh)


def test_a_run_after_one_that_was_interrupted_is_as_a_fresh_one(started, fresh):
    client = started.client
    before_it = len(started.log())
    long = client.queue(graph("cross", steps=999))
    wait_until_logged(started, "/999 [", before_it)
    client.post_json("/interrupt", {})
    with pytest.raises(PromptError, match="execution_interrupted"):
        client.wait(long)
    made = run(client, "cross", "circle", max_skips=2)
    assert len(made) == 2 and same(made, fresh)


def test_off_nothing_of_the_demo_model_changes_and_on_it_does(fresh):
    off = partial(cached, threshold=0.0, guidance_interval=1)
    for name, made in fresh.items():
        plain = fresh_run(name, uncached)
        assert not torch.equal(made, plain)
        assert torch.equal(fresh_run(name, off), plain)
        assert torch.equal(fresh_run(name, with_negative_off), plain)

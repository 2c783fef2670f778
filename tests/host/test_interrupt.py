"""A run that ends early leaves nothing behind: the next one is bit-identical to a fresh one."""

import importlib
import time

import pytest
import torch
from host.client import PromptError

STEPS = 4
SAMPLERS = ["lcm", "tcd", "euler"]


@pytest.fixture(scope="module")
def runs(host):
    return importlib.import_module("host.runs")


def sampler_of(runs, name):
    return {"lcm": runs.lcm, "tcd": lambda: runs.tcd(0.3), "euler": runs.euler}[name]()


def sample(host, runs, model, sampler, callback=None):
    import comfy.sample

    latent = runs.empty(2)["samples"]
    return comfy.sample.sample_custom(
        model,
        comfy.sample.prepare_noise(latent, runs.SEED),
        2.0,
        sampler,
        runs.sigmas(model, "trailing", STEPS),
        host.conditioning(1),
        host.conditioning(2),
        latent,
        callback=callback,
        disable_pbar=True,
        seed=runs.SEED,
    )


def contents(value):
    """Nested dicts, lists and values as something that two moments can be compared by."""
    if isinstance(value, dict):
        return {key: contents(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [contents(entry) for entry in value]
    return id(value) if not isinstance(value, int | float | str) else value


def state_of(model, sampler):
    return {
        "options": contents(model.model_options),
        "object patches": contents(model.object_patches),
        "wrappers": contents(model.wrappers),
        "patches": sorted(model.patches),
        "weights": sum(p.double().sum().item() for p in model.model.parameters()),
        "sampling": contents(vars(model.get_model_object("model_sampling"))),
        "sampler": contents(vars(sampler)),
    }


def stop_at(step, stop):
    def callback(i, x0, x, total):
        if i == step:
            stop()

    return callback


def press_cancel():
    """What the Cancel button does, and then what ComfyUI's progress hook does at the next step."""
    import comfy.model_management as management

    management.interrupt_current_processing()
    management.throw_exception_if_processing_interrupted()


@pytest.mark.parametrize("step", range(STEPS))
@pytest.mark.parametrize("name", SAMPLERS)
def test_a_cancelled_run_leaves_no_trace(host, runs, name, step):
    from comfy.model_management import InterruptProcessingException, processing_interrupted

    fresh = sample(host, runs, host.tiny_model(), sampler_of(runs, name))
    model, sampler = host.tiny_model(), sampler_of(runs, name)
    before = state_of(model, sampler)
    with pytest.raises(InterruptProcessingException, match="^$"):
        sample(host, runs, model, sampler, stop_at(step, press_cancel))
    assert state_of(model, sampler) == before
    assert not processing_interrupted()
    assert torch.equal(sample(host, runs, model, sampler), fresh)


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_failed_network_pass_leaves_no_trace(host, runs, name):
    from comfy.patcher_extension import WrappersMP

    fresh = sample(host, runs, host.tiny_model(), sampler_of(runs, name))
    model, sampler = host.tiny_model(), sampler_of(runs, name)
    before = state_of(model, sampler)
    calls = []

    def fail_at_the_second(executor, *args, **kwargs):
        calls.append(1)
        if len(calls) == 2:
            raise RuntimeError("out of memory")
        return executor(*args, **kwargs)

    failing = model.clone()
    failing.add_wrapper_with_key(WrappersMP.DIFFUSION_MODEL, "fewstep.tests", fail_at_the_second)
    with pytest.raises(RuntimeError, match="out of memory"):
        sample(host, runs, failing, sampler)
    assert state_of(model, sampler) == before
    assert torch.equal(sample(host, runs, model, sampler), fresh)


# --- in the server --------------------------------------------------------------------------------


def prompt_of(steps):
    def node(kind, **inputs):
        return {"class_type": kind, "inputs": inputs}

    sigmas = {"spacing": "trailing", "steps": steps, "denoise": 1.0, "timesteps": ""}
    return {
        "model": node("FewStepDemoModel", variant="teacher"),
        "positive": node("CLIPTextEncode", clip=["model", 1], text="a red circle"),
        "negative": node("CLIPTextEncode", clip=["model", 1], text=""),
        "sigmas": node("FewStepSigmas", model=["model", 0], **sigmas),
        "sampler": node("FewStepSamplerLCM"),
        "latent": node("EmptyLatentImage", width=128, height=128, batch_size=1),
        "samples": node(
            "SamplerCustom",
            model=["model", 0],
            positive=["positive", 0],
            negative=["negative", 0],
            sampler=["sampler", 0],
            sigmas=["sigmas", 0],
            latent_image=["latent", 0],
            add_noise=True,
            noise_seed=5,
            cfg=4.0,
        ),
        "decoded": node("VAEDecode", samples=["samples", 0], vae=["model", 2]),
        "shown": node("PreviewImage", images=["decoded", 0]),
    }


def wait_until_logged(server, text, since, seconds=120):
    """Wait for a text in what is logged behind the first so many characters, those of before."""
    deadline = time.monotonic() + seconds
    while text not in server.log()[since:]:
        assert time.monotonic() < deadline, server.log()[-2000:]
        time.sleep(0.05)


def test_after_the_cancel_button_the_same_workflow_gives_the_same_picture(server):
    client = server.client
    (before,) = client.images(client.run(prompt_of(steps=3))["shown"])
    before_it = len(server.log())
    cancelled = client.queue(prompt_of(steps=999))
    wait_until_logged(server, "/999 [", before_it)
    client.post_json("/interrupt", {})
    with pytest.raises(PromptError, match="execution_interrupted"):
        client.wait(cancelled)
    entry = client.wait(client.queue(prompt_of(steps=3)))
    cached = [data["nodes"] for kind, data in entry["status"]["messages"] if "cached" in kind]
    assert "model" in cached[0] and "samples" not in cached[0]
    (after,) = client.images(entry["outputs"]["shown"])
    assert after.tobytes() == before.tobytes()

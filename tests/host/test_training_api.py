"""Training as a user's graph does it: over HTTP, interrupted, and killed."""

import os
import signal
import sys
import time

import pytest
from host.client import Client, PromptError
from host.test_recipe_api import node, text
from host.training_options import OPTIONS
from safetensors.torch import load_file

from fewstep.bootstrap.server import Server, own_base_directory

CAPTION = "a red circle on a blue background"


def training(name, **options):
    """Prompts, teacher's data, baked guidance, two steps on top of it, saved."""
    return {
        "demo": node("FewStepDemoModel", variant="teacher"),
        "prompts": node(
            "FewStepPrompts",
            clip=["demo", 1],
            source="text",
            text=f"{CAPTION}\na green square",
            file="",
            count=0,
            negative="",
        ),
        "latent": node("EmptyLatentImage", width=128, height=128, batch_size=1),
        "data": node(
            "FewStepTeacherData",
            model=["demo", 0],
            prompts=["prompts", 0],
            latent_image=["latent", 0],
            steps=4,
            cfg=4.0,
            seeds=2,
            seed=5,
            name=name,
            budget_gb=1.0,
            if_distilled="stop",
        ),
        "options": node("FewStepTrainOptions", **(OPTIONS | options)),
        "guidance": node(
            "FewStepBakeGuidance",
            model=["demo", 0],
            data=["data", 0],
            name=f"{name} guidance",
            if_distilled="stop",
            options=["options", 0],
            vae=["demo", 2],
        ),
        "steps": node(
            "FewStepDistill",
            model=["demo", 0],
            data=["data", 0],
            method="segments",
            steps=2,
            name=f"{name} steps",
            if_distilled="stop",
            base_lora=["guidance", 0],
            options=["options", 0],
        ),
        "saved": node("FewStepSaveLora", lora=["steps", 0], recipe=["steps", 2], name=name),
        "report": text(["steps", 3]),
        "pictures": node("PreviewImage", images=["guidance", 4]),
    }


def use(name):
    """The saved LoRA through our loader and sampler, and through core's loader."""
    return {
        "demo": node("FewStepDemoModel", variant="teacher"),
        "words": node("CLIPTextEncode", clip=["demo", 1], text=CAPTION),
        "latent": node("EmptyLatentImage", width=128, height=128, batch_size=1),
        "lora": node(
            "FewStepLoraLoader",
            model=["demo", 0],
            lora_name=f"{name}.safetensors",
            strength=1.0,
            steps=0,
            if_unsure="stop",
        ),
        "sampled": node(
            "FewStepSample",
            model=["lora", 0],
            recipe=["lora", 1],
            positive=["words", 0],
            latent_image=["latent", 0],
            seed=5,
            denoise=1.0,
            guidance=0.0,
        ),
        "told": text(["sampled", 1]),
        "decoded": node("VAEDecode", samples=["sampled", 0], vae=["demo", 2]),
        "picture": node("PreviewImage", images=["decoded", 0]),
    }


def saved(folder, name):
    return load_file(folder / "output" / "loras" / f"{name}.safetensors")


def equal(first, second):
    return first.keys() == second.keys() and all(first[key].equal(second[key]) for key in first)


@pytest.fixture(scope="module")
def whole(server):
    """What a training that nothing disturbs gives."""
    outputs = server.client.run(training("whole"))
    return outputs, saved(server.folder, "whole")


def test_a_graph_trains_saves_loads_and_paints(server, whole):
    outputs, lora = whole
    assert "the student of iteration 4 is kept" in outputs["report"]["text"][0]
    sheet, *_ = server.client.images(outputs["pictures"])
    assert sheet.size == (256, 128)
    used = server.client.run(use("whole"))
    assert "2 network passes in 2 steps" in used["told"]["text"][0]
    (picture,) = server.client.images(used["picture"])
    assert picture.size == (128, 128) and len(picture.getcolors(128 * 128)) > 50
    # guidance and steps in one file
    assert {len(down) for key, down in lora.items() if key.endswith("down.weight")} == {8}


def test_core_nodes_take_what_a_training_gives(server, whole):
    graph = training("whole")
    known = server.client.get_json("/object_info")
    # 0.3.64 calls it otherwise
    saving = "SaveLoRA" if "SaveLoRA" in known else "SaveLoRANode"
    graph["core"] = node(saving, lora=["steps", 0], prefix="loras/by_core")
    graph["loaded"] = node(
        "LoraModelLoader", model=["demo", 0], lora=["steps", 0], strength_model=1.0, bypass=False
    )
    graph["plot"] = node("LossGraphNode", loss=["steps", 1], filename_prefix="losses")
    info = known["LoraModelLoader"]["input"]["required"]
    graph["loaded"]["inputs"] = {k: v for k, v in graph["loaded"]["inputs"].items() if k in info}
    for unused in ("report", "pictures", "saved"):
        del graph[unused]
    server.client.run(graph)
    (by_core,) = (server.folder / "output" / "loras").glob("by_core*.safetensors")
    assert equal(load_file(by_core), whole[1])


def test_an_interrupted_graph_goes_on_and_gives_the_same_lora(server, whole):
    queued = server.client.queue(training("cut"))
    wait_for(server.folder / "output" / "fewstep" / "data" / "cut" / "index.json")
    server.client.post_json("/interrupt", {})
    with pytest.raises(PromptError, match="nterrupted"):
        server.client.wait(queued)
    server.client.run(training("cut"))
    assert equal(saved(server.folder, "cut"), whole[1])


@pytest.mark.newest
def test_a_killed_comfyui_goes_on_and_gives_the_same_lora(comfyui, server, tmp_path, whole):
    output = server.folder / "output"
    places = (
        output / "fewstep/data/killed/index.json",
        output / "fewstep/runs/killed guidance/checkpoint.safetensors",
    )
    arguments = ["--cpu", *own_base_directory(tmp_path), "--output-directory", output]
    for place in places:
        with Server(comfyui, sys.executable, tmp_path, arguments=arguments, shim=True) as running:
            running.wait_until_ready()
            Client(running.url).queue(training("killed"))
            wait_for(place)
            os.kill(running.process.pid, signal.SIGKILL)
            running.process.wait()
    # a third process, which has seen nothing of it
    server.client.run(training("killed"))
    assert equal(saved(server.folder, "killed"), whole[1])


def wait_for(path, seconds=120):
    deadline = time.monotonic() + seconds
    while not path.exists():
        assert time.monotonic() < deadline, f"{path} has not come"
        time.sleep(0.01)

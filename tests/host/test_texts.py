"""A node's line of text reaches the window that runs the graph."""

import asyncio
import importlib
import re
import struct

import aiohttp

# what the binary messages of ComfyUI's socket begin with when they hold a node's text
TEXT = 3


def checked():
    """The demo LCM-LoRA's model checked with a cfg it cannot take."""
    return {
        "1": {"class_type": "FewStepDemoModel", "inputs": {"variant": "teacher + LCM-LoRA"}},
        "2": {
            "class_type": "FewStepRecipe",
            "inputs": {"recipe_id": "lcm-lora-sd15", "steps": 0},
        },
        "3": {
            "class_type": "FewStepApply",
            "inputs": {"model": ["1", 0], "recipe": ["2", 0], "guidance": 9.0},
        },
        "4": {
            "class_type": "FewStepCheck",
            "inputs": {"model": ["3", 0], "sampler": ["3", 1], "sigmas": ["3", 2],
                       "cfg": ["3", 3], "recipe": ["2", 0]},
        },
        "5": {"class_type": "PreviewAny", "inputs": {"source": ["4", 0]}},
    }  # fmt: skip


def cached_and_guided():
    """The demo teacher in 12 steps, guided in a part of them, with two of three reused."""
    inputs = importlib.import_module("host.cached_runs").node_inputs
    cache = inputs(policy="fixed", start_percent=0.0, max_skips=2, compare=True)
    return {
        "1": {"class_type": "FewStepDemoModel", "inputs": {"variant": "teacher"}},
        "2": {"class_type": "FewStepCache", "inputs": {"model": ["1", 0], **cache}},
        "3": {"class_type": "CLIPTextEncode", "inputs": {"clip": ["1", 1], "text": "a circle"}},
        "4": {
            "class_type": "FewStepGuider",
            "inputs": {"model": ["2", 0], "positive": ["3", 0], "negative": ["3", 0],
                       "guidance": 0.0, "cfg": 3.0, "start_percent": 0.0, "end_percent": 0.5},
        },
        "5": {"class_type": "RandomNoise", "inputs": {"noise_seed": 1}},
        "6": {"class_type": "KSamplerSelect", "inputs": {"sampler_name": "euler"}},
        "7": {
            "class_type": "BasicScheduler",
            "inputs": {"model": ["1", 0], "scheduler": "simple", "steps": 12, "denoise": 1.0},
        },
        "8": {
            "class_type": "EmptyLatentImage",
            "inputs": {"width": 128, "height": 128, "batch_size": 1},
        },
        "9": {
            "class_type": "SamplerCustomAdvanced",
            "inputs": {"noise": ["5", 0], "guider": ["4", 0], "sampler": ["6", 0],
                       "sigmas": ["7", 0], "latent_image": ["8", 0]},
        },
        "10": {"class_type": "SaveLatent",
               "inputs": {"samples": ["9", 0], "filename_prefix": "text"}},
    }  # fmt: skip


async def texts(server, prompt, is_enough):
    """Run a prompt from a window of one's own; the last text each node has shown by then."""
    found = {}
    async with aiohttp.ClientSession() as session:
        address = f"{server.url}/ws?clientId=window".replace("http", "ws", 1)
        async with session.ws_connect(address, max_msg_size=0) as socket:
            await asyncio.to_thread(
                server.client.post_json, "/prompt", {"prompt": prompt, "client_id": "window"}
            )
            async for message in socket:
                if message.type is aiohttp.WSMsgType.BINARY:
                    kind, length = struct.unpack(">II", message.data[:8])
                    if kind == TEXT:
                        node, text = message.data[8:][:length], message.data[8 + length :]
                        found[node.decode()] = text.decode()
                if is_enough(found):
                    return found
    return found


def shown(server, prompt, is_enough):
    return asyncio.run(asyncio.wait_for(texts(server, prompt, is_enough), timeout=120))


def test_what_does_not_fit_is_shown_under_the_nodes(server):
    found = shown(server, checked(), lambda found: {"3", "4"} <= found.keys())
    wrong = "does not fit: cfg: 9; cfg 1 (1 to 2)"
    assert found["3"] == f"LCM-LoRA SD 1.5, 4 steps, cfg 9\n{wrong}"
    assert found["4"] == wrong


def test_what_a_run_took_and_left_out_is_shown_after_it(host, server):
    found = shown(
        server,
        cached_and_guided(),
        # a guider shows what it is before the run, and its passes with it afterwards
        lambda found: "2" in found and "passes in" in found["4"],
    )
    assert found["4"].splitlines() == [
        "18 network passes in 12 steps: 2 on 6 of them",
        "no recipe, cfg 3 from 0 to 0.5, else 1",
        "nothing is known not to fit",
    ]
    said, reused, saved, time, likeness = found["2"].splitlines()
    assert re.fullmatch(r"cache, fixed, max_skips 2: \d+\.\d s", said)
    assert reused == "12 of 18 passes reused an earlier step"
    assert re.fullmatch(r"\d\.\d passes of work saved", saved)
    assert re.fullmatch(r"without the cache: \d+\.\d s, \d\.\d\d times as long", time)
    assert re.fullmatch(r"latents with to without: \d\d\.\d dB PSNR, 0\.\d{3} SSIM", likeness)

"""A node's line of text reaches the window that runs the graph."""

import asyncio
import struct

import aiohttp

# what the binary messages of ComfyUI's socket begin with when they hold a node's text
TEXT = 3


def prompt():
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


async def texts(server, nodes):
    """Run the prompt from a window of one's own; the text each of these nodes has shown."""
    found = {}
    async with aiohttp.ClientSession() as session:
        address = f"{server.url}/ws?clientId=window".replace("http", "ws", 1)
        async with session.ws_connect(address, max_msg_size=0) as socket:
            await asyncio.to_thread(
                server.client.post_json, "/prompt", {"prompt": prompt(), "client_id": "window"}
            )
            async for message in socket:
                if message.type is aiohttp.WSMsgType.BINARY:
                    kind, length = struct.unpack(">II", message.data[:8])
                    if kind == TEXT:
                        node, text = message.data[8:][:length], message.data[8 + length :]
                        found[node.decode()] = text.decode()
                if nodes <= found.keys():
                    return found
    return found


def test_what_does_not_fit_is_shown_under_the_nodes(server):
    found = asyncio.run(asyncio.wait_for(texts(server, {"3", "4"}), timeout=120))
    wrong = "does not fit: cfg: 9; cfg 1 (1 to 2)"
    assert found["3"] == f"LCM-LoRA SD 1.5, 4 steps, cfg 9\n{wrong}"
    assert found["4"] == wrong

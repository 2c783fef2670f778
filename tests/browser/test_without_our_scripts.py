"""Our scripts add to the frontend and change nothing of it; no workflow needs them."""

import asyncio
import json
import struct
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import aiohttp
import numpy
import pytest
from browser import both_frontends
from browser.both_frontends import ROOT, WORKFLOWS
from browser.frontend import RENDERERS

# ComfyUI's number of messages that hold a picture and what it is of
WITH_METADATA = 4


@pytest.fixture(scope="module")
def seen(browser, server):
    """(with our scripts, without them)"""
    server.client.post_json("/settings/Comfy.TutorialCompleted", True)
    return tuple(both_frontends.look(browser, server, is_there) for is_there in (True, False))


def test_one_page_has_all_our_scripts_and_the_other_none(seen):
    all_of_them = {path.relative_to(ROOT / "web").as_posix() for path in ROOT.glob("web/**/*.js")}
    assert seen[0].scripts == all_of_them
    assert seen[1].scripts == set()


def test_no_error_and_no_failed_request_is_there_that_is_not_without_the_pack(seen):
    ours, bare = (once_elsewhere(one.trouble) for one in seen)
    assert ours - bare == Counter()


def once_elsewhere(trouble):
    """How often the frontend asks other servers for news depends on how long a page is open."""
    return Counter({told: 1 if "://" in told else count for told, count in trouble.items()})


def test_no_function_or_name_of_the_page_is_another_one(seen):
    ours, bare = (one.functions for one in seen)
    changed = {path for path in ours | bare if ours.get(path) != bare.get(path)}
    assert changed == set()
    # what packs like to patch is among them
    assert {
        "window.fetch",
        "window.WebSocket.prototype.send",
        "window.EventTarget.prototype.addEventListener",
        "window.HTMLElement.prototype.click",
        "window.JSON.parse",
        "window.Array.prototype.push",
        "window.Promise.prototype.then",
        "window.LiteGraph.__proto__.createNode",
        "window.LGraph.prototype.configure",
        "window.LGraphNode.prototype.configure",
        "window.LGraphCanvas.prototype.drawNode",
        "window.LiteGraph.registered_node_types.KSampler",
        "window.LiteGraph.registered_node_types.PreviewAny.prototype.onExecuted",
        "window.comfyAPI.widgets.ComfyWidgets.INT",
        "window.app.__proto__.graphToPrompt",
        "window.app.api.__proto__.queuePrompt",
    } <= set(ours)


@pytest.mark.parametrize("renderer", RENDERERS)
@pytest.mark.parametrize("name", WORKFLOWS)
def test_nodes_that_are_not_ours_are_as_without_the_pack(seen, name, renderer):
    ours, bare = (one.nodes[renderer, name] for one in seen)
    assert ours == bare


@pytest.mark.parametrize("renderer", RENDERERS)
@pytest.mark.parametrize("name", WORKFLOWS)
def test_a_workflow_is_run_as_the_same_graph_without_our_scripts(seen, name, renderer):
    ours, bare = (one.prompts[renderer, name] for one in seen)
    assert ours and ours == bare


def test_the_demos_pictures_are_those_of_the_graph_run_by_http_alone(seen, server):
    (prompt, ours), (_, bare) = (one.runs["fewstep_demo"] for one in seen)
    both_frontends.forget(server)
    outputs = server.client.run(prompt)
    shown = [image for number in prompt for image in pictures(server, outputs.get(number, {}))]
    numpy.testing.assert_array_equal(ours, bare)
    numpy.testing.assert_array_equal(ours, shown)


def pictures(server, output):
    # a node may tell the page something else instead
    return [numpy.asarray(image) for image in server.client.images({"images": [], **output})]


def test_lives_picture_is_that_of_the_graph_run_by_a_program(seen, server):
    (prompt, ours), (_, bare) = (one.runs["live"] for one in seen)
    both_frontends.forget(server)
    # Playwright has an event loop of its own in this thread
    with ThreadPoolExecutor(1) as other:
        sent = other.submit(asyncio.run, sent_pictures(server.url, prompt)).result()
    numpy.testing.assert_array_equal(ours, bare)
    numpy.testing.assert_array_equal(ours, [both_frontends.pixels(file) for file in sent])


async def sent_pictures(url, prompt):
    """Files that a program gets through a websocket which runs a graph and has no page."""
    files, told = [], {"prompt": prompt, "client_id": "program"}
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(f"{url}/ws?clientId=program") as socket,
        session.post(f"{url}/prompt", json=told, raise_for_status=True),
    ):
        async for message in socket:
            if message.type is aiohttp.WSMsgType.BINARY:
                kind, size = struct.unpack(">II", message.data[:8])
                if kind == WITH_METADATA:
                    files.append(message.data[8 + size :])
            elif json.loads(message.data)["type"] == "execution_success":
                return files

"""The frontend with our scripts and without them, doing the same: what is seen of each."""

import base64
import io
import json
import re
from collections import Counter
from itertools import product
from pathlib import Path
from typing import NamedTuple

import numpy
from browser import frontend
from browser.frontend import RENDERERS
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
WORKFLOWS = {
    path.stem: json.loads(path.read_text(encoding="utf-8"))
    for path in sorted((ROOT / "example_workflows").glob("*.json"))
}
OUR_SCRIPTS = "/extensions/fewstep/"
FUNCTIONS = (ROOT / "tests/browser/functions_of_page.js").read_text(encoding="utf-8")
# from window to the methods of what it leads to: window.LiteGraph.registered_node_types.X.prototype
DEPTH = 5
# the teacher's 50 steps are no part of the claim
FEWER_STEPS = """() => {
    const sigmas = window.app.graph.nodes.filter(node => node.type === "FewStepSigmas");
    for (const node of sigmas) node.widgets.find(widget => widget.name === "steps").value = 2;
}"""
LOAD = "workflow => window.app.loadGraphData(workflow)"
PROMPT = "async () => (await window.app.graphToPrompt()).output"
# what people choose in ComfyUI's settings
RENDER = """isVue => window.app.extensionManager.setting.set("Comfy.VueNodes.Enabled", isVue)"""
# a node is an element of the page in Nodes 2.0 alone
IS_RENDERED = "isVue => isVue === Boolean(document.querySelector('[data-node-id]'))"
# of the nodes that are not ours and their widgets: functions that they alone have
FUNCTIONS_OF_NODES = """() => {
    const functions = one => Object.entries(Object.getOwnPropertyDescriptors(one))
        .flatMap(([name, { value, get, set }]) => [value, get, set]
            .filter(found => typeof found === "function")
            .map(found => `${name}: ${found}`));
    return window.app.graph.nodes
        .filter(node => !/^FewStep/.test(node.type))
        .map(node => [node.type, functions(node), ...(node.widgets ?? []).map(functions)]);
}"""
# all pictures that nodes show, in their order: in a panel of ours, or as the frontend shows them
SHOWN = """window.app.graph.nodes.flatMap(node => {
    const panels = (node.widgets ?? []).map(widget => widget.element).filter(Boolean);
    const ours = panels.flatMap(panel => [...panel.querySelectorAll("img")]);
    const drawn = images => (images ?? []).filter(image => image.naturalWidth);
    return drawn(ours).length ? drawn(ours) : drawn(node.imgs);
})"""
ARE_SHOWN = f"minimum => {SHOWN}.length >= minimum"
FILES = f"""() => Promise.all({SHOWN}.map(async image => {{
    const bytes = new Uint8Array(await (await fetch(image.src)).arrayBuffer());
    return btoa(Array.from(bytes, byte => String.fromCharCode(byte)).join(""));
}}))"""


class Seen(NamedTuple):
    """What a page did.

    Attributes:
        scripts: those of ours that it loaded, as paths in web/.
        trouble: errors of the console and of the page, requests that failed.
        runs: {workflow: (what was run, in API format; [H, W, 3] each that its nodes showed)}.
        prompts: {(renderer, workflow): what would be run}.
        nodes: {(renderer, workflow): functions of its nodes that are not ours}.
        functions: those of the page, after all workflows were opened.
    """

    scripts: set
    trouble: Counter
    runs: dict
    prompts: dict
    nodes: dict
    functions: dict


def look(browser, server, is_ours_there):
    """Open, run and compare in a page of its own, with our scripts or without them."""
    context = browser.new_context(viewport={"width": 1900, "height": 1000})
    if not is_ours_there:
        leave_out_our_scripts(context)
    page = context.new_page()
    scripts, trouble = listen(page)
    frontend.open_template(page, server, "fewstep_demo", waiting_for="FewStepDemoModel")
    page.wait_for_load_state("networkidle")
    page.evaluate(FEWER_STEPS)
    runs = {"fewstep_demo": run(page, server, 8)}
    page.evaluate(LOAD, WORKFLOWS["live"])
    runs["live"] = run(page, server, 1)
    prompts, nodes = {}, {}
    for renderer, name in product(RENDERERS, WORKFLOWS):
        page.evaluate(RENDER, RENDERERS[renderer])
        page.evaluate(LOAD, WORKFLOWS[name])
        page.wait_for_function(IS_RENDERED, arg=RENDERERS[renderer])
        prompts[renderer, name] = page.evaluate(PROMPT)
        nodes[renderer, name] = page.evaluate(FUNCTIONS_OF_NODES)
    page.wait_for_load_state("networkidle")
    page.evaluate(RENDER, False)
    seen = Seen(scripts, trouble, runs, prompts, nodes, page.evaluate(FUNCTIONS, DEPTH))
    context.close()
    return seen


def leave_out_our_scripts(context):
    """The server names our scripts to nobody, as where a browser blocks them."""

    def without_ours(route):
        response = route.fetch()
        named = [path for path in response.json() if not path.startswith(OUR_SCRIPTS)]
        route.fulfill(response=response, json=named)

    context.route("**/extensions", without_ours)


def listen(page):
    """(our scripts, trouble) of a page, filled as it goes."""
    scripts, trouble = set(), Counter()

    def note(kind, text, where=""):
        told = re.sub(r"http://127\.0\.0\.1:\d+", "", f"{kind} {text} ({where})")
        # names of jobs and files, times
        trouble[re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}|\d+", "#", told)] += 1

    def note_response(response):
        if response.status >= 400:
            note(response.status, response.url)
        elif OUR_SCRIPTS in response.url and response.url.endswith(".js"):
            scripts.add(response.url.split(OUR_SCRIPTS)[1])

    def note_message(message):
        if message.type == "error":
            note("console", message.text, message.location.get("url", ""))

    page.on("response", note_response)
    page.on("requestfailed", lambda request: note("failed", request.url, request.failure))
    page.on("console", note_message)
    page.on("pageerror", lambda error: note("exception", error.stack or error))
    return scripts, trouble


def run(page, server, count):
    """What is run anew when the button is pressed, and the pictures that nodes show then."""
    forget(server)
    prompt = page.evaluate(PROMPT)
    frontend.press_run(page)
    page.wait_for_function(ARE_SHOWN, arg=count, timeout=frontend.LONG)
    return prompt, [pixels(base64.b64decode(file)) for file in page.evaluate(FILES)]


def forget(server):
    """Have the server forget all that it made, so that what is run next is made again."""
    server.client.post_json("/free", {"free_memory": True})
    blank = {"width": 64, "height": 64, "batch_size": 1, "color": 0}
    graph = {
        "1": {"class_type": "EmptyImage", "inputs": blank},
        "2": {"class_type": "PreviewImage", "inputs": {"images": ["1", 0]}},
    }
    # it forgets when a run ends
    server.client.run(graph)


def pixels(file):
    return numpy.asarray(Image.open(io.BytesIO(file)).convert("RGB"))

"""Every example workflow opens in the real frontend with all its nodes and no complaint but files.

The models that a workflow names are not on the test's server. The frontend marks their nodes and
counts them in a message; nothing else may be wrong.
"""

import json
from pathlib import Path

import pytest
from browser import frontend

FOLDER = Path(__file__).resolve().parents[2] / "example_workflows"
NAMES = sorted(path.stem for path in FOLDER.glob("*.json"))
UNKNOWN = """() => window.app.graph.nodes
    .filter(node => !LiteGraph.registered_node_types[node.type])
    .map(node => node.type)"""
# nodes that the frontend marks although no widget of theirs names a file
WRONG = r"""() => window.app.graph.nodes
    .filter(node => node.has_errors)
    .filter(node => !node.widgets?.some(w => /\.(safetensors|png)$/.test(w.value)))
    .map(node => node.type)"""
# the frontend makes a node as high as its parts need: one that grew was saved too low
HEIGHTS = """() => Object.fromEntries(window.app.graph.nodes
    .filter(node => node.type !== "Note")
    .map(node => [node.id, Math.floor(node.size[1])]))"""
# what widgets hold, by node; a page that has a widget more or less reads all behind it wrongly
VALUES = """() => Object.fromEntries(window.app.graph.serialize().nodes
    .filter(node => node.widgets_values?.length)
    .map(node => [node.id, node.widgets_values]))"""
DIALOGS = """() => [...document.querySelectorAll("[role=dialog]")].map(one => one.innerText)"""
# once the frontend has looked for its files, a node is marked that names one the server lacks
LOOKED_FOR_FILES = r"""async () => {
    await new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)));
    return window.app.graph.nodes.every(node => node.has_errors || !node.widgets?.some(
        w => /\.(safetensors|png)$/.test(w.value) && !w.options.values?.includes(w.value)));
}"""
OPEN = "async graph => { await window.app.loadGraphData(graph); }"


@pytest.fixture(scope="module")
def shared_page(new_page, server):
    """One page for all: opening the frontend takes longer than all that is asked of it."""
    server.client.post_json("/settings/Comfy.TutorialCompleted", True)
    with new_page() as page:
        frontend.open_template(page, server, NAMES[0], saved(NAMES[0])["nodes"][1]["type"])
        yield page


def saved(name):
    return json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", NAMES)
def test_it_opens_with_all_nodes_and_lacks_nothing_but_files(shared_page, name):
    page, workflow = shared_page, saved(name)
    page.evaluate(OPEN, workflow)
    page.wait_for_function(LOOKED_FOR_FILES)
    assert page.evaluate(UNKNOWN) == []
    assert page.evaluate(WRONG) == []
    assert page.evaluate(DIALOGS) == []
    heights = {str(node["id"]): node["size"][1] for node in workflow["nodes"]}
    shown = page.evaluate(HEIGHTS)
    assert {number: heights[number] for number in shown} == shown
    values = {str(node["id"]): node.get("widgets_values") for node in workflow["nodes"]}
    shown = page.evaluate(VALUES)
    assert shown == {number: values[number] for number in shown}
    assert page.trouble == []

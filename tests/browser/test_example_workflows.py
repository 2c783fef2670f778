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
# one of ours in it, where that is not Sample
OUR_NODE = {
    "cache": "FewStepCache",
    "compare": "FewStepCompare",
    "distill": "FewStepDistill",
    "fewstep_demo": "FewStepDemoModel",
    "guider_first_step_cfg": "FewStepGuider",
    "live": "FewStepLiveOutput",
    "prove": "FewStepEvaluate",
}
UNKNOWN = """() => window.app.graph.nodes
    .filter(node => !LiteGraph.registered_node_types[node.type])
    .map(node => node.type)"""
# nodes that the frontend marks although no widget of theirs names a file
WRONG = r"""() => window.app.graph.nodes
    .filter(node => node.has_errors)
    .filter(node => !node.widgets?.some(w => /\.(safetensors|png)$/.test(w.value)))
    .map(node => node.type)"""
# height that the node's parts need beyond the height it was saved with
CUT_OFF = """() => window.app.graph.nodes
    .filter(node => node.type !== "Note" && node.computeSize()[1] > node.size[1] + 1)
    .map(node => node.type)"""
# what widgets hold, by node; a page that has a widget more or less reads all behind it wrongly
VALUES = """() => Object.fromEntries(window.app.graph.serialize().nodes
    .filter(node => node.widgets_values?.length)
    .map(node => [node.id, node.widgets_values]))"""
DIALOGS = """() => [...document.querySelectorAll("[role=dialog]")].map(one => one.innerText)"""
# the frontend lays the graph out and looks for its files for a while after the nodes are there
SETTLED = 3_000  # milliseconds


@pytest.mark.parametrize("name", NAMES)
def test_it_opens_with_all_nodes_and_lacks_nothing_but_files(page, server, name):
    server.client.post_json("/settings/Comfy.TutorialCompleted", True)
    frontend.open_template(page, server, name, OUR_NODE.get(name, "FewStepSample"))
    page.wait_for_timeout(SETTLED)
    assert page.evaluate(UNKNOWN) == []
    assert page.evaluate(WRONG) == []
    assert page.evaluate(CUT_OFF) == []
    assert page.evaluate(DIALOGS) == []
    saved = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    values = {str(node["id"]): node.get("widgets_values") for node in saved["nodes"]}
    shown = page.evaluate(VALUES)
    assert shown == {number: values[number] for number in shown}
    assert page.trouble == []

"""The demo workflow is tidy and runs through the server's interface, as shipped."""

import json
from pathlib import Path

import pytest

from fewstep.demo import weights

FILE = Path(__file__).resolve().parents[2] / "example_workflows" / "fewstep_demo.json"
TITLE_HEIGHT = 30  # pixels; a node's position is below its title


@pytest.fixture(scope="module")
def workflow():
    return json.loads(FILE.read_text(encoding="utf-8"))


def nodes_of(workflow, kind):
    return [node for node in workflow["nodes"] if node["type"] == kind]


def api_format(workflow, info):
    """A saved workflow as the server takes it: {node id: {class_type, inputs}}.

    Args:
        info: the server's /object_info; nodes it does not know, such as Note, are left out.
    """
    source = {link: [str(node), slot] for link, node, slot, *_ in workflow["links"]}
    return {
        str(node["id"]): {
            "class_type": node["type"],
            "inputs": inputs_of(node, info[node["type"]]["input"], source),
        }
        for node in workflow["nodes"]
        if node["type"] in info
    }


def inputs_of(node, described, source):
    options = {name: entry for group in described.values() for name, entry in group.items()}
    values = iter(node.get("widgets_values", []))
    inputs = {}
    for slot in node["inputs"]:
        name = slot["name"]
        if "widget" in slot:
            inputs[name] = next(values)
            # the frontend keeps a widget of its own behind a seed
            if (*options[name], {})[1].get("control_after_generate"):
                next(values)
        if slot.get("link") is not None:
            inputs[name] = source[slot["link"]]
    return inputs


def box_of(node):
    (x, y), (width, height) = node["pos"], node["size"]
    return x, y - TITLE_HEIGHT, x + width, y + height


def test_it_compares_50_guided_steps_with_4_plain_ones_on_one_seed(workflow):
    teacher, student = nodes_of(workflow, "FewStepSigmas")
    assert [node["widgets_values"][:2] for node in (teacher, student)] == [
        ["trailing", 50],
        ["lcm", 4],
    ]
    first, second = (node["widgets_values"] for node in nodes_of(workflow, "SamplerCustom"))
    assert first[:3] == second[:3] and first[2] == "fixed"
    assert (first[3], second[3]) == (weights.GUIDANCE, 1)


def test_it_runs_through_the_servers_interface(workflow, server):
    client = server.client
    outputs = client.run(api_format(workflow, client.get_json("/object_info")), seconds=600)
    previews = nodes_of(workflow, "PreviewImage")
    assert len(previews) == 2
    for preview in previews:
        images = client.images(outputs[str(preview["id"])])
        assert [image.size for image in images] == [(128, 128)] * 4
        assert len({image.tobytes() for image in images}) == 4

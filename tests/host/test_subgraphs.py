"""Every ready sub-graph is sound, names inputs that today's nodes have, and is served."""

import json
from pathlib import Path

import pytest
from host.test_example_workflows import allowed, widgets_of

FOLDER = Path(__file__).resolve().parents[2] / "subgraphs"
FILES = sorted(FOLDER.glob("*.json"))
INSIDE, OUTSIDE = -10, -20  # the frontend's numbers of the two ends of a sub-graph


@pytest.fixture(params=FILES, ids=lambda path: path.stem)
def path(request):
    return request.param


@pytest.fixture
def blueprint(path):
    return json.loads(path.read_text(encoding="utf-8"))


@pytest.fixture
def inner(blueprint):
    (definition,) = blueprint["definitions"]["subgraphs"]
    return definition


@pytest.fixture(scope="module")
def new_server(server):
    """One that offers the sub-graphs of custom nodes."""
    version = server.client.get_json("/system_stats")["system"]["comfyui_version"]
    if tuple(map(int, version.split(".")[:2])) < (0, 29):
        pytest.skip(f"ComfyUI {version} offers no sub-graphs of custom nodes")
    return server


@pytest.fixture(scope="module")
def info(new_server):
    return new_server.client.get_json("/object_info")


def test_there_are_the_four_that_the_readme_names():
    readme = (FOLDER.parent / "README.md").read_text(encoding="utf-8")
    assert len(FILES) == 4
    assert all(f"**{path.stem}**" in readme for path in FILES)


def test_it_is_one_node_of_its_own_type_with_the_names_of_the_inside(path, blueprint, inner):
    (node,) = blueprint["nodes"]
    assert node["type"] == inner["id"]
    assert node["title"] == inner["name"] == path.stem and inner["category"] == "FewStep"
    for side in ("inputs", "outputs"):
        outer = [(slot["name"], slot["type"], slot.get("label")) for slot in node[side]]
        assert outer == [(one["name"], one["type"], one.get("label")) for one in inner[side]]
    assert len({slot.get("label", slot["name"]) for slot in node["inputs"]}) == len(node["inputs"])
    aliases = blueprint["extra"]["BlueprintSearchAliases"]
    assert len(aliases) == len(set(aliases)) > 5 and inner["description"].endswith(".")


def test_every_link_joins_slots_of_one_type_that_know_of_it(inner):
    nodes = {node["id"]: node for node in inner["nodes"]}
    for link in inner["links"]:
        number, kind = link["id"], link["type"]
        if link["origin_id"] == INSIDE:
            start = inner["inputs"][link["origin_slot"]]
            assert number in start["linkIds"]
        else:
            start = nodes[link["origin_id"]]["outputs"][link["origin_slot"]]
            assert number in start["links"]
        if link["target_id"] == OUTSIDE:
            end = inner["outputs"][link["target_slot"]]
            assert end["linkIds"] == [number]
        else:
            end = nodes[link["target_id"]]["inputs"][link["target_slot"]]
            assert end["link"] == number
        assert start["type"] == end["type"] == kind
    ends = [slot["link"] for node in inner["nodes"] for slot in node["inputs"] if slot["link"]]
    ends += [number for one in inner["outputs"] for number in one["linkIds"]]
    assert sorted(ends) == sorted(link["id"] for link in inner["links"])


def test_inside_no_node_lies_on_another(inner):
    boxes = [(*node["pos"], *node["size"]) for node in inner["nodes"]]
    for i, (x, y, width, height) in enumerate(boxes):
        for left, top, across, down in boxes[:i]:
            apart = x >= left + across or left >= x + width
            # a title lies above its node
            assert apart or y - 30 >= top + down or top - 30 >= y + height


def test_every_node_inside_has_todays_slots_and_values_that_are_allowed(inner, info):
    for node in inner["nodes"]:
        entry = info[node["type"]]
        served = {name for group in entry["input_order"].values() for name in group}
        served -= set(entry["input"].get("hidden", {}))
        assert {slot["name"] for slot in node["inputs"]} == served, node["type"]
        for name, described, value in widgets_of(node, info):
            assert allowed(described, value), (node["type"], name)
        outputs = [(slot["name"], slot["type"]) for slot in node["outputs"]]
        assert outputs == list(zip(entry["output_name"], entry["output"], strict=True))


def test_every_required_input_inside_is_joined_or_has_a_value(inner, info):
    for node in inner["nodes"]:
        given = {slot["name"] for slot in node["inputs"] if slot["link"] or "widget" in slot}
        assert set(info[node["type"]]["input"].get("required", {})) <= given, node["type"]


def test_comfyui_serves_each_as_it_lies_in_the_folder(path, new_server):
    entries = new_server.client.get_json("/global_subgraphs")
    (number,) = (key for key, entry in entries.items() if entry["name"] == path.stem)
    entry = new_server.client.get_json(f"/global_subgraphs/{number}")
    assert entry["info"]["node_pack"] == "custom_nodes.fewstep"
    assert json.loads(entry["data"]) == json.loads(path.read_text(encoding="utf-8"))

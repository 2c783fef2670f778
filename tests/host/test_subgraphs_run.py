"""Each ready sub-graph, run with the demo model as the frontend would unfold it."""

import json

import pytest
from host.test_example_workflows import widgets_of
from host.test_recipe_api import node, text
from host.test_subgraphs import FOLDER, INSIDE, OUTSIDE, info, new_server

# pytest finds fixtures by their names in this file
__all__ = ["info", "new_server"]
MODELS = {"model": ["demo", 0], "clip": ["demo", 1], "vae": ["demo", 2], "recipe": ["recipe", 0]}
AROUND = {
    "demo": ("FewStepDemoModel", {"variant": "teacher"}),
    "recipe": ("FewStepRecipe", {"recipe_id": "lcm-lora-sd15", "steps": 0}),
    "fast": ("FewStepDemoModel", {"variant": "teacher + LCM-LoRA"}),
    "gray": ("EmptyImage", {"width": 160, "height": 96, "batch_size": 1, "color": 0x808080}),
}
SMALL = {"width": 128, "height": 128}
SHOWN_BY = {"IMAGE": ("PreviewImage", "images"), "STRING": ("PreviewAny", "source")}


@pytest.fixture
def run(new_server, info):
    """(sub-graph's title, values of its inputs) -> {output: what it showed}, pictures or a text."""

    def run(title, **given):
        path = FOLDER / f"{title} (FewStep).json"
        (inner,) = json.loads(path.read_text(encoding="utf-8"))["definitions"]["subgraphs"]
        graph = unfolded(inner, {**MODELS, **given}, info)
        for number, (kind, inputs) in AROUND.items():
            graph[number] = node(kind, **inputs)
        told = new_server.client.run(graph)
        return {
            one["name"]: told[one["name"]].get("text")
            or new_server.client.images(told[one["name"]])
            for one in inner["outputs"]
            if one["type"] in SHOWN_BY
        }

    return run


def unfolded(inner, given, info):
    """The inside in API format, joined to what is given and to nodes that show its outputs."""
    links = {link["id"]: link for link in inner["links"]}
    assert {one["name"] for one in inner["inputs"]} >= set(given) - set(MODELS)

    def value(link):
        if link["origin_id"] != INSIDE:
            return [str(link["origin_id"]), link["origin_slot"]]
        return given.get(inner["inputs"][link["origin_slot"]]["name"])

    graph = {}
    for one in inner["nodes"]:
        inputs = {name: own for name, _, own in widgets_of(one, info)}
        for slot in one["inputs"]:
            outer = value(links[slot["link"]]) if slot["link"] else None
            if outer is not None:
                inputs[slot["name"]] = outer
        graph[str(one["id"])] = node(one["type"], **inputs)
    for link in (link for link in links.values() if link["target_id"] == OUTSIDE):
        if link["type"] in SHOWN_BY:
            kind, name = SHOWN_BY[link["type"]]
            number = inner["outputs"][link["target_slot"]]["name"]
            graph[number] = node(kind, **{name: value(link)})
    return graph


def test_four_step_text_to_image_draws_a_picture_of_the_size(run):
    shown = run("4-step text to image", text="a red circle", seed=3, **SMALL)
    (picture,) = shown["IMAGE"]
    assert picture.size == (128, 128)
    assert "4 steps" in shown["report"][0]


def test_turbo_image_to_image_keeps_the_shape_of_what_it_is_given(run):
    shown = run("Turbo image to image", text="a red circle", image=["gray", 0], megapixels=0.02)
    (picture,) = shown["IMAGE"]
    width, height = picture.size
    assert width > height and width * height == pytest.approx(0.02 * 1024**2, rel=0.15)


def test_bake_cfg_makes_a_lora_file_that_is_identified(run, new_server):
    values = {"name": "from a sub-graph", "count": 4, "iterations": 2, "cfg": 3.0, **SMALL}
    shown = run("Bake CFG", **values)
    (file,) = shown["lora_name"]
    assert (new_server.folder / "output" / "loras" / file).is_file()
    assert shown["pictures"]
    told = new_server.client.run(
        {"it": node("FewStepIdentify", file=file), "shown": text(["it", 1])}
    )
    assert "guidance baked in (from a sub-graph)" in told["shown"]["text"][0]


def test_prove_measures_the_fast_model_beside_its_teacher(run):
    values = {"teacher": ["demo", 0], "model": ["fast", 0], "source": "demo", "count": 2}
    names = {"teacher_name": "sub teacher", "name": "sub fast"}
    shown = run("Prove", steps=4, cfg=3.0, **values, **names, **SMALL)
    assert "sub fast" in shown["report"][0] and shown["images"]

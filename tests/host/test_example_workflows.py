"""Every example workflow is tidy, joins what can be joined, and says which files it needs."""

import json
from pathlib import Path

import numpy
import pytest
from host.test_demo_workflow import api_format, box_of, nodes_of
from PIL import Image

from fewstep.demo import world
from fewstep.recipes.read import read_all

FOLDER = Path(__file__).resolve().parents[2] / "example_workflows"
FILES = sorted(FOLDER.glob("*.json"))
LARGEST_THUMBNAIL = 60_000  # bytes; ComfyUI shows all of them at once
# inputs whose choices are the user's own files: the folder of ComfyUI's that they lie in
OWN_FILES = {
    "ckpt_name": "checkpoints",
    "lora_name": "loras",
    "control_net_name": "controlnet",
    "clip_name": "text_encoders",
    "unet_name": "diffusion_models",
    "vae_name": "vae",
    # of two folders; see NETWORK_FOLDERS
    "model_name": None,
}
NETWORK_FOLDERS = {
    "flux_schnell": "checkpoints",
    "klein": "diffusion_models",
    "turbo_image_to_image": "checkpoints",
    "z_image_turbo": "diffusion_models",
}
# what ComfyUI 0.29 has and 0.3.64 has not
NEW_NODES = {"klein": {"EmptyFlux2LatentImage"}}
NEW_CHOICES = {("CLIPLoader", "type", "flux2")}
# behind all others of their nodes
NEW_INPUTS = {("CreateVideo", "bit_depth")}
# only the page knows it
WITHOUT_SERVER = {"Note"}
DISTILLED = {
    "flux_schnell": ["flux1-schnell-checkpoint"],
    "klein": ["flux2-klein-4b"],
    "lcm_lora": ["lcm-lora-sd15"],
    "lightning_style_controlnet": ["sdxl-lightning-4step-lora"],
    "qwen_image_lightning": ["qwen-image-lightning-4step"],
    "sdxl_lightning": ["sdxl-lightning-4step-lora"],
    "turbo_image_to_image": ["sdxl-turbo"],
    "wan_2_2_two_stages": ["wan2.2-t2v-lightx2v-high", "wan2.2-t2v-lightx2v-low"],
    "z_image_turbo": ["z-image-turbo"],
}


def read(path):
    return json.loads(path.read_text(encoding="utf-8"))


def text_of(workflow):
    return "\n".join(node["widgets_values"][0] for node in nodes_of(workflow, "Note"))


def allowed(described, value):
    """Whether a widget may have this value, by the server's description of its input."""
    kind, options = (*described, {})[:2]
    choices = kind if isinstance(kind, list) else options.get("options")
    if choices is not None:
        return value in choices
    return options.get("min", value) <= value <= options.get("max", value)


def known_nodes(workflow, info):
    return [node for node in workflow["nodes"] if node["type"] in info]


def options_of(node, info):
    """What the server says of each input of a node, by its name."""
    groups = info[node["type"]]["input"].values()
    return {name: entry for group in groups for name, entry in group.items()}


def slots_of(node, info):
    """The slots that this server has too."""
    options = options_of(node, info)
    newer = {name for kind, name in NEW_INPUTS if kind == node["type"]} - options.keys()
    return [slot for slot in node["inputs"] if slot["name"] not in newer]


def widgets_of(node, info):
    """(name, the server's description, value) of every widget."""
    options, values = options_of(node, info), iter(node.get("widgets_values", []))
    for slot in (slot for slot in slots_of(node, info) if "widget" in slot):
        described = options[slot["name"]]
        yield slot["name"], described, next(values)
        # the frontend keeps a widget of its own behind a seed
        if (*described, {})[1].get("control_after_generate"):
            next(values)


def chosen_files(workflow, info):
    """(input, value) of every widget that names a file of the user's."""
    for node in known_nodes(workflow, info):
        widgets = widgets_of(node, info)
        yield from ((name, value) for name, _, value in widgets if name in OWN_FILES)


@pytest.fixture(params=FILES, ids=lambda path: path.stem)
def path(request):
    return request.param


@pytest.fixture
def workflow(path):
    return read(path)


@pytest.fixture(scope="module")
def info(server):
    return server.client.get_json("/object_info")


@pytest.fixture(scope="module")
def is_new(server):
    version = server.client.get_json("/system_stats")["system"]["comfyui_version"]
    return tuple(map(int, version.split(".")[:2])) >= (0, 29)


def test_no_node_lies_on_another(workflow):
    boxes = [(node["id"], box_of(node)) for node in workflow["nodes"]]
    overlapping = [
        (a, b)
        for i, (a, (left, top, right, bottom)) in enumerate(boxes)
        for b, other in boxes[:i]
        if left < other[2] and other[0] < right and top < other[3] and other[1] < bottom
    ]
    assert overlapping == []


def test_every_node_lies_inside_a_group(workflow):
    boxes = [group["bounding"] for group in workflow["groups"]]
    for node in workflow["nodes"]:
        left, top, right, bottom = box_of(node)
        around = [
            x < left and y < top and right < x + width and bottom < y + height
            for x, y, width, height in boxes
        ]
        assert around.count(True) == 1, node["type"]


def test_every_link_joins_slots_of_one_type_that_know_of_it(workflow):
    nodes = {node["id"]: node for node in workflow["nodes"]}
    for number, source, output, target, entry, kind in workflow["links"]:
        start, end = nodes[source]["outputs"][output], nodes[target]["inputs"][entry]
        assert number in start["links"] and end["link"] == number
        assert start["type"] == kind and end["type"] in (kind, "*")
    numbers = [link[0] for link in workflow["links"]]
    joined = [slot["link"] for node in nodes.values() for slot in node["inputs"]]
    assert sorted(number for number in joined if number is not None) == sorted(numbers)


def test_the_server_has_every_node(path, workflow, info, is_new):
    types = {node["type"] for node in workflow["nodes"]} - WITHOUT_SERVER
    missing = set() if is_new else NEW_NODES.get(path.stem, set())
    assert types - info.keys() == missing


def test_every_slot_is_one_of_the_servers(workflow, info):
    for node in known_nodes(workflow, info):
        entry, options = info[node["type"]], options_of(node, info)
        outputs = [(slot["name"], slot["type"]) for slot in node["outputs"]]
        served = list(zip(entry["output_name"], entry["output"], strict=True))
        # a newer ComfyUI may have more behind them
        assert outputs[: len(served)] == served[: len(outputs)], node["type"]
        for slot in slots_of(node, info):
            kind = options[slot["name"]][0]
            assert slot["type"] == ("COMBO" if isinstance(kind, list) else kind), slot["name"]


def test_every_required_input_is_joined_or_has_a_value(workflow, info):
    for node in known_nodes(workflow, info):
        given = {name for name, _, _ in widgets_of(node, info)}
        given |= {slot["name"] for slot in node["inputs"] if slot["link"] is not None}
        assert set(info[node["type"]]["input"].get("required", {})) <= given, node["type"]


def test_every_value_is_allowed_where_the_choices_are_not_the_users_files(workflow, info, is_new):
    for node in known_nodes(workflow, info):
        for name, described, value in widgets_of(node, info):
            is_own = name in OWN_FILES or name == "image"
            is_newer = not is_new and (node["type"], name, value) in NEW_CHOICES
            assert is_own or is_newer or allowed(described, value), (node["type"], name)


def test_a_note_says_where_every_file_goes(path, workflow, info):
    text = text_of(workflow)
    for name, value in chosen_files(workflow, info):
        folder = OWN_FILES[name] or NETWORK_FOLDERS[path.stem]
        assert f"models/{folder}/{value}" in text
    assert path.stem not in DISTILLED or "huggingface.co/" in text


def test_the_loaders_know_the_distilled_file_by_its_name(info):
    known = read_all()[0]
    for name, recipes in DISTILLED.items():
        files = {value for _, value in chosen_files(read(FOLDER / f"{name}.json"), info)}
        assert all(files & set(known[recipe].examples) for recipe in recipes)


def test_every_workflow_is_among_the_templates_with_a_small_picture(path, server):
    assert path.stem in server.client.get_json("/workflow_templates")["fewstep"]
    # the frontend opens a template by its address only if its name has no other characters
    assert path.stem.replace("_", "").isalnum() and path.stem.isascii()
    assert 0 < path.with_suffix(".jpg").stat().st_size < LARGEST_THUMBNAIL


def test_the_guidance_workflow_runs_and_each_guidance_gives_pictures_of_its_own(server, info):
    client, workflow = server.client, read(FOLDER / "lcm_unet_guidance.json")
    outputs = client.run(api_format(workflow, info), seconds=600)
    previews = nodes_of(workflow, "PreviewImage")
    pictures = [client.images(outputs[str(preview["id"])]) for preview in previews]
    assert [[image.size for image in images] for images in pictures] == [[(128, 128)] * 4] * 3
    assert len({image.tobytes() for images in pictures for image in images}) == 12


@pytest.mark.parametrize("name", ["cache", "guider_first_step_cfg", "negative_prompt"])
def test_workflows_of_the_demo_model_run_and_each_way_gives_pictures_of_its_own(name, server, info):
    client, workflow = server.client, read(FOLDER / f"{name}.json")
    prompt = api_format(workflow, info)
    for node in prompt.values():
        if node["class_type"] == "KSampler":
            node["inputs"]["steps"] = 12  # instead of 50, to save time
    outputs = client.run(prompt, seconds=600)
    previews = nodes_of(workflow, "PreviewImage")
    pictures = [client.images(outputs[str(preview["id"])]) for preview in previews]
    assert [[image.size for image in images] for images in pictures] == [[(128, 128)] * 4] * len(
        previews
    )
    assert len({image.tobytes() for images in pictures for image in images}) == 4 * len(previews)


def test_the_compare_workflow_pairs_what_teacher_and_student_make_of_the_same_noise(server, info):
    client, workflow = server.client, read(FOLDER / "compare.json")
    prompt = api_format(workflow, info)
    for node in prompt.values():
        if node["class_type"] == "FewStepSigmas":
            node["inputs"]["steps"] = 4  # of the teacher's 50, to save time
    (compare,) = nodes_of(workflow, "FewStepCompare")
    pairs = client.run(prompt, seconds=600)[str(compare["id"])]["fewstep_compare"]
    pictures = client.images({"images": [pair[side] for pair in pairs for side in "ab"]})
    assert [image.size for image in pictures] == [(128, 128)] * 8
    assert len({image.tobytes() for image in pictures}) == 8


def test_the_check_workflow_names_each_wrong_setting_and_no_right_one(server, info):
    client, workflow = server.client, read(FOLDER / "check.json")
    outputs = client.run(api_format(workflow, info), seconds=600)
    wrong, right = (
        outputs[str(node["id"])]["text"][0] for node in nodes_of(workflow, "PreviewAny")
    )
    named = {line.split(": ")[1] for line in wrong.splitlines() if line.startswith("does not fit")}
    assert named == {"cfg", "steps", "schedule", "sampler"}
    assert "does not fit" not in right and "fits: cfg: 1" in right
    burnt, good = (
        client.images(outputs[str(node["id"])]) for node in nodes_of(workflow, "PreviewImage")
    )
    assert len({image.tobytes() for image in burnt + good}) == 8


SHORTER = {
    "FewStepPrompts": {"count": 5},
    "FewStepTeacherData": {"steps": 4, "name": "workflow"},
    "FewStepPictureData": {"steps": 4, "name": "workflow pictures", "folder": "workflow"},
    "FewStepTrainOptions": {"iterations": 2, "pictures": 1},
    "FewStepBakeGuidance": {"name": "workflow guidance"},
}


@pytest.fixture(scope="module")
def own_pictures(server):
    """A folder of pictures in ComfyUI's input folder, as the workflow's note asks for."""
    folder = server.folder / "input" / "workflow"
    folder.mkdir(parents=True)
    rng = numpy.random.default_rng(5)
    for k in range(3):
        picture = world.draw(world.random_scene(rng, 1 + k % 2))
        Image.fromarray(picture).save(folder / f"{k}.png")


@pytest.mark.parametrize("name", ["bake_guidance", "distill", "own_pictures"])
def test_training_workflows_make_a_student_and_save_it(name, server, info, own_pictures):
    client, workflow = server.client, read(FOLDER / f"{name}.json")
    prompt = api_format(workflow, info)
    for node in prompt.values():
        node["inputs"].update(SHORTER.get(node["class_type"], {}))
        if node["class_type"] == "FewStepDistill":
            node["inputs"]["name"] = f"workflow {name}"
    outputs = client.run(prompt, seconds=600)
    (preview,) = nodes_of(workflow, "PreviewImage")
    images = client.images(outputs[str(preview["id"])])
    assert [image.size for image in images] == [(256, 128)]
    (saved,) = nodes_of(workflow, "FewStepSaveLora")
    loras = client.get_json("/object_info/LoraLoader")["LoraLoader"]["input"]["required"]
    assert any(saved["widgets_values"][0] in name for name in loras["lora_name"][0])


def test_the_measure_workflow_times_each_step_and_writes_down_what_it_costs(server, info):
    client, workflow = server.client, read(FOLDER / "measure.json")
    prompt = api_format(workflow, info)
    for node in prompt.values():
        if node["class_type"] == "FewStepGoldenSet":
            node["inputs"]["count"] = 3
        if node["class_type"] == "FewStepBenchmark":
            node["inputs"]["runs"] = min(node["inputs"]["runs"], 1)
    outputs = client.run(prompt, seconds=600)
    table, ledger = (
        outputs[str(node["id"])]["text"][0] for node in nodes_of(workflow, "PreviewAny")
    )
    assert [line.split()[-5] for line in table.splitlines()[1:]] == ["48", "24", "4"]
    assert ledger.startswith("guidance baked in was added\nSSIM: guidance baked in ")
    assert (server.folder / "output/fewstep/ledgers/measure.jsonl").is_file()


def test_the_prove_workflow_says_what_a_student_costs_and_how_fast_it_is(server, info):
    client, workflow = server.client, read(FOLDER / "prove.json")
    prompt = api_format(workflow, info)
    for node in prompt.values():
        if node["class_type"] == "FewStepGoldenSet":
            node["inputs"] |= {"count": 3, "seeds": 1}
        if node["class_type"] == "FewStepSigmas" and node["inputs"]["spacing"] == "trailing":
            node["inputs"]["steps"] = 4
        if node["class_type"] == "FewStepBenchmark":
            node["inputs"]["runs"] = min(node["inputs"]["runs"], 1)
    outputs = client.run(prompt, seconds=600)
    report, table = (
        outputs[str(node["id"])]["text"][0] for node in nodes_of(workflow, "PreviewAny")
    )
    assert "demo lcm 4 steps beside demo teacher: 3 pictures of 3 prompts" in report
    passes = [line.split()[-5] for line in table.splitlines()[1:]]
    assert passes == ["8", "4"]
    pairs, losses, times = (
        client.images(outputs[str(node["id"])]) for node in nodes_of(workflow, "PreviewImage")
    )
    assert [image.size for image in pairs] == [(256, 128)] * 3
    assert len(losses) == len(times) == 1
    (page,) = (server.folder / "output/fewstep/reports").glob("demo lcm 4 steps beside*.html")
    assert "What fewer passes cost" in page.read_text(encoding="utf-8")

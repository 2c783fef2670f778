"""The list of model files, and what the user says of them by hand, over HTTP and in graphs."""

import importlib
import json
import pickle
import re
import shutil
import urllib.error
import urllib.request

import pytest
from header_files import write_sparse
from host.client import PromptError
from host.test_lora_dialects import shipped
from host.test_recipe_api import loras, node, text
from safetensors.torch import save_file

__all__ = ["loras"]
ROUTE, GIVE = "/fewstep/files", "/fewstep/files/recipe"
NASTY = "<img src=x onerror=alert(1)>.safetensors"
MINE = "mine.safetensors"
SDXL = "down_blocks.2.attentions.0.transformer_blocks.9.attn2.to_k"
SDXL_LORA = {
    f"unet.{SDXL}.lora_A.weight": (4, 2048),
    f"unet.{SDXL}.lora_B.weight": (1280, 4),
}


@pytest.fixture
def own(server):
    """FewStep's folder among the user's files, as it was before after the test."""
    folder = server.folder / "user" / "default" / "fewstep"
    yield folder
    (folder / "said.json").unlink(missing_ok=True)


@pytest.fixture
def listed(server, loras):
    """() -> the entries of the server's list by name."""

    def ask():
        found, start = {}, 0
        while start is not None:
            part = server.client.get_json(ROUTE, start=start)
            found |= {one["name"]: one for one in part["files"]}
            start = part["next"]
        return found

    return ask


def give(server, name, recipe_id, folder="loras"):
    body = {"file": name, "folder": folder, "recipe_id": recipe_id}
    try:
        return 200, server.client.post_json(GIVE, body)
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())["error"]


def loading(name):
    """Loads a LoRA onto the demo model, with nothing said in the graph."""
    numbers = {"strength": 1.0, "steps": 0, "if_unsure": "stop"}
    return {
        "demo": node("FewStepDemoModel", variant="teacher"),
        "lora": node("FewStepLoraLoader", model=["demo", 0], lora_name=name, **numbers),
        "report": text(["lora", 2]),
        "identified": node("FewStepIdentify", file=name, hash=False),
        "identity": text(["identified", 1]),
    }


def test_every_file_is_listed_with_what_it_is_or_why_it_is_refused(server, loras, listed):
    write_sparse(loras / "sdxl_lightning_4step_lora.safetensors", SDXL_LORA)
    write_sparse(loras / NASTY, SDXL_LORA)
    (loras / "bad.safetensors").write_bytes(pickle.dumps([print], protocol=4))
    (loras / "gone.safetensors").symlink_to(loras / "nowhere")
    found = listed()
    known = found["sdxl_lightning_4step_lora.safetensors"]
    assert (known["recipe"], known["base"]) == ("sdxl-lightning-4step-lora", "sdxl")
    assert (known["confidence"], known["folder"], known["refused"]) == ("likely", "loras", None)
    needs = {"steps": 4, "guidance": "cfg", "scale": 1.0, "sampler": "euler"}
    assert known["needs"] == needs
    assert ["schedule", "trailing"] in known["settings"]
    assert found[NASTY]["recipe"] is None and found[NASTY]["base"] == "sdxl"
    assert "bad.safetensors is a pickle, which can run code" in found["bad.safetensors"]["refused"]
    assert "gone.safetensors" not in found or found["gone.safetensors"]["refused"]


def test_a_recipe_by_hand_is_heard_by_loaders_over_a_rename_until_it_is_taken_back(
    server, loras, own, listed
):
    save_file(shipped(), loras / MINE)
    with pytest.raises(PromptError, match="mine.safetensors does not tell"):
        server.client.run(loading(MINE))
    status, entry = give(server, MINE, "lcm-lora-sd15")
    assert (status, entry["recipe"], entry["confidence"]) == (200, "lcm-lora-sd15", "certain")
    (loras / MINE).rename(loras / "renamed.safetensors")
    outputs = server.client.run(loading("renamed.safetensors"))
    for told in ("report", "identity"):
        assert "You said on 20" in outputs[told]["text"][0]
        assert "confidence    certain" in outputs[told]["text"][0]
    assert listed()["renamed.safetensors"]["said"].startswith("20")
    status, entry = give(server, "renamed.safetensors", None)
    assert (status, entry["recipe"], entry["said"]) == (200, None, None)
    with pytest.raises(PromptError, match="renamed.safetensors does not tell"):
        server.client.run(loading("renamed.safetensors"))


@pytest.mark.parametrize(
    ("name", "recipe_id", "folder", "complaint"),
    [
        ("../../secret", None, "loras", "which is not in ComfyUI's folder for loras"),
        (7, None, "loras", "file is 7, which is not in"),
        (MINE, None, "vae", "folder is 'vae'; allowed is one of loras, diffusion_models"),
        (MINE, None, ["loras"], "folder is"),
        (MINE, "no-such", "loras", "recipe_id is 'no-such', and no recipe is called so"),
        (MINE, ["x"], "loras", "recipe_id is .*; allowed is the id of a recipe, or null"),
        (MINE, "sdxl-turbo", "loras", "by its tensors the file is a LoRA. Choose a recipe"),
        ("bad.safetensors", "lcm-lora-sd15", "loras", "bad.safetensors is empty"),
    ],
)
def test_what_cannot_be_said_is_refused_in_a_sentence(
    server, loras, own, name, recipe_id, folder, complaint
):
    save_file(shipped(), loras / MINE)
    (loras / "bad.safetensors").touch()
    status, told = give(server, name, recipe_id, folder)
    assert status == 400 and re.search(complaint, told), told
    assert not (own / "said.json").exists()


@pytest.mark.parametrize("query", ["-1", "x", "1e3", "9" * 40])
def test_a_place_that_is_no_number_is_refused(server, query):
    with pytest.raises(urllib.error.HTTPError, match="400"):
        server.client.get(ROUTE, start=query)


def test_what_was_said_in_a_broken_or_newer_file_is_never_written_over(server, loras, own, listed):
    save_file(shipped(), loras / MINE)
    own.mkdir(parents=True, exist_ok=True)
    for content, complaint in (("{", "is broken"), ('{"version": 9}', "of version 9")):
        (own / "said.json").write_text(content)
        status, told = give(server, MINE, "lcm-lora-sd15")
        assert status == 400 and complaint in told
        assert (own / "said.json").read_text() == content
        assert any(complaint in warning for warning in listed()[MINE]["warnings"])


def test_another_site_can_neither_read_the_list_nor_say_anything(server, loras):
    for path, data in ((ROUTE, None), (GIVE, b"{}")):
        headers = {"Origin": "http://evil.example", "Content-Type": "application/json"}
        request = urllib.request.Request(server.url + path, data, headers)
        with pytest.raises(urllib.error.HTTPError, match="403"):
            urllib.request.urlopen(request)


def test_a_file_is_read_again_only_when_it_changes_and_long_lists_come_in_parts(
    host, tmp_path, monkeypatch
):
    shelf = importlib.import_module("fewstep.nodes.shelf")
    files = importlib.import_module("fewstep.nodes.host.files")
    shelves = importlib.import_module("host.shelves")
    monkeypatch.setattr(files, "own_folder", lambda: tmp_path / "own")
    for folder in ("diffusion_models", "checkpoints"):
        shelves.shelf(folder, tmp_path / folder, monkeypatch)
    path = shelves.shelf("loras", tmp_path / "loras", monkeypatch).path
    for k in range(6):
        write_sparse(path / f"{k}.safetensors", SDXL_LORA)
    read, seen = shelf.read_header, []
    monkeypatch.setattr(shelf, "read_header", lambda one: seen.append(one.name) or read(one))
    monkeypatch.setattr(shelf, "MOST", 4)
    first, second = shelf.listed(0), shelf.listed(4)
    assert [one["name"] for one in first["files"]] == [f"{k}.safetensors" for k in range(4)]
    assert (first["next"], first["total"], len(second["files"]), second["next"]) == (4, 6, 2, None)
    assert any(one["id"] == "lcm-lora-sd15" for one in first["recipes"])
    assert len(seen) == 6
    shutil.copy(path / "1.safetensors", path / "5.safetensors")
    shelf.listed(0), shelf.listed(4)
    assert seen[6:] == ["5.safetensors"]

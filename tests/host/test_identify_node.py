"""FewStepIdentify reads a header, and the whole content only where that is asked for."""

import hashlib
import importlib
import json

import pytest
from host.test_lora_dialects import shipped

from fewstep.recipes import read


@pytest.fixture
def own(host, tmp_path, monkeypatch):
    """FewStep's folder among the user's files, for this test."""
    files = importlib.import_module("fewstep.nodes.host.files")
    monkeypatch.setattr(files, "own_folder", lambda: tmp_path / "own")
    (tmp_path / "own" / "recipes").mkdir(parents=True)
    return tmp_path / "own"


@pytest.fixture
def file(host, tmp_path, monkeypatch):
    """A LoRA whose name and header tell nothing."""
    shelves = importlib.import_module("host.shelves")
    shelf = shelves.shelf("loras", tmp_path / "loras", monkeypatch)
    return shelf.path / shelf.put("pytorch_lora_weights.safetensors", shipped())


def identify(file, **inputs):
    node = importlib.import_module("fewstep.nodes").FewStepIdentify
    return node.execute(file.name, **inputs).result


def test_a_renamed_file_is_known_by_its_content_where_that_is_asked_for(own, file):
    content = json.loads((read.FOLDER / "lcm.json").read_text())
    (entry,) = [recipe for recipe in content["recipes"] if recipe["id"] == "lcm-lora-sd15"]
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    content["recipes"] = [entry | {"id": "mine", "sha256": [digest]}]
    (own / "recipes" / "mine.json").write_text(json.dumps(content))
    recipe, report = identify(file)
    assert recipe is None and not (own / "sha256.json").exists()
    recipe, report = identify(file, hash=True)
    assert recipe.id == "mine"
    assert "confidence    certain" in report and "by its SHA-256" in report
    assert digest in (own / "sha256.json").read_text()


def test_a_hash_that_nobody_has_published_tells_nothing(own, file):
    recipe, report = identify(file, hash=True)
    assert recipe is None and "recipe        none" in report


def test_a_changed_recipe_of_ones_own_lets_its_nodes_run_again(own, file):
    nodes = importlib.import_module("fewstep.nodes")
    asked = [
        lambda: nodes.FewStepIdentify.fingerprint_inputs(file.name),
        lambda: nodes.FewStepRecipe.fingerprint_inputs("lcm-lora-sd15", 0),
        lambda: nodes.FewStepLoraLoader.fingerprint_inputs(file.name, strength=1.0),
    ]
    before = [ask() for ask in asked]
    assert before == [ask() for ask in asked]
    (own / "recipes" / "mine.json").write_text("{}")
    after = [ask() for ask in asked]
    assert all(a != b for a, b in zip(before, after, strict=True))
    (own / "recipes" / "mine.json").write_text("{ }")
    assert all(a != b for a, b in zip(after, [ask() for ask in asked], strict=True))


def test_hashing_shows_progress_and_stops_at_cancel(own, file, monkeypatch):
    utils = importlib.import_module("comfy.utils")
    management = importlib.import_module("comfy.model_management")
    seen = []
    monkeypatch.setattr(
        utils, "PROGRESS_BAR_HOOK", lambda done, total, *_, **__: seen.append((done, total))
    )
    identify(file, hash=True)
    assert seen[-1] == (file.stat().st_size,) * 2
    (own / "sha256.json").unlink()
    management.interrupt_current_processing()
    with pytest.raises(management.InterruptProcessingException):
        identify(file, hash=True)
    assert not (own / "sha256.json").exists()

import pytest

from fewstep.bootstrap import find_comfyui


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.delenv("COMFYUI_PATH", raising=False)
    monkeypatch.setattr(find_comfyui, "USUAL_PLACE", tmp_path / "comfy" / "ComfyUI")
    monkeypatch.setattr(find_comfyui, "ROOT", tmp_path / "elsewhere" / "fewstep")
    return tmp_path


def install(folder, version="0.29.0"):
    (folder / "comfy").mkdir(parents=True)
    for file in ("main.py", "requirements.txt", "comfy/samplers.py"):
        (folder / file).touch()
    (folder / "comfyui_version.py").write_text(f'__version__ = "{version}"\n')
    return folder.resolve()


def test_none_is_found_on_a_bare_machine_and_the_sentence_names_the_places(home):
    assert find_comfyui.find() is None
    assert find_comfyui.find_all() == []
    assert str(home / "comfy" / "ComfyUI") in find_comfyui.not_found()
    assert "COMFYUI_PATH" in find_comfyui.not_found()


def test_the_named_one_comes_before_the_usual_one(home, monkeypatch):
    install(home / "comfy" / "ComfyUI")
    named = install(home / "named", version="0.3.64")
    monkeypatch.setenv("COMFYUI_PATH", str(named))
    assert find_comfyui.find() == (named, (0, 3, 64))


def test_the_one_around_the_pack_comes_before_the_usual_one(home, monkeypatch):
    install(home / "comfy" / "ComfyUI")
    around = install(home / "around")
    monkeypatch.setattr(find_comfyui, "ROOT", around / "custom_nodes" / "my pack")
    assert find_comfyui.find().folder == around


def test_a_wrong_comfyui_path_is_an_error_and_not_passed_over(home, monkeypatch):
    install(home / "comfy" / "ComfyUI")
    monkeypatch.setenv("COMFYUI_PATH", str(home / "nothing"))
    with pytest.raises(find_comfyui.Misnamed, match="nothing.*main.py"):
        find_comfyui.find()


def test_tests_run_in_every_sibling_newest_first(home):
    old = install(home / "comfy" / "ComfyUI-0.3.64", version="0.3.64")
    new = install(home / "comfy" / "ComfyUI", version="0.29.0")
    (home / "comfy" / "ComfyUI-empty").mkdir()
    assert [comfyui.folder for comfyui in find_comfyui.find_all()] == [new, old]

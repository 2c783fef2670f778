import pytest

from fewstep.demo import weights


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A demo model of empty files."""
    for part in ("unet", "text_encoder", "vae", "tokenizer"):
        (tmp_path / part).mkdir()
    (tmp_path / "lcm_lora.safetensors").touch()
    monkeypatch.setattr(weights, "FOLDER", tmp_path)
    monkeypatch.setattr(weights, "TOKENIZER", tmp_path / "tokenizer")
    monkeypatch.setattr(weights, "LCM_LORA", tmp_path / "lcm_lora.safetensors")
    return tmp_path


def test_a_whole_demo_model_is_accepted(folder):
    assert weights.check_present() is None


@pytest.mark.parametrize("part", ["unet", "text_encoder", "vae", "tokenizer"])
def test_a_missing_part_is_named_with_the_remedy(folder, part):
    (folder / part).rmdir()
    with pytest.raises(
        FileNotFoundError, match=rf"no {part} in .*Install FewStep again.*train-demo"
    ):
        weights.check_present()


def test_a_missing_lora_is_named_where_it_is_needed(folder):
    (folder / "lcm_lora.safetensors").unlink()
    assert weights.check_present() is None
    with pytest.raises(
        FileNotFoundError, match=r"no lcm_lora.safetensors in .*train-demo-students FOLDER"
    ):
        weights.check_present(lora=weights.LCM_LORA)


def test_the_lcm_lora_has_a_place_of_its_own(folder):
    assert weights.student_file("lcm_lora") == folder / "lcm_lora.safetensors"
    assert weights.student_file("guidance") == weights.STUDENTS / "guidance.safetensors"

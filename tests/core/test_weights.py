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


def test_a_missing_lora_is_named(folder):
    (folder / "lcm_lora.safetensors").unlink()
    with pytest.raises(FileNotFoundError, match="no lcm_lora.safetensors in"):
        weights.check_present()

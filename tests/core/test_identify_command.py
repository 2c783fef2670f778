"""run.py identify prints what a file is; its exit status tells scripts the same."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from fewstep.headless.identify import cache_folder, main
from fewstep.recipes import read

KEY = "lora_unet_mid_block_attentions_0_transformer_blocks_0_attn2_to_k"
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def lightning(tmp_path):
    path = tmp_path / "sdxl_lightning_4step_lora.safetensors"
    pair = {f"{KEY}.lora_down.weight": torch.zeros(4, 2048)}
    save_file({**pair, f"{KEY}.lora_up.weight": torch.zeros(1280, 4)}, path)
    return path


def test_a_recipe_that_was_found_is_status_0(lightning, capsys):
    assert main([str(lightning)]) == 0
    told = capsys.readouterr().out
    for words in ("sdxl-lightning-4step-lora", "likely", "euler", "trailing", "because"):
        assert words in told


def test_json_is_one_object(lightning, capsys):
    assert main([str(lightning), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["family"], found["base"], found["kind"]) == ("lightning", "sdxl", "lora")
    assert (found["steps"], found["cfg"], found["confidence"]) == ([4], [1, 1], "likely")


def test_a_sound_file_without_a_recipe_is_status_3(lightning, capsys):
    renamed = lightning.rename(lightning.with_name("pytorch_lora_weights.safetensors"))
    assert main([str(renamed), "--json"]) == 3
    found = json.loads(capsys.readouterr().out)
    assert (found["recipe"], found["base"], found["confidence"]) == (None, "sdxl", "none")


@pytest.mark.parametrize("content", [b"", b"\x80\x02}q\x00.", b"PK\x03\x04", b"<html></html>"])
def test_a_refused_file_is_status_2_and_one_sentence(tmp_path, capsys, content):
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    assert main([str(path)]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and "model.safetensors" in err


def test_a_file_that_is_not_there_is_status_2(tmp_path, capsys):
    assert main([str(tmp_path / "no.safetensors")]) == 2
    assert capsys.readouterr().err.endswith("no.safetensors: No such file or directory.\n")


def test_a_name_that_the_terminal_cannot_show_is_told_all_the_same(lightning):
    odd = lightning.rename(lightning.with_name("sdxl_lightning_4step_ß\u2603.safetensors"))
    for more in ([], ["--json"]):
        run = [sys.executable, "-X", "utf8=0", ROOT / "run.py", "identify", odd, *more]
        environ = {**os.environ, "PYTHONIOENCODING": "ascii"}
        done = subprocess.run(run, capture_output=True, text=True, timeout=60, env=environ)
        assert done.returncode == 0, done.stderr
        assert "sdxl-lightning-4step-lora" in done.stdout


def test_the_command_needs_nothing_but_python(lightning):
    # -S and -s leave out everything that is installed, -E the environment
    run = [sys.executable, "-S", "-s", "-E", ROOT / "run.py", "identify", lightning, "--json"]
    done = subprocess.run(run, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["recipe"] == "sdxl-lightning-4step-lora"


@pytest.fixture
def caches(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    return tmp_path / "caches"


def test_the_hash_is_computed_and_told_on_request_alone(lightning, caches, capsys):
    sha256 = hashlib.sha256(lightning.read_bytes()).hexdigest()
    assert main([str(lightning)]) == 0
    assert sha256 not in capsys.readouterr().out and not caches.exists()
    assert main([str(lightning), "--hash"]) == 0
    assert capsys.readouterr().out.endswith(f"sha256        {sha256}\n")
    remembered = json.loads((caches / "fewstep" / "sha256.json").read_text())
    assert remembered[str(lightning)]["sha256"] == sha256


def test_a_hash_that_is_known_makes_it_certain(lightning, caches, tmp_path, monkeypatch, capsys):
    content = json.loads((read.FOLDER / "lightning.json").read_text())
    content["recipes"][0]["sha256"] = [hashlib.sha256(lightning.read_bytes()).hexdigest()]
    (tmp_path / "lightning.json").write_text(json.dumps(content))
    monkeypatch.setattr(read, "FOLDER", tmp_path)
    renamed = lightning.rename(lightning.with_name("pytorch_lora_weights.safetensors"))
    assert main([str(renamed), "--json"]) == 3
    without = json.loads(capsys.readouterr().out)
    assert main([str(renamed), "--json", "--hash"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["recipe"], found["confidence"]) == (content["recipes"][0]["id"], "certain")
    assert found.keys() == without.keys()


@pytest.mark.parametrize(
    ("platform", "variables", "expected"),
    [
        ("linux", {"XDG_CACHE_HOME": "/caches", "LOCALAPPDATA": "/local"}, "/caches/fewstep"),
        ("win32", {"XDG_CACHE_HOME": "", "LOCALAPPDATA": "/local"}, "/local/fewstep"),
        ("win32", {}, "/home/me/.cache/fewstep"),
        ("darwin", {"LOCALAPPDATA": "/local"}, "/home/me/Library/Caches/fewstep"),
        ("linux", {"LOCALAPPDATA": "/local"}, "/home/me/.cache/fewstep"),
    ],
)
def test_hashes_lie_where_the_systems_caches_lie(monkeypatch, platform, variables, expected):
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(Path, "home", lambda: Path("/home/me"))
    for name in ("XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert cache_folder() == Path(expected)


def test_what_a_terminal_would_obey_is_shown_instead(lightning, capsys):
    odd = lightning.rename(lightning.with_name("sdxl_lightning_4step_\x1b[2J\x9b.safetensors"))
    assert main([str(odd)]) == 0
    told = capsys.readouterr().out
    assert "\x1b" not in told and "\x9b" not in told
    assert "sdxl_lightning_4step_\\x1b[2J\\x9b.safetensors" in told

"""What the user said of a file is kept over a rename, and what cannot be read is left alone."""

import json
import os
import shutil

import pytest
import torch
from safetensors.torch import save_file

from fewstep.lora.header import read_header
from fewstep.recipes.evidence import misfit
from fewstep.recipes.identify import Identification, as_said
from fewstep.recipes.read import read_all
from fewstep.recipes.said import Said, fingerprint, read_said, said_of, written
from fewstep.recipes.structure import Structure

RECIPES = read_all()[0]
LCM = RECIPES["lcm-lora-sd15"]
LORA = Structure("sd15", "lora", frozenset(), ("It is a LoRA for sd15.",))
NOTHING = Identification(None, "sd15", "lora", "none", ("Nothing tells.",), ("Mind this.",))
MARK = "0123456789abcdef" * 4
ENTRY = {"recipe": "lcm-lora-sd15", "date": "2026-01-31", "size": 12}


def lora(path, seed=0):
    draw = torch.Generator().manual_seed(seed)
    save_file({"a": torch.randn(64, 64, generator=draw)}, path)
    return path


def said(path):
    return {fingerprint(path): Said("lcm-lora-sd15", "2026-01-31", path.stat().st_size)}


def test_a_file_is_known_again_under_another_name_in_another_folder(tmp_path):
    known = said(lora(tmp_path / "a.safetensors"))
    (tmp_path / "deep").mkdir()
    moved = shutil.move(tmp_path / "a.safetensors", tmp_path / "deep" / "b.safetensors")
    os.utime(moved, (0, 0))
    assert said_of(moved, known) == Said("lcm-lora-sd15", "2026-01-31", moved.stat().st_size)


def test_another_file_with_the_very_same_header_is_not_taken_for_it(tmp_path):
    one, other = lora(tmp_path / "a.safetensors", 0), lora(tmp_path / "b.safetensors", 1)
    assert read_header(one) == read_header(other)
    assert said_of(other, said(one)) is None


def test_nothing_is_read_of_a_file_whose_size_nobody_spoke_of(tmp_path, monkeypatch):
    one = lora(tmp_path / "a.safetensors")
    known = said(one)
    other = tmp_path / "b.safetensors"
    other.write_bytes(one.read_bytes() + b" ")
    monkeypatch.setattr("builtins.open", None)
    assert said_of(other, known) is None


def test_what_is_written_is_read_back(tmp_path):
    known = {MARK: Said(**ENTRY)}
    (tmp_path / "said.json").write_bytes(written(known))
    assert read_said(tmp_path / "said.json") == known
    assert read_said(tmp_path / "none.json") == {}


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ('{"version": 1, "files": {', r"said.json is broken: .*line 1.* Mend it, or delete it"),
        ("", "is broken"),
        ("[1]", "is broken: it is .*allowed is an object"),
        ("\xff", "is broken"),
        ("[" * 100_000, "is broken"),
        (json.dumps({"version": 2, "files": {}}), "of version 2, and this FewStep reads version 1"),
        (json.dumps({"version": 2, "new": 1}), "of version 2.* Update FewStep"),
        (json.dumps({"version": 1, "files": {"x": ENTRY}}), "files.x .*allowed is a fingerprint"),
        (
            json.dumps({"version": 1, "files": {MARK: ENTRY | {"date": "today"}}}),
            r'date is "today"; allowed is a date such as 2026-01-31',
        ),
        (
            json.dumps({"version": 1, "files": {MARK: {"recipe": "a"}}}),
            "date is missing",
        ),
        (" " * 8_000_001, "is broken: it is larger than 8000000 bytes"),
    ],
)
def test_a_file_that_is_broken_or_newer_is_refused_with_what_to_do(tmp_path, content, complaint):
    path = tmp_path / "said.json"
    path.write_bytes(content.encode("latin-1"))
    with pytest.raises(ValueError, match=complaint):
        read_said(path)
    assert path.read_bytes() == content.encode("latin-1")


def test_the_users_word_stands_above_what_a_file_tells_and_gives_its_day():
    found = as_said(NOTHING, LORA, LCM, "2026-01-31")
    assert (found.recipe, found.confidence) == (LCM, "certain")
    assert found.reasons[-1] == f"You said on 2026-01-31 that it is {LCM.title}."


def test_a_word_that_the_tensors_rule_out_is_left_out_and_told():
    sdxl = RECIPES["lcm-lora-sdxl"]
    found = as_said(NOTHING, LORA, sdxl, "2026-01-31")
    assert (found.recipe, found.confidence) == (None, "none")
    assert found.warnings[0] == "Mind this."
    assert "is left out" in found.warnings[1] and "a LoRA for sd15" in found.warnings[1]


@pytest.mark.parametrize(
    ("structure", "complaint"),
    [
        (LORA, ""),
        (LORA._replace(base=None), ""),
        (LORA._replace(base=None, kind=None), ""),
        (
            LORA._replace(base="sdxl"),
            "is a LoRA for sd15, and by its tensors the file is a LoRA for sdxl.",
        ),
        (LORA._replace(kind="unet"), "by its tensors the file is a network alone for sd15."),
    ],
)
def test_a_recipe_of_another_base_or_kind_is_told_in_a_sentence(structure, complaint):
    told = misfit(LCM, structure)
    assert told.endswith(complaint) and bool(told) == bool(complaint)


def test_a_fingerprint_reads_the_header_and_three_parts_alone(tmp_path):
    path = lora(tmp_path / "a.safetensors")
    data = bytearray(path.read_bytes())
    begin = 8 + int.from_bytes(data[:8], "little")
    unseen = begin + 1
    data[unseen] ^= 1
    path.with_name("b.safetensors").write_bytes(data)
    assert fingerprint(path.with_name("b.safetensors")) == fingerprint(path)
    for seen in (begin - 3, begin + (len(data) - begin) // 2):
        changed = bytearray(path.read_bytes())
        changed[seen] ^= 1
        path.with_name("c.safetensors").write_bytes(changed)
        assert fingerprint(path.with_name("c.safetensors")) != fingerprint(path)

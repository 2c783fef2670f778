"""bench CONFIG.toml: the models of an evaluation's file, timed by turns."""

import gc
import json
import re

import pytest
import torch
from tiny_pipelines import save_flux, save_sd

from fewstep.evaluate.latency import Latency
from fewstep.headless import diffusers_speed_ups, model_ways
from fewstep.headless.bench import as_text, main, timed
from fewstep.headless.demo_ways import Way
from fewstep.headless.model_ways import Turns

FILE = """
[golden_set]
source = "rows.csv"

[pictures]
folder = "found"
dtype = "float32"
device = "cpu"

[[model]]
name = "Teacher"
path = "sd"
steps = 12
cfg = 2.0

[[model]]
name = "few"
path = "sd"
steps = 1
cfg = 1.0

[[model]]
name = "Flux, cache"
path = "flux"
steps = 12
guidance = 3.5
cfg = 2.0
cache = 10.0

[[model]]
name = "fp8"
path = "sd"
steps = 2
cfg = 2.0
fp8 = true

[[model]]
name = "compiled"
path = "sd"
steps = 2
cfg = 1.0
compile = true
"""
ROWS = "prompt,size,seed\na red circle,96x64,7\na blue square,64x64,8\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    found = tmp_path_factory.mktemp("bench")
    save_sd(found / "sd")
    save_flux(found / "flux")
    (found / "rows.csv").write_text(ROWS)
    return found


def bench(folder, *arguments, text=FILE):
    (folder / "run.toml").write_text(text)
    return main([str(folder / "run.toml"), *arguments, "--threads", "1"])


def test_models_are_timed_and_what_cannot_be_run_is_left_out(folder, monkeypatch, capsys):
    monkeypatch.setattr(diffusers_speed_ups, "BACKEND", "nothing")
    rows, make = [], model_ways.maker_of

    def watched(*given):
        maker = make(*given)
        return lambda golden: rows.append(golden) or maker(golden)

    monkeypatch.setattr(model_ways, "maker_of", watched)
    assert bench(folder, "--runs", "1") == 0
    told = json.loads((folder / "found" / "bench" / "bench.json").read_text())
    # the cache computes the first step of each condition
    assert {name: way["passes"] for name, way in told["ways"].items()} == {
        "Teacher": 24,
        "few": 1,
        "Flux, cache": 2,
        "fp8": 4,
    }
    assert told["ways"]["Teacher"]["ratio"] == 1.0 < told["ways"]["few"]["ratio"]
    assert told["picture"]["prompt"] == "a red circle" and told["picture"]["seed"] == 7
    assert (told["dtype"], told["threads"]) == ("float32", 1)
    # four models, two runs that warm up and one that counts, and one that tries whether fp8 can be
    assert len(rows) == 13 and {len(golden) for golden in rows} == {1}
    assert {(one.prompt, one.width) for (one,) in rows} == {("a red circle", 96)}
    said = capsys.readouterr().out
    assert "compiled is left out: compiled: this machine cannot make its pictures with comp" in said
    assert "One picture of 96 x 64 pixels at a time, by turns" in said and "peak GB" not in said
    assert (folder / "found" / "bench" / "bench.svg").read_text().count("<svg") == 1


def test_those_that_are_named_are_timed_into_the_folder_that_is_named(folder):
    out = folder / "mine"
    assert bench(folder, "--only", "few", "--runs", "1", "--out", str(out)) == 0
    assert list(json.loads((out / "bench.json").read_text())["ways"]) == ["few"]


@pytest.mark.parametrize(
    ("before", "after", "only", "message"),
    [
        ("", "", "tdm 2 steps", "--only is 'tdm 2 steps'; allowed in .*run.toml is Teacher; few"),
        (
            "cfg = 1.0",
            "cfg = 1.0\ncache = 0.1",
            "few",
            r"run.toml: \[model\] number 2: cache is 0.1",
        ),
        ("cfg = 1.0", "guidance = 1.0", "Teacher", r"run.toml: \[model\] number 2: guidance is 1"),
        ("steps = 1\n", "steps = 0\n", "few", r"run.toml: \[model\] number 2 steps is 0; allowed"),
        ('"cpu"', '"tpu"', "few", "device is 'tpu', which this machine does not have"),
        ("", "", "compiled", "nothing is left to time"),
    ],
)
def test_what_is_wrong_is_said_before_the_first_run(
    folder, tmp_path, monkeypatch, capfd, before, after, only, message
):
    monkeypatch.setattr(diffusers_speed_ups, "BACKEND", "nothing")
    text = FILE.replace(before, after, 1)
    assert bench(folder, "--only", only, "--out", str(tmp_path / "out"), text=text) == 2
    assert re.search(message, capfd.readouterr().err)
    assert not list(tmp_path.rglob("*.json"))


class Pipeline:
    def __init__(self, name, log):
        self.name, self.log = name, log

    def to(self, device):
        self.log.append((self.name, str(device)))


def test_one_pipeline_is_on_the_device_and_the_others_leave_it_first():
    log, turns = [], Turns(torch.device("cuda", 0))
    kept = [Pipeline(name, log) for name in "ab"]
    for one in kept:
        turns.add(one.name, one)
    turns.prepare("a")
    turns.prepare("b")
    assert log == [("b", "cpu"), ("a", "cuda:0"), ("a", "cpu"), ("b", "cuda:0")]


def test_a_way_has_the_device_before_it_is_tried_and_before_each_of_its_runs():
    log = []
    ways = [
        Way(name, lambda name=name: lambda: log.append(f"{name} runs") or 1, is_usual=name == "a")
        for name in "ab"
    ]
    timed(ways, 1, prepare=lambda name: log.append(f"{name} is there"))
    told = [name for name, run in (line.split(" ", 1) for line in log[1::2]) if run == "runs"]
    assert [line.split()[0] for line in log[::2]] == told and sorted(told) == list("aaabbbb")


def test_a_pipeline_that_is_left_out_has_no_turn():
    log, turns = [], Turns(torch.device("cpu"))
    kept = Pipeline("kept", log)
    turns.add("kept", kept)
    turns.add("left out", Pipeline("left out", log))
    gc.collect()
    turns.prepare("kept")
    assert log == [("kept", "cpu")]


def test_memory_is_told_where_the_device_counts_it():
    found = {
        "a": Latency(0.2, 0.3, 1.0, 8, 12_345_000_000),
        "b": Latency(0.1, 0.1, 2.0, 4, 6_000_000_000),
    }
    lines = [line.split() for line in as_text(found).splitlines()]
    assert lines[0][-2:] == ["peak", "GB"]
    assert [line[-2:] for line in lines[1:]] == [["1.0", "12.35"], ["2.0", "6.00"]]

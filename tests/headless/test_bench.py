import json
import re
import xml.etree.ElementTree as ElementTree

import pytest
import torch

from fewstep.evaluate.latency import Latency
from fewstep.headless.bench import as_text, main, tried
from fewstep.headless.demo_ways import Way, demo_ways
from fewstep.headless.latency_plot import plot

FOUND = {
    "teacher <50>": Latency(2.5, 2.75, 1.0, 100, None),
    "student": Latency(0.05, 0.0625, 50.0, 1, None),
}


def test_a_table_has_a_row_for_each_way():
    lines = as_text(FOUND).splitlines()
    cells = [re.split(r"\s{2,}", line.strip()) for line in lines]
    assert cells == [
        ["passes", "median ms", "95 % ms", "times as fast"],
        ["teacher <50>", "100", "2500.0", "2750.0", "1.0"],
        ["student", "1", "50.0", "62.5", "50.0"],
    ]


def test_a_plot_names_each_way_and_how_many_times_as_fast_it_is():
    found = ElementTree.fromstring(plot(FOUND)).iter()
    texts = [element.text.strip() for element in found if element.tag.endswith("text")]
    assert {"teacher <50>", "student", "1.0x", "50.0x"} <= set(texts)
    assert plot(FOUND) == plot(FOUND)


def test_ways_are_timed_and_what_was_found_is_written(tmp_path):
    chosen = ["tdm 2 steps", "LCM-LoRA, 8 steps", "adversarial 1 step"]
    only = [argument for name in chosen for argument in ("--only", name)]
    assert main([*only, "--runs", "3", "--threads", "1", "--out", str(tmp_path / "new")]) == 0
    told = json.loads((tmp_path / "new" / "bench.json").read_text())
    assert {name: way["passes"] for name, way in told["ways"].items()} == {
        "LCM-LoRA, 8 steps": 8,
        "tdm 2 steps": 2,
        "adversarial 1 step": 1,
    }
    ratios = [way["ratio"] for way in told["ways"].values()]
    assert ratios == sorted(ratios) and ratios[0] == 1.0 and told["threads"] == 1
    assert (tmp_path / "new" / "bench.svg").read_text().count("<svg") == 1


def test_the_undistilled_model_stands_first_with_fewer_and_fewer_steps():
    assert [way.name for way in demo_ways()][:4] == [
        f"teacher, {n} steps" for n in (50, 25, 10)
    ] + ["LCM-LoRA, 8 steps"]


def test_what_cannot_be_is_refused(tmp_path, capsys):
    for arguments, told in (
        (["--runs", "0"], "--runs is '0'; allowed is a whole number from 1 to 1000"),
        (["--only", "teacher"], "invalid choice: 'teacher'"),
    ):
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        assert ended.value.code == 2 and told in capsys.readouterr().err
    (tmp_path / "file").write_text("mine")
    assert main(["--out", str(tmp_path / "file")]) == 2
    assert (tmp_path / "file").read_text() == "mine"


def test_a_cache_leaves_steps_out_and_its_passes_are_those_that_ran(tmp_path):
    arguments = ["--only", "teacher, 25 steps, cache", "--runs", "1", "--out", str(tmp_path)]
    assert main(["--only", "teacher, 25 steps", *arguments]) == 0
    ways = json.loads((tmp_path / "bench.json").read_text())["ways"]
    plain, cached = (ways[name]["passes"] for name in ways)
    assert plain == 50 and 10 < cached < 40 and cached % 2 == 0


def test_what_takes_minutes_must_be_named_and_what_cannot_be_is_left_out_with_a_reason(capsys):
    unusual = [way.name for way in demo_ways() if not way.is_usual]
    assert unusual == [
        f"{name}, {how}"
        for how in ("compiled", "fp8 weights")
        for name in ("teacher, 25 steps", "LCM-LoRA, 4 steps")
    ]

    def fails():
        raise RuntimeError("No working C++ compiler found\nand a long trace")

    assert tried(Way("compiled", lambda: fails, is_usual=False)) is None
    assert capsys.readouterr().out == "compiled is left out: No working C++ compiler found\n"


def test_fp8_weights_make_nearly_the_same_picture():
    from fewstep.headless.pipeline import load_demo
    from fewstep.headless.speed_ups import in_fp8

    torch.manual_seed(0)
    noise, found = torch.randn(1, 4, 16, 16), []
    with torch.inference_mode():
        for change in (lambda pipeline: pipeline, in_fp8):
            found.append(change(load_demo()).denoiser(["a red circle"])(14 * noise, 14.0))
    eps = [(14 * noise - denoised) / 14 for denoised in found]
    apart = (eps[0] - eps[1]).norm() / eps[0].norm()
    # of a mantissa of 3 bits, so it is not the same either
    assert 1e-4 < apart < 0.05

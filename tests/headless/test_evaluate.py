"""Golden sets are made and measured without ComfyUI; the figures know good from bad."""

import json
import subprocess
import sys
import time
import zlib
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from killing import needs_fork, run_killed

from fewstep.evaluate.figures import Figure
from fewstep.evaluate.golden_set import Golden, fingerprint, shipped, with_seeds
from fewstep.evaluate.picture_file import read_picture
from fewstep.headless import demo_contenders as demo
from fewstep.headless.demo_judgement import Judged, figures, judge, worst_rows
from fewstep.headless.evaluate import main
from fewstep.headless.golden_pictures import Contender, batches, make_pictures
from fewstep.headless.processes import Processes
from fewstep.headless.shipped_students import shipped_students

ALONE = Processes(torch.device("cpu"))
ROOT = Path(__file__).resolve().parents[2]
CONTENDERS = {one.name: one for one in demo.demo_contenders()}
STUDENTS = [f"progressive {steps}" for steps in ("8 steps", "4 steps", "2 steps", "1 step")]


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def where_seeds_matter_less(share):
    """The student of 8 steps, from noise of which every seed of a prompt has the rest in common."""
    student = next(one for one in shipped_students() if one.method.model == "progressive_8_steps")
    pipeline = student.load()

    def make(rows):
        common = [zlib.crc32(golden.prompt.encode()) for golden in rows]
        own = [golden.seed for golden in rows]
        like = torch.empty(len(rows), *demo.LATENT)
        noises = [demo.seeded_noise(like, seeds)() for seeds in (common, own)]
        noise = (1 - share) ** 0.5 * noises[0] + share**0.5 * noises[1]
        denoise = pipeline.denoiser([golden.prompt for golden in rows])
        with torch.inference_mode():
            return pipeline.decode(demo.sample(denoise, student.method, noise, None))

    return make


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """Figures of the students and of a collapsed one, by name, then by figure."""
    golden_set = with_seeds(shipped("demo")[:24], 2)
    folder = tmp_path_factory.mktemp("pictures")
    collapsed = Contender("collapsed", 8, {}, lambda: where_seeds_matter_less(0.1))
    wanted = ["teacher, 24 steps", *STUDENTS]
    judged = {
        one.name: judge(make_pictures(one, golden_set, folder, ALONE, batch=16), golden_set)
        for one in (*(CONTENDERS[name] for name in wanted), collapsed)
    }
    reference = judged.pop("teacher, 24 steps")
    return {
        name: {figure.name: figure.estimate for figure in figures(reference, found, seed=0)}
        for name, found in judged.items()
    }


def test_distances_and_accuracy_order_students_of_8_to_1_steps(measured):
    eight, four, two, one = (measured[name] for name in STUDENTS)
    for name in ("FID", "KID x 1000"):
        # 8 and 4 steps are as good as equal, 93.4 and 89.8 % of 1,000
        assert max(eight[name].value, four[name].value) < two[name].value < one[name].value
        assert one[name].low > 0
    right = [found["accuracy"].value for found in (eight, four, two, one)]
    assert right == sorted(right, reverse=True) and right[2] - right[3] > 0.2


def test_diversity_falls_where_the_seed_matters_less_though_accuracy_stays(measured):
    student, collapsed = measured[STUDENTS[0]], measured["collapsed"]
    assert abs(collapsed["accuracy"].value - student["accuracy"].value) < 0.1
    assert student["diversity"].low < 1.0 < student["diversity"].high
    assert collapsed["diversity"].high < 0.85 and collapsed["Vendi"].high < 0.0


@needs_fork
def test_a_set_killed_twenty_times_is_byte_for_byte_one_that_never_was(tmp_path):
    golden_set = with_seeds(shipped("demo")[:15], 2)
    student = CONTENDERS["tdm 2 steps"]
    maker = student.load()

    def make(folder, pause):
        def slowly(rows):
            time.sleep(pause)
            return maker(rows)

        torch.set_num_threads(1)
        make_pictures(student._replace(load=lambda: slowly), golden_set, folder, ALONE, batch=1)

    make(tmp_path / "whole", 0.0)
    # 30 pauses are longer than twenty waits, so that none is done before the last kill
    run_killed(20, partial(make, tmp_path / "killed"), 0.05, (0.01, 0.07), seed=2)
    assert contents(tmp_path / "killed" / student.folder) == contents(
        tmp_path / "whole" / student.folder
    )


def test_what_is_there_is_not_made_again_and_a_model_that_is_not_needed_not_loaded(tmp_path):
    golden_set = with_seeds(shipped("demo")[:3], 1)
    made, loads = [], []

    def load():
        loads.append(1)
        return lambda rows: made.extend(rows) or np.zeros((len(rows), 16, 16, 3), np.uint8)

    contender = Contender("A student: 4/8", 4, {"steps": 4}, load)
    counted = []
    make = lambda: make_pictures(
        contender, golden_set, tmp_path, ALONE, batch=2, on_made=counted.append
    )
    there = make()
    assert there.folder == tmp_path / "a-student-4-8" and made == golden_set
    there.path(0).unlink()
    make(), make()
    # a batch is made as a whole, so that no picture depends on what was cut off
    assert made == [*golden_set, *golden_set[:2]] and len(loads) == 2 and sum(counted) == 9
    assert read_picture(there.path(2))[1] == {
        **golden_set[2]._replace(tags=["single-object"])._asdict(),
        "golden set": fingerprint(golden_set),
        "batch": 2,
        "steps": 4,
    }


def test_the_worst_rows_lost_their_caption_then_are_least_alike():
    features = np.random.default_rng(0).normal(size=(6, 24))
    moved = features + np.array([0.1, 0.5, 0.0, 0.4, 0.3, 0.2])[:, None]
    theirs = Judged(features, np.array([True, True, True, False, True, True]), (0,) * 6)
    ours = Judged(moved, np.array([False, True, True, False, True, False]), (0,) * 6)
    assert worst_rows(theirs, ours, 4) == [5, 0, 1, 3]


def test_batches_are_neighbours_of_one_size():
    sizes = [64, 64, 64, 128, 64, 64]
    rows = [Golden("a", None, k, (), size, size) for k, size in enumerate(sizes)]
    assert batches(rows, 2) == [range(2), range(2, 3), range(3, 4), range(4, 6)]


@pytest.mark.parametrize(
    ("golden", "message"),
    [
        (Golden("a", None, 0, (), 64, 128), "size is 64x128 for 'a'; the demo model makes 128x128"),
        (Golden("a", "b", 0), "negative is 'b' for 'a'; the demo model is compared without"),
    ],
)
def test_rows_that_the_demo_model_cannot_make_are_refused(golden, message):
    with pytest.raises(ValueError, match=message):
        demo.check_rows([golden])


def test_two_processes_of_accelerate_make_what_one_does(tmp_path):
    arguments = ["evaluate", "--prompts", "9", "--seeds", "1", "--threads", "1"]
    arguments += ["--only", "tdm 2 steps", "--out"]
    assert main([*arguments[1:], str(tmp_path / "one")]) == 0
    launch = "from accelerate.commands.accelerate_cli import main; main()"
    options = ["--cpu", "--num_processes", "2", "--num_machines", "1", "--mixed_precision", "no"]
    options += ["--dynamo_backend", "no", str(ROOT / "run.py")]
    command = [sys.executable, "-c", launch, "launch", *options, *arguments, str(tmp_path / "two")]
    subprocess.run(command, check=True, capture_output=True, cwd=tmp_path)
    for name in ("teacher-24-steps", "tdm-2-steps"):
        assert contents(tmp_path / "one/pictures" / name) == contents(
            tmp_path / "two/pictures" / name
        )
    told = json.loads((tmp_path / "two/results.json").read_text())
    assert told == json.loads((tmp_path / "one/results.json").read_text())
    assert [row["passes"] for row in told["contenders"]] == [48, 2]
    accuracy = told["contenders"][1]["figures"]["accuracy"]
    assert accuracy["count"] == 9 and accuracy["low"] is None and 0.5 < accuracy["value"] <= 1
    page = (tmp_path / "one/results.html").read_text()
    assert page == (tmp_path / "two/results.html").read_text() and page.count("<img") == 2 * 9
    text = (tmp_path / "one/results.txt").read_text()
    assert "9 prompts are too few for intervals" in text and "diversity" not in text


def test_a_folder_of_something_else_is_refused(tmp_path, capsys):
    (tmp_path / "pictures" / "teacher-24-steps").mkdir(parents=True)
    (tmp_path / "pictures" / "teacher-24-steps" / "mine.png").write_bytes(b"mine")
    assert main(["--prompts", "2", "--out", str(tmp_path)]) == 2
    assert "holds 1 other files, such as mine.png" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--prompts", "1"], "--prompts is '1'; allowed is a whole number from 2 to 300"),
        (["--seeds", "17"], "--seeds is '17'; allowed is a whole number from 1 to 16"),
        (["--only", "teacher"], "invalid choice: 'teacher'"),
    ],
)
def test_arguments_that_cannot_be_are_refused(arguments, told, capsys):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2 and told in capsys.readouterr().err


def test_a_table_has_a_dash_where_the_reference_has_no_figure():
    from fewstep.evaluate.bootstrap import Estimate
    from fewstep.evaluate.table import Row, as_text

    accuracy = Figure("accuracy", Estimate(0.9375, 0.88, 1.0, 40))
    distance = Figure("KID x 1000", Estimate(12.34, -0.04, 20.0, 40), "Beware.")
    rows = [Row("teacher", 48, [accuracy]), Row("student", 4, [accuracy, distance])]
    lines = as_text(rows).splitlines()
    assert lines[0].split() == ["passes", "accuracy", "KID", "x", "1000"]
    assert lines[1].split()[-6:] == ["48", "0.94", "(0.88", "to", "1.00)", "-"]
    assert lines[2].endswith("0.94 (0.88 to 1.00)  12.3 (0.0 to 20.0)")
    assert len(lines[1]) == len(lines[2])
    assert lines[4].startswith("In brackets what chance leaves: 95 % intervals over 40 prompts")
    assert lines[5] == "Beware."

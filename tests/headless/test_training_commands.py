"""bake and distill: from a file to a LoRA that diffusers samples with, cut off and gone on with."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from tiny_pipelines import save_flux, save_sd, save_sdxl

from fewstep.distill.names import GUIDANCE, STEPS
from fewstep.distill.shards import Shards
from fewstep.distill.trajectories import KIND, Trajectories
from fewstep.distill.ways import WAYS
from fewstep.headless import bake, distill, training
from fewstep.headless.conditions import prompts_of, texts_of
from fewstep.headless.config import Method
from fewstep.headless.config_file import read_config
from fewstep.headless.processes import Processes
from fewstep.headless.student import chain_of, recipe_of
from fewstep.headless.teacher import network_of, teacher_of
from fewstep.recipes.own import read_own

ROOT = Path(__file__).resolve().parents[2]
ALONE = Processes(torch.device("cpu"))
FILE = """
[model]
path = "../model"

[prompts]
source = "text"
text = "a red circle\\na blue square\\na green triangle\\na gray cross"

[data]
folder = "../teacher"
steps = 4
cfg = 3.0
size = [64, 64]

[train]
iterations = 6
batch = 4
learning_rate = 0.0001
warm_up = 1
rank = 2
lora_alpha = 2
validate_every = 2
pictures = 2
checkpoint_every = 2

[method]
name = "guidance"

[output]
folder = "."
name = "mine"
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A model, and place beside it for runs, which share the teacher's data."""
    found = tmp_path_factory.mktemp("training")
    save_sd(found / "model")
    return found


def written(folder, name, text=FILE):
    path = folder / name / "train.toml"
    path.parent.mkdir()
    path.write_text(text)
    return path


def checkpoint(path):
    return load_file(path.parent / "mine run" / "checkpoint.safetensors")


@pytest.fixture(scope="module")
def baked(folder):
    """The file of a run that nothing has disturbed."""
    path = written(folder, "baked")
    assert bake.main([str(path)]) == 0
    return path


def test_baking_leaves_a_lora_a_report_and_the_losses(baked):
    lora = baked.parent / "mine.safetensors"
    with safe_open(lora, framework="pt") as file:
        recipe = read_own(file.metadata())
    assert recipe.guidance == ("cfg", 1.0, 1.0, 1.0) and recipe.sampler.name == "euler"
    assert (recipe.family, recipe.prediction, recipe.steps.default) == ("guidance", "eps", 4)
    assert "it was distilled from model" in recipe.how_verified
    report = (baked.parent / "mine.txt").read_text()
    assert report.startswith("6 iterations at ") and "is kept" in report
    assert [f"iteration {i}: error" in report for i in (2, 4, 6)] == [True] * 3
    with open(baked.parent / "mine.csv", newline="") as file:
        head, *rows = csv.reader(file)
    assert head == ["stage", "iteration", "student"]
    assert [row[1] for row in rows] == ["1", "2", "3", "4", "5", "6"]
    losses = checkpoint(baked)["losses.student"].tolist()
    assert [float(row[2]) for row in rows] == losses


def test_a_lora_that_is_there_stops_a_run_before_it_begins(baked, capsys):
    assert bake.main([str(baked)]) == 2
    assert "[output] name is 'mine', and" in capsys.readouterr().err


class Interrupting(Processes):
    """Says that it is interrupted when iteration 4 has been looked at."""

    def say(self, text):
        if text.startswith("iteration 4:"):
            raise KeyboardInterrupt


def test_a_run_that_was_interrupted_ends_as_if_it_had_not_been(folder, baked):
    path = written(folder, "interrupted")
    config = read_config(path, (GUIDANCE,))
    with pytest.raises(KeyboardInterrupt):
        training.run(config, Interrupting(ALONE.device))
    half = path.parent / "mine run" / "checkpoint.safetensors"
    with safe_open(half, framework="pt") as file:
        assert '"i": 4' in file.metadata()["fewstep.checkpoint"]
    assert not (path.parent / "mine.safetensors").exists()
    training.run(config, ALONE)
    undisturbed, found = checkpoint(baked), checkpoint(path)
    assert found.keys() == undisturbed.keys()
    assert all(torch.equal(found[name], undisturbed[name]) for name in found)
    assert (path.parent / "mine.txt").read_text().startswith("2 iterations at ")


def test_the_user_is_told_how_to_go_on(folder, monkeypatch, capsys):
    path = written(folder, "stopped")

    def interrupt(config, here):
        raise KeyboardInterrupt

    monkeypatch.setattr(training, "run", interrupt)
    assert bake.main([str(path)]) == 130
    assert "run the same command again to go on" in capsys.readouterr().err


def test_halving_starts_from_a_baked_guidance_and_leaves_every_stage(folder, baked):
    text = FILE.replace('name = "guidance"', 'name = "progressive"\nsteps = 1')
    text = text.replace("steps = 1", 'steps = 1\nbase_lora = "../baked/mine.safetensors"')
    path = written(folder, "halved", text)
    assert distill.main([str(path)]) == 0
    files = sorted(file.name for file in path.parent.glob("*.safetensors"))
    assert files == ["mine 2 steps.safetensors", "mine.safetensors"]
    with safe_open(path.parent / "mine.safetensors", framework="pt") as file:
        recipe, ranks = read_own(file.metadata()), file.metadata()["ss_network_dim"]
    # the base's rank and its own
    assert recipe.steps.default == 1 and ranks == "4"
    report = (path.parent / "mine.txt").read_text()
    assert "2 steps:" in report and "1 steps:" in report
    rows = list(csv.reader((path.parent / "mine.csv").open(newline="")))
    assert len(rows) == 1 + 6 + 6


def test_a_lower_rank_is_that_of_the_file_and_the_report_says_what_it_keeps(folder):
    path = written(folder, "small", f"{FILE}rank = 1\n")
    assert bake.main([str(path)]) == 0
    with safe_open(path.parent / "mine.safetensors", framework="pt") as file:
        assert file.metadata()["ss_network_dim"] == "1"
    assert "mine.safetensors: rank 1 keeps " in (path.parent / "mine.txt").read_text()


def test_a_range_of_cfg_is_told_and_its_input_is_in_the_file(folder):
    text = FILE.replace("cfg = 3.0", "cfg = [1, 8]").replace("../teacher", "../told teacher")
    path = written(folder, "told", text)
    assert bake.main([str(path)]) == 0
    lora = path.parent / "mine.safetensors"
    assert "lora_unet_time_embedding_cond_proj.lora_up.weight" in load_file(lora)
    with safe_open(lora, framework="pt") as file:
        assert read_own(file.metadata()).guidance == ("embedded", 4.5, 1.0, 8.0)


def test_a_flux_student_says_its_shift_under_diffusers_names(folder):
    save_flux(folder / "flux")
    text = FILE.replace('path = "../model"', 'path = "../flux"\nguidance = 3.5')
    text = text.replace("../teacher", "../flux teacher")
    text = text.replace('name = "guidance"', 'name = "segments"\nsteps = 2')
    path = written(folder, "flux student", text)
    assert distill.main([str(path)]) == 0
    lora = path.parent / "mine.safetensors"
    assert "transformer.transformer_blocks.0.attn.to_q.lora_A.weight" in load_file(lora)
    with safe_open(lora, framework="pt") as file:
        recipe = read_own(file.metadata())
    # 16 tokens are the least of this scheduler, of shift exp(0.5)
    assert recipe.shift == pytest.approx(1.6487, abs=1e-4)
    assert (recipe.base, recipe.prediction, recipe.steps.default) == ("flux", "flow", 2)


def test_a_student_of_two_sizes_is_trained_and_gone_on_with(folder):
    save_sdxl(folder / "sdxl")
    text = FILE.replace('path = "../model"', 'path = "../sdxl"')
    text = text.replace("../teacher", "../two sizes").replace("[64, 64]", "[[64, 64], [96, 64]]")
    text = text.replace('name = "guidance"', 'name = "segments"\nsteps = 2')
    path = written(folder, "both", text)
    with pytest.raises(KeyboardInterrupt):
        training.run(read_config(path, STEPS), Interrupting(ALONE.device))
    assert distill.main([str(path)]) == 0
    whole = written(folder, "both at once", text)
    assert distill.main([str(whole)]) == 0
    found, undisturbed = checkpoint(path), checkpoint(whole)
    assert all(torch.equal(found[name], undisturbed[name]) for name in found)
    with safe_open(path.parent / "mine run" / "checkpoint.safetensors", framework="pt") as file:
        run = json.loads(file.metadata()["fewstep.checkpoint"])["run"]
    assert run["shape"] == [[4, 8, 8], [4, 8, 12]] and len(run["rows"]) == 4
    # the texts once for all sizes, the teacher's data of each by itself
    made = sorted(file.name for file in (folder / "two sizes").iterdir())
    assert made == ["64x64", "96x64", "texts"]
    assert len(list((folder / "two sizes" / "texts").iterdir())) == 1
    for name, shape in (("64x64", (4, 8, 8)), ("96x64", (4, 8, 12))):
        rows = Shards.opened(folder / "two sizes" / name, KIND).tensors("path")
        assert [tuple(row[0].shape) for row in rows] == [shape] * 4
    report = (path.parent / "mine.txt").read_text()
    assert [f"iteration {i}: error" in report for i in (2, 4, 6)] == [True] * 3


def test_a_range_of_cfg_is_refused_for_flux(folder, capsys):
    text = FILE.replace('path = "../model"', 'path = "../flux"\nguidance = 3.5')
    text = text.replace("cfg = 3.0", "cfg = [1, 8]").replace("../teacher", "flux teacher")
    path = written(folder, "flux told", text)
    assert bake.main([str(path)]) == 2
    assert "[data] cfg is [1.0, 8.0], a range, and flux can be given no" in capsys.readouterr().err


def test_a_chain_and_its_recipe_are_of_what_was_asked_for(folder, baked):
    config = read_config(written(folder, "shared"), (GUIDANCE,))
    texts = texts_of(prompts_of(config.prompts, 0), "")
    teacher, conditions = teacher_of(config, texts, ALONE)
    with network_of(teacher, conditions, config, ALONE) as network:
        data = Trajectories(Shards.opened(config.data.folder, KIND), network.process)
        chain = chain_of(config, network, data, Processes(ALONE.device, 1, 2))
        stage = WAYS["lcm"].stages(data, 2)[0]
    assert not any(module._forward_hooks for module in teacher.model.modules())
    assert chain.share[:2] == (1, 2)
    asked = config._replace(method=Method("lcm", 2))
    assert recipe_of(asked, teacher, stage).schedule.spacing == "lcm"
    # a flow model has no timesteps for LCM's grid
    flow = teacher._replace(table=None, shift=3.0)
    assert recipe_of(asked, flow, stage).schedule.spacing == "trailing"
    assert chain.about["method"] == "guidance" and chain.setting.held_out == 0


def test_data_that_do_not_fit_the_budget_are_refused(folder, capsys):
    path = written(folder, "large", FILE.replace("cfg = 3.0", "cfg = 3.0\nbudget_gb = 0.00001"))
    path.write_text(path.read_text().replace("../teacher", "teacher"))
    assert bake.main([str(path)]) == 2
    assert "GB of disk" in capsys.readouterr().err
    assert not list((path.parent / "teacher").glob("rows*"))


def test_a_wrong_file_ends_with_a_sentence(tmp_path, capsys):
    assert distill.main([str(tmp_path / "nothing.toml")]) == 2
    assert "nothing.toml is not there" in capsys.readouterr().err
    path = tmp_path / "train.toml"
    path.write_text(FILE)
    assert distill.main([str(path)]) == 2
    assert f"allowed is one of {', '.join(STEPS)}" in capsys.readouterr().err


@pytest.mark.skipif(os.name == "nt", reason="gloo over localhost is not tried on Windows")
def test_two_processes_of_accelerate_train_the_lora_of_one(folder, baked):
    path = written(folder, "two")
    launch = [sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu"]
    launch += ["--num_processes", "2", "--num_machines", "1", "--mixed_precision", "no"]
    launch += ["--dynamo_backend", "no", "--main_process_port", "0"]
    done = subprocess.run(
        [*launch, str(ROOT / "run.py"), "bake", str(path)],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    # said once, by the main process
    assert done.stdout.count("LoRA: ") == 1
    alone, found = checkpoint(baked), checkpoint(path)
    # the optimizer's step is a learning rate long however small a gradient is
    for name in (name for name in alone if not name.startswith("optimizer")):
        torch.testing.assert_close(found[name], alone[name], rtol=1e-5, atol=1e-5)
    moved = [
        value.abs().max() for name, value in alone.items() if name.startswith("learner.student.up")
    ]
    assert min(moved) > 1e-4

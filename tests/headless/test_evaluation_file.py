"""An evaluation's file is read whole, and what is wrong in it is said before anything is loaded."""

from pathlib import Path

import pytest
import torch

from fewstep.evaluate.golden_set import Golden, Size, shipped, with_seeds
from fewstep.headless.diffusers_contenders import contenders_of
from fewstep.headless.evaluation_config import Features, Model, Pictures
from fewstep.headless.evaluation_file import (
    FEATURE_PATHS,
    MODEL_OPTIONAL,
    MODEL_REQUIRED,
    read_evaluation,
)

FAST = {"fp8": True, "compile": True}
EXAMPLE = Path(__file__).resolve().parents[2] / "docs" / "evaluation.toml"
WHOLE = """
[golden_set]
source = "rows.csv"
width = 96
height = 64
seeds = 2

[pictures]
folder = "../found"
batch = 3
dtype = "float32"
device = "cpu"

[[model]]
name = "Teacher"
path = "model"
steps = 8
cfg = 4
negative = "blurry"
cache = 0.08

[[model]]
name = "student"
path = "mine.safetensors"
config = "model"
lora = "mine.safetensors"
lora_strength = 0.5
cfg = 1.0
recipe = "auto"
fp8 = true
compile = true

[features]
clip = "clip"
inception = "inception.pth"
lpips = "vgg"
lpips_weights = "vgg.pth"
download = true
"""


def written(folder, text=WHOLE):
    (folder / "model").mkdir(exist_ok=True)
    (folder / "model" / "model_index.json").write_text("{}")
    (folder / "mine.safetensors").write_bytes(b"")
    (folder / "rows.csv").write_text("prompt,size,tags\na,,x\nb,128x64,\n")
    path = folder / "mine.toml"
    path.write_text(text)
    return path


def test_every_value_arrives_and_paths_are_relative_to_the_file(tmp_path):
    config = read_evaluation(written(tmp_path))
    rows = [Golden("a", None, 0, ("x",), 96, 64), Golden("b", None, 1, (), 128, 64)]
    assert config.golden_set == with_seeds(rows, 2) and config.choice.seeds == 2
    assert config.choice.size == Size(96, 64, 1.0)
    assert config.pictures == Pictures(tmp_path / "../found", 3, "float32", "cpu")
    file = tmp_path / "mine.safetensors"
    assert config.models == [
        Model("Teacher", tmp_path / "model", steps=8, cfg=4.0, negative="blurry", cache=0.08),
        Model("student", file, tmp_path / "model", file, 0.5, cfg=1.0, **FAST, recipe="auto"),
    ]
    assert [model.folder for model in config.models] == [tmp_path / "model"] * 2
    files = (tmp_path / name for name in ("clip", "inception.pth", "vgg.pth"))
    clip, inception, weights = files
    assert config.features == Features(clip, inception, "vgg", weights, True)


def test_pictures_and_features_may_be_left_out(tmp_path):
    text = WHOLE[: WHOLE.index("[features]")].replace("[pictures]", "[[model]]")
    text = text.replace('folder = "../found"\nbatch = 3\ndtype = "float32"\ndevice = "cpu"\n', "")
    text = text.replace("[[model]]\n\n", "", 1)
    config = read_evaluation(written(tmp_path, text))
    assert config.pictures == Pictures(tmp_path / "mine") and config.features == Features()


def test_a_set_that_comes_along_is_named(tmp_path):
    text = WHOLE.replace('"rows.csv"', '"general"\ncount = 2\ntag = "hands"\nscale = 0.5')
    rows = [golden for golden in shipped("general") if "hands" in golden.tags][:2]
    found = read_evaluation(written(tmp_path, text)).golden_set
    assert [golden.prompt for golden in found[::2]] == [golden.prompt for golden in rows]
    assert all(golden.width % 32 == 0 and golden.width < 1000 for golden in found)


@pytest.mark.parametrize(
    ("before", "after", "complaint"),
    [
        ("[golden_set]", "[golden]", r"\[golden\] is \"golden\"; allowed is one of golden_set"),
        ("[golden_set]", "[golden_set", "is no TOML"),
        ("seeds = 2", "seeds = 0", r"\[golden_set\] seeds is 0; allowed is a whole number"),
        ("width = 96", "wide = 96", r"\[golden_set\] wide is \"wide\"; allowed is one of source"),
        ("width = 96\n", "", r"\[golden_set\] width and height are missing, and 'a' has no size"),
        ("seeds = 2", 'tag = "y"', r"\[golden_set\] tag is 'y'; allowed are those of the set: x"),
        ("seeds = 2", "count = 3", r"\[golden_set\] count is 3, and there are 2 rows. Choose 1"),
        ("seeds = 2", "count = 1", r"\[golden_set\] all rows are of one prompt; a comparison"),
        ('"rows.csv"', '"gone.csv"', "gone.csv is not there"),
        ("batch = 3", "batch = 0", r"\[pictures\] batch is 0; allowed is a whole number from 1"),
        ('"float32"', '"float16"', r"\[pictures\] dtype is \"float16\"; allowed is one of auto"),
        ("steps = 8", "steps = true", r"\[model\] number 1 steps is true; allowed is a whole"),
        ("cfg = 4", "cfg = 0", r"\[model\] number 1 cfg is 0; allowed is a number from 1 to 100"),
        ("cfg = 4", "speed = 4", r"\[model\] number 1 speed is \"speed\"; allowed is one of name"),
        ("cache = 0.08", "cache = 0", r"number 1 cache is 0; allowed is a number above 0 to 10"),
        ("fp8 = true", "fp8 = 1", r"\[model\] number 2 fp8 is 1; allowed is true or false"),
        ("compile = true", 'compile = "max"', r"2 compile is \"max\"; allowed is true or false"),
        ('name = "student"', "", r"\[model\] number 2 is .*allowed is .*name is missing"),
        ('[[model]]\nname = "T', '[model]\nname = "T', "is no TOML"),
        (
            "steps = 8",
            'scheduler = "Euler"',
            r"number 1 scheduler is \"Euler\"; allowed is a table",
        ),
        ('"vgg"', '"squeeze"', r"\[features\] lpips is \"squeeze\"; allowed is one of alex, vgg"),
        (
            "steps = 8\n",
            "",
            r"\[model\] number 1 has no steps and no recipe from which they follow",
        ),
        (
            'recipe = "auto"',
            'recipe = "auto"\nscheduler = { class = "LCMScheduler" }',
            r"\[model\] number 2 has a recipe, from which the scheduler follows, and a scheduler",
        ),
        ("steps = 8", "steps = 8\nlora_strength = 2.0", "lora_strength is 2, and there is no lora"),
        ("steps = 8", 'steps = 8\nlora = "no.safetensors"', "number 1 lora is .* is not there"),
        ('"Teacher"', '"STUDENT!"', "name is 'student', which gives .* of number 1, student"),
        ('path = "model"', 'path = "nothing"', r"number 1 path is .*allowed is a diffusers folder"),
        ('config = "model"\n', "", r"\[model\] number 2 config is missing, and path is"),
        ('config = "model"', 'config = "."', "number 2 config is .* which has no model_index.json"),
        ("steps = 8", 'steps = 8\nconfig = "model"', r"\[model\] number 1 config is there, and"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(tmp_path, before, after, complaint):
    assert before in WHOLE
    path = written(tmp_path, WHOLE.replace(before, after, 1))
    with pytest.raises(ValueError, match=complaint) as raised:
        read_evaluation(path)
    assert str(raised.value).startswith(str(path))


@pytest.mark.parametrize(
    ("models", "complaint"),
    [
        ("", "allowed is an object with golden_set, model; model is missing"),
        ("[model]\nname = 1", r"\[model\] is .*; allowed is 2 or more sections that begin with"),
        ('[[model]]\nname = "a"\npath = "model"\nsteps = 1', r"there is 1 \[\[model\]\]; a compar"),
    ],
)
def test_a_comparison_needs_two_models(tmp_path, models, complaint):
    text = f'[golden_set]\nsource = "demo"\nwidth = 64\nheight = 64\n{models}\n'
    with pytest.raises(ValueError, match=complaint):
        read_evaluation(written(tmp_path, text))


def test_a_fault_in_the_golden_set_is_told_with_its_line(tmp_path):
    path = written(tmp_path)
    (tmp_path / "rows.csv").write_text("prompt,seed\na,1\nb,-1\n")
    with pytest.raises(ValueError, match="rows.csv, line 3: seed is '-1'; allowed are whole"):
        read_evaluation(path)


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(ValueError, match="no.toml is not there. .* which models to evaluate"):
        read_evaluation(tmp_path / "no.toml")


def test_the_shipped_example_can_be_run_and_names_every_key():
    config = read_evaluation(EXAMPLE)
    contenders = contenders_of(config, torch.device("cpu"))
    assert [(one.name, one.passes) for one in contenders] == [
        ("teacher, 24 steps", 48),
        ("progressive, 4 steps", 4),
        ("tdm, 2 steps", 2),
    ]
    assert [one.request["recipe"] for one in contenders] == [None, "in-the-file", "in-the-file"]
    words = EXAMPLE.read_text(encoding="utf-8")
    keys = [*MODEL_REQUIRED, *MODEL_OPTIONAL, *FEATURE_PATHS, "lpips", "download", "batch", "dtype"]
    keys += ["source", "tag", "count", "seeds", "width", "height", "scale", "folder", "device"]
    assert [key for key in keys if f"{key} = " not in words] == []

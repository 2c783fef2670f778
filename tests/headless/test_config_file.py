"""A training's file is read whole, and what is wrong in it is said before anything is loaded."""

from pathlib import Path

import pytest

from fewstep.distill.names import GUIDANCE, STEPS
from fewstep.distill.train_options import TrainOptions
from fewstep.distill.training import Options
from fewstep.headless.config import DEMO, Data, Method, Model, Output, Prompts
from fewstep.headless.config_file import read_config

EXAMPLE = Path(__file__).resolve().parents[2] / "docs" / "training.toml"
WHOLE = """
[model]
path = "model"
guidance = 3.5
shard = true

[prompts]
source = "file"
file = "prompts.txt"
count = 3
negative = "blurry"

[data]
folder = "teacher"
steps = 24
cfg = [1, 8]
size = [1024, 768]

[train]
iterations = 20
learning_rate = 0.001
rank = 8
checkpointing = false
layers = "attn"

[method]
name = "segments"
steps = 4
base_lora = "base.safetensors"

[output]
folder = "loras"
name = "fast 4"
"""
DEMO_FILE = """
[model]
path = "demo"
[prompts]
source = "demo"
count = 5
[data]
folder = "teacher"
steps = 4
cfg = 4
size = [128, 128]
[method]
name = "guidance"
[output]
folder = "."
name = "baked"
"""


def written(tmp_path, text):
    (tmp_path / "model").mkdir(exist_ok=True)
    (tmp_path / "model" / "model_index.json").write_text("{}")
    path = tmp_path / "config.toml"
    path.write_text(text)
    return path


def test_every_value_arrives_and_paths_are_relative_to_the_file(tmp_path):
    config = read_config(written(tmp_path, WHOLE), STEPS)
    assert config.model.path == tmp_path / "model"
    assert config.model.is_sharded and config.model.guidance == 3.5
    assert config.prompts.file == tmp_path / "prompts.txt"
    assert (config.prompts.count, config.prompts.negative) == (3, "blurry")
    data = config.data
    assert (data.folder, data.steps) == (tmp_path / "teacher", 24)
    assert (data.cfg, data.sizes, data.seeds) == ((1.0, 8.0), ((1024, 768),), 1)
    train = config.train
    assert (train.rank, train.layers, train.is_checkpointed, train.pictures) == (
        8,
        "attn",
        False,
        4,
    )
    assert (train.run.iterations, train.run.learning_rate, train.run.batch) == (20, 1e-3, 8)
    method = config.method
    assert (method.name, method.steps) == ("segments", 4)
    assert method.base_lora == tmp_path / "base.safetensors"
    output = config.output
    assert output.lora == tmp_path / "loras" / "fast 4.safetensors"
    assert output.report == tmp_path / "loras" / "fast 4.txt"
    assert output.losses == tmp_path / "loras" / "fast 4.csv"
    assert output.stage("8 steps") == tmp_path / "loras" / "fast 4 8 steps.safetensors"


def test_several_sizes_have_a_folder_each(tmp_path):
    text = WHOLE.replace("size = [1024, 768]", "size = [[1024, 768], [768, 1024]]")
    data = read_config(written(tmp_path, text), STEPS).data
    assert data.sizes == ((1024, 768), (768, 1024))
    assert [(part.folder.name, part.sizes) for part in data.parts] == [
        ("1024x768", ((1024, 768),)),
        ("768x1024", ((768, 1024),)),
    ]
    assert {part.folder.parent for part in data.parts} == {data.folder}
    one = read_config(written(tmp_path, WHOLE.replace("[1024, 768]", "[[1024, 768]]")), STEPS).data
    assert one.parts == [one] and one.sizes == ((1024, 768),)


def test_what_is_left_out_has_the_defaults_of_the_nodes(tmp_path):
    config = read_config(written(tmp_path, DEMO_FILE), (GUIDANCE,))
    assert config.model.path == DEMO and config.data.cfg == (4.0, 4.0)
    assert config.train.is_checkpointed and config.train.rank == 64
    assert config.train.run.validate_every == 250
    assert config.method.steps is None and config.data.budget_gb == 5.0


@pytest.mark.parametrize(
    ("before", "after", "complaint"),
    [
        ('path = "model"', "", r"\[model\] is .*path is missing"),
        ('path = "model"', "path = 3", r"\[model\] path is 3; allowed is a text"),
        (
            'path = "model"',
            'path = "nowhere"',
            r"\[model\] path is .*allowed is 'demo', 'demo flow'",
        ),
        ('path = "model"', 'path = "no.safetensors"', r"\[model\] path is .*Nothing is ever down"),
        ('path = "model"', 'path = "model"\nconfig = "x"', r"\[model\] config is there, and path"),
        ("shard = true", 'shard = "yes"', r"\[model\] shard is \"yes\"; allowed is true or false"),
        (
            "shard = true",
            'dtype = "float8"',
            r"\[model\] dtype is \"float8\"; allowed is one of auto",
        ),
        (
            "guidance = 3.5",
            "guidance = -1",
            r"\[model\] guidance is -1; allowed is a number from 0",
        ),
        ("guidance = 3.5", "shift = 0", r"\[model\] shift is 0; allowed is a number above 0"),
        ("guidance = 3.5", 'if_distilled = "go"', r"\[model\] if_distilled .*one of stop, warn"),
        (
            'source = "file"',
            'source = "web"',
            r"\[prompts\] source is \"web\"; .*shipped, text, file",
        ),
        (
            'source = "file"',
            'source = "text"',
            r"\[prompts\] source is 'text', and text is missing",
        ),
        ('source = "file"', "", r"\[prompts\] source is 'shipped', and file is there"),
        ('file = "prompts.txt"', "", r"\[prompts\] source is 'file', and file is missing"),
        ('source = "file"\nfile = "prompts.txt"', 'source = "demo"', "demo models know captions"),
        ("count = 3", "count = -3", r"\[prompts\] count is -3; allowed is a whole number from 0"),
        ('negative = "blurry"', "negative = 1", r"\[prompts\] negative is 1; allowed is a text"),
        ("steps = 24", "steps = 24.5", r"\[data\] steps is 24.5; allowed is a whole number from 2"),
        ("steps = 24", "steps = 22", r"\[method\] steps is 4, .*divisors 1, 2, 11, 22"),
        (
            "cfg = [1, 8]",
            "cfg = [8, 1]",
            r"\[data\] cfg is \[8, 1\]; allowed is \[lowest, highest\]",
        ),
        ("cfg = [1, 8]", "cfg = 0.5", r"\[data\] cfg is 0.5; allowed is a number from 1 to 100"),
        ("size = [1024, 768]", "size = 1024", r"\[data\] size is 1024; allowed is a list"),
        (
            "size = [1024, 768]",
            "size = [64]",
            r"\[data\] size is \[64\]; allowed is \[width, height\] in pixels, or a list of such",
        ),
        (
            "size = [1024, 768]",
            "size = [[64, 64], [64, 96], [64, 64]]",
            r"\[data\] size is \[\[64, 64\], .*; allowed is each \[width, height\] once",
        ),
        (
            "size = [1024, 768]",
            "size = [[64, 64], [64]]",
            r"\[data\] size 1 is \[64\]; allowed is \[width, height",
        ),
        (
            "size = [1024, 768]",
            "size = [[64, 64], [64, 8]]",
            r"\[data\] size 1 1 is 8; allowed is a whole number from 16",
        ),
        ("size = [1024, 768]", "size = [1024, 768]\nspeed = 2", r"\[data\] speed is .*as a key"),
        ("iterations = 20", "iterations = 0", r"\[train\] iterations is 0; allowed is a whole"),
        ("iterations = 20", "batch = 8\naccumulation = 3", "batch is 8, which 3 parts"),
        ("learning_rate = 0.001", "learning_rate = inf", r"\[train\] learning_rate is Infinity"),
        ("learning_rate = 0.001", "learning_rate = 1979-05-27", r"learning_rate is \"1979-05-27\""),
        ("rank = 8", "rank = true", r"\[train\] rank is true; allowed is a whole number from 1"),
        (
            'name = "segments"',
            'name = "magic"',
            r"\[method\] name is \"magic\"; allowed is one of se",
        ),
        ('name = "segments"', 'name = "guidance"', r"\[method\] name is \"guidance\"; allowed"),
        ("steps = 4\n", "\n", r"\[method\] steps is missing, and name is 'segments'"),
        (
            'name = "fast 4"',
            'name = "fast 4"\nrank = 0',
            r"\[output\] rank is 0; allowed is .* 1 to",
        ),
        (
            'name = "fast 4"',
            'name = "fast 4"\nenergy = 1.5',
            r"\[output\] energy is 1.5; allowed is a number from 0.5 to 1",
        ),
        ('name = "fast 4"', 'name = "../x"', r"\[output\] name is \"../x\"; allowed is letters"),
        ("[output]", "[outputs]", r"\[outputs\] is \"outputs\"; allowed is one of model, data"),
        ("[output]", "[output", "is no TOML"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(tmp_path, before, after, complaint):
    assert before in WHOLE
    path = written(tmp_path, WHOLE.replace(before, after, 1))
    with pytest.raises(ValueError, match=complaint) as raised:
        read_config(path, STEPS)
    assert str(raised.value).startswith(str(path))


@pytest.mark.parametrize(
    ("before", "after", "complaint"),
    [
        ("cfg = 4", "cfg = 1", r"\[data\] cfg is 1, which is no guidance"),
        (
            'name = "guidance"',
            'name = "guidance"\nsteps = 4',
            r"steps is 4, and name is 'guidance'",
        ),
        ("count = 5", "", r"\[prompts\] count is 0; allowed is 1 or more for captions"),
        ('source = "demo"', "", r"\[prompts\] source is 'shipped', and \[model\] path is 'demo'"),
    ],
)
def test_what_does_not_go_with_the_demo_or_with_guidance(tmp_path, before, after, complaint):
    path = written(tmp_path, DEMO_FILE.replace(before, after, 1))
    with pytest.raises(ValueError, match=complaint):
        read_config(path, (GUIDANCE,))


def test_a_text_is_for_the_demo_model_too(tmp_path):
    text = DEMO_FILE.replace('source = "demo"', 'source = "text"\ntext = "a red circle"')
    assert read_config(written(tmp_path, text), (GUIDANCE,)).prompts.text == "a red circle"


def test_a_single_file_needs_a_folder_of_configs(tmp_path):
    (tmp_path / "mine.safetensors").write_bytes(b"")
    text = WHOLE.replace('path = "model"', 'path = "mine.safetensors"')
    with pytest.raises(ValueError, match=r"\[model\] config is missing, and path"):
        read_config(written(tmp_path, text), STEPS)
    both = text.replace('path = "mine', 'config = "model"\npath = "mine')
    assert read_config(written(tmp_path, both), STEPS).model.config == tmp_path / "model"
    other = both.replace('config = "model"', 'config = "."')
    with pytest.raises(ValueError, match=r"\[model\] config is .*, which has no model_index.json"):
        read_config(written(tmp_path, other), STEPS)


def test_a_lora_that_is_there_is_never_replaced(tmp_path):
    (tmp_path / "baked.safetensors").write_bytes(b"")
    with pytest.raises(ValueError, match=r"\[output\] name is 'baked', and .* is there already"):
        read_config(written(tmp_path, DEMO_FILE), (GUIDANCE,))


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(ValueError, match="nothing.toml is not there"):
        read_config(tmp_path / "nothing.toml", STEPS)


NAMES = {"is_sharded": "shard", "is_checkpointed": "checkpointing", "sizes": "size"}


def test_the_shipped_example_names_every_key():
    read_config(EXAMPLE, (GUIDANCE,))
    words = EXAMPLE.read_text(encoding="utf-8")
    for section in (Model, Prompts, Data, TrainOptions, Options, Method, Output):
        for key in section._fields:
            written = NAMES.get(key, key)
            assert f"{written} = " in words or key == "run", key

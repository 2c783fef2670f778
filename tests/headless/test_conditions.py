"""Prompts are encoded once, and again only when texts, size, format or text encoders change."""

import pytest
import torch
from safetensors.torch import load_file

from fewstep.distill.prompt_file import Prompt, shipped
from fewstep.headless.conditions import encoded, prompts_of, texts_of
from fewstep.headless.config import DEMO, Model, Prompts
from fewstep.headless.demo_source import demo_source
from fewstep.headless.pipeline import load_demo
from fewstep.headless.source import Source

CPU, SIZE = torch.device("cpu"), (64, 64)


class Counted:
    """A source whose every encoding counts."""

    def __init__(self, stamp="a"):
        self.calls = 0
        self.source = Source(stamp, self.encode, None)

    def encode(self, texts, size, device, dtype):
        self.calls += 1
        numbers = [[float(len(text)), float(ord(text[0]))] for text in texts]
        return {"states": torch.tensor(numbers, dtype=dtype)}


def test_the_same_is_read_from_disk(tmp_path):
    counted = Counted()
    arguments = counted.source, ["one", "a"], SIZE, tmp_path, CPU, torch.float32
    first, second = encoded(*arguments), encoded(*arguments)
    assert counted.calls == 1
    assert first["states"].tolist() == second["states"].tolist() == [[3.0, 111.0], [1.0, 97.0]]


@pytest.mark.parametrize(
    ("texts", "size", "dtype", "stamp"),
    [
        (["onea"], SIZE, torch.float32, "a"),
        (["a", "one"], SIZE, torch.float32, "a"),
        (["one", "a"], (64, 128), torch.float32, "a"),
        (["one", "a"], SIZE, torch.bfloat16, "a"),
        (["one", "a"], SIZE, torch.float32, "b"),
    ],
)
def test_another_is_encoded_anew(tmp_path, texts, size, dtype, stamp):
    encoded(Counted().source, ["one", "a"], SIZE, tmp_path, CPU, torch.float32)
    other = Counted(stamp)
    encoded(other.source, texts, size, tmp_path, CPU, dtype)
    assert other.calls == 1 and len(list(tmp_path.iterdir())) == 2


@torch.no_grad()
def test_captions_of_the_demo_are_told_as_its_pipeline_tells_them(tmp_path):
    texts = [*(prompt.text for prompt in prompts_of(Prompts("demo", count=70), seed=3)), ""]
    found = encoded(demo_source(Model(DEMO)), texts, SIZE, tmp_path, CPU, torch.float32)
    torch.testing.assert_close(found["states"], load_demo().encode(texts), rtol=1e-5, atol=1e-5)
    (file,) = tmp_path.iterdir()
    assert load_file(file)["states"].shape[0] == 71


def test_prompts_come_from_where_the_file_says(tmp_path):
    (tmp_path / "mine.txt").write_text("first\nsecond\nthird\n")
    of_file = Prompts("file", file=tmp_path / "mine.txt", count=2)
    assert prompts_of(of_file, 0) == [Prompt("first"), Prompt("second")]
    assert prompts_of(Prompts("text", text="one\ntwo"), 0) == [Prompt("one"), Prompt("two")]
    assert prompts_of(Prompts(), 0) == shipped()
    demo = [prompts_of(Prompts("demo", count=4), seed) for seed in (0, 0, 1)]
    assert demo[0] == demo[1] != demo[2] and len(demo[0]) == 4


def test_the_negative_stands_last_and_there_is_one():
    prompts = [Prompt("a"), Prompt("b", "blurry")]
    assert texts_of(prompts[:1], "") == ["a", ""]
    assert texts_of(prompts, "blurry") == ["a", "b", "blurry"]
    with pytest.raises(ValueError, match="prompts have 2 different negatives"):
        texts_of(prompts, "")
    with pytest.raises(ValueError, match="prompts have 2 different negatives"):
        texts_of(prompts[1:], "ugly")

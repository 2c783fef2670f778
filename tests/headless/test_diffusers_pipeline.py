"""A pipeline is what its files say: a folder, a network beside one, or a file with all of it."""

import pytest
import torch
from diffusers import EulerDiscreteScheduler, StableDiffusionPipeline
from safetensors.torch import save_file
from tiny_pipelines import save_sd
from tiny_unet import tiny_unet

from fewstep.headless import diffusers_pipeline
from fewstep.headless.diffusers_pipeline import load_pipeline
from fewstep.headless.evaluation_config import Model

PARTS = ("unet", "vae", "text_encoder")


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    return folder, save_sd(folder / "sd")


def load(path, config=None):
    return load_pipeline(
        Model("mine", path, config), "unet", EulerDiscreteScheduler(), 1.0, torch.float32
    )


def same(ours, theirs, parts=PARTS):
    for part in parts:
        found, expected = (getattr(one, part).state_dict() for one in (ours, theirs))
        assert found.keys() == expected.keys()
        assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_a_folder_is_loaded_whole_with_the_given_scheduler(saved):
    folder, pipeline = saved
    found = load(folder / "sd")
    same(found, pipeline)
    assert isinstance(found.scheduler, EulerDiscreteScheduler)


def test_a_network_alone_takes_the_place_of_the_folders(saved):
    folder, pipeline = saved
    other = tiny_unet()
    with torch.no_grad():
        other.conv_in.bias += 1.0
    save_file(other.state_dict(), folder / "network.safetensors")
    found = load(folder / "network.safetensors", folder / "sd")
    assert torch.equal(found.unet.conv_in.bias, other.conv_in.bias)
    same(found, pipeline, ("vae", "text_encoder"))


def test_a_file_with_more_than_a_network_is_loaded_whole(saved, monkeypatch):
    folder, pipeline = saved
    file = folder / "whole.safetensors"
    save_file({"cond_stage_model.a": torch.ones(1), "conv_in.weight": torch.ones(1)}, file)
    # diffusers itself looks for an architecture that no tiny checkpoint has
    taken = []
    monkeypatch.setattr(
        diffusers_pipeline, "from_file", lambda *given, **options: taken.append(given) or pipeline
    )
    assert load(file, folder / "sd") is pipeline
    assert taken == [(StableDiffusionPipeline, file, folder / "sd")]


def test_a_file_of_something_else_is_refused(saved, tmp_path):
    file = tmp_path / "mine.safetensors"
    save_file({"something.else": torch.ones(2)}, file)
    with pytest.raises(ValueError, match=r"\[model\] path .* and \[model\] config .* do not go"):
        load(file, saved[0] / "sd")

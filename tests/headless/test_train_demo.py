"""train-demo goes through its stages, and goes on where it was cut off."""

import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from fewstep.demo import train, train_autoencoder, train_flow_teacher, train_teacher, weights

NETWORKS = ("vae", "text_encoder", "unet", "flow_transformer")


@pytest.fixture(autouse=True)
def little_work(monkeypatch):
    """Few iterations of few pictures, since bfloat16 is slow on many a CPU."""
    for module, name, value in (
        (train, "PICTURES", 8),
        (train, "TEACHER_LEGS", (2, 1)),
        (train, "FLOW_TEACHER_LEGS", (2, 1)),
        (train_autoencoder, "PICTURES", 8),
        (train_autoencoder, "BATCH", 2),
        (train_autoencoder, "ITERATIONS", 1),
        (train_autoencoder, "POLISH_ITERATIONS", 1),
        (train_teacher, "READING_ITERATIONS", 1),
        (train_teacher, "BATCH", 4),
        (train_flow_teacher, "BATCH", 4),
    ):
        monkeypatch.setattr(module, name, value)


def state(path):
    (file,) = path.glob("*.safetensors")
    return load_file(file)


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


def test_a_leg_that_was_lost_is_made_again_exactly_and_nothing_else_is(tmp_path, capsys):
    assert train.main([str(tmp_path)]) == 0
    weights = tmp_path / "weights"
    first = {part: state(weights / part) for part in NETWORKS}
    # a leg that starts from a folder remembers its path, which nobody else shall read
    assert str(tmp_path) not in (weights / "unet" / "config.json").read_text()
    assert not same(state(tmp_path / "unet_after_leg_1"), first["unet"])
    assert not same(state(tmp_path / "flow_transformer_after_leg_1"), first["flow_transformer"])
    assert all(tensor.dtype == torch.float16 for part in first.values() for tensor in part.values())

    shutil.rmtree(weights / "unet")
    shutil.rmtree(weights / "flow_transformer")
    capsys.readouterr()
    assert train.main([str(tmp_path)]) == 0
    said = capsys.readouterr().err
    assert "\nteacher 0/1 " in "\n" + said and "flow teacher 0/1 " in said
    assert not any(word in said for word in ("teacher 0/2 ", "autoencoder", "reading"))
    assert same(state(weights / "unet"), first["unet"])
    assert same(state(weights / "flow_transformer"), first["flow_transformer"])


def test_each_leg_of_the_flow_teacher_goes_on_from_the_one_before(tmp_path, monkeypatch):
    (tmp_path / "weights").mkdir()
    for part in ("vae", "text_encoder", "unet"):
        (tmp_path / "weights" / part).symlink_to(weights.FOLDER / part)
    save_file({"latents": torch.zeros(8, 4, 16, 16)}, tmp_path / "latents.safetensors")
    begun = []

    def raise_bias(transformer, *_, iterations, seed, checkpoint, **__):
        begun.append((transformer.proj_out.bias[0].item(), iterations, seed, checkpoint))
        torch.nn.init.constant_(transformer.proj_out.bias, len(begun))
        return transformer

    monkeypatch.setattr(train, "train_flow_teacher", raise_bias)
    assert train.main([str(tmp_path)]) == 0
    biases, iterations, seeds, checkpoints = zip(*begun, strict=True)
    assert biases == (0.0, 1.0) and iterations == train.FLOW_TEACHER_LEGS
    assert len(set(seeds)) == len(set(checkpoints)) == 2
    assert state(tmp_path / "weights" / "flow_transformer")["proj_out.bias"][0] == 2.0


def test_no_folder_is_refused(capsys):
    assert train.main([]) == 2
    assert "needs one folder" in capsys.readouterr().err

"""What is written on a disk that takes no more leaves what was there."""

import pytest
import torch
from full_disk import on_a_full_disk
from linear_method import method, options

from fewstep.distill.run import run
from fewstep.distill.shards import Shards
from fewstep.distill.training import Training
from fewstep.evaluate.picture_set import write_whole
from fewstep.lora.save import save


def training():
    torch.set_num_threads(1)
    return Training(method(), options(checkpoint_every=2))


def test_a_file_that_does_not_fit_is_an_error_and_leaves_what_was_there(tmp_path):
    path = tmp_path / "mine.safetensors"
    save(path, {"x": torch.zeros(3)}, {})
    before = path.read_bytes()
    act = lambda: save(path, {"x": torch.zeros(5000)}, {}, overwrite=True)
    told = on_a_full_disk(10_000, act)
    assert told.startswith(f"OSError: {path} could not be written: ")
    assert "Free some of the disk" in told
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


def test_a_training_keeps_its_last_checkpoint_and_goes_on_from_it(tmp_path):
    whole = run(training(), tmp_path / "whole", {})

    def interrupted(training, losses, meters):
        if training.i == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(training(), tmp_path / "full", {}, on_step=interrupted)
    told = on_a_full_disk(1000, lambda: run(training(), tmp_path / "full", {}))
    assert told.startswith("OSError: ") and "checkpoint.safetensors could not be written" in told
    seen = []
    on_step = lambda training, *_: seen.append(training.i)
    again = run(training(), tmp_path / "full", {}, on_step=on_step)
    assert seen[0] == 5 and torch.equal(again.lora.weight, whole.lora.weight)


def test_shards_that_fitted_are_kept_and_gone_on_with(tmp_path):
    def shards():
        return Shards(tmp_path, "numbers", {"rows": [0, 1]}, 2, per_file=1)

    shards().write(range(1), {"x": torch.zeros(1, 10)})
    act = lambda: shards().write(range(1, 2), {"x": torch.zeros(1, 5000)})
    assert on_a_full_disk(10_000, act).startswith("OSError: ")
    assert list(shards().missing()) == [range(1, 2)]
    shards().write(range(1, 2), {"x": torch.zeros(1, 5000)})
    shards().check()


def test_a_picture_of_a_set_that_does_not_fit_leaves_what_was_there(tmp_path):
    path = tmp_path / "00000.png"
    write_whole(path, b"before")
    told = on_a_full_disk(1000, write_whole, path, b"x" * 2000)
    assert told.startswith("OSError:") and "nothing that was there is lost" in told
    assert path.read_bytes() == b"before" and list(tmp_path.iterdir()) == [path]

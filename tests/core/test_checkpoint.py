import json

import pytest
import torch
from linear_method import method, options
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import nn

from fewstep.distill import checkpoint
from fewstep.distill.training import Training

RUN = {"method": "segments", "options": {"batch": 12}, "sigmas": (3.0, 1.0, 0.0)}


def begun(iterations, second=True):
    training = Training(method(second=second), options())
    for _ in range(iterations):
        training.step()
    return training


def states(training):
    learners = [turn.learner for turn in training.method.turns]
    return [p.detach() for m in (*learners, training.method.average) for p in m.parameters()]


def test_a_run_goes_on_bit_for_bit_where_its_checkpoint_was(tmp_path):
    whole = begun(9)
    checkpoint.write(tmp_path, begun(5), RUN, {"best_at": None}, {})
    resumed = begun(0)
    assert checkpoint.restore(tmp_path, resumed, RUN, {}) == {"best_at": None}
    assert resumed.i == 5
    for _ in range(4):
        resumed.step()
    assert all(torch.equal(a, b) for a, b in zip(states(whole), states(resumed), strict=True))
    assert resumed.losses == whole.losses


def test_other_modules_come_back_too(tmp_path):
    best, other = nn.Linear(2, 2), nn.Linear(2, 2)
    checkpoint.write(tmp_path, begun(1), RUN, {}, {"best": best})
    checkpoint.restore(tmp_path, begun(0), RUN, {"best": other})
    assert torch.equal(best.weight, other.weight)


def test_without_a_checkpoint_nothing_changes(tmp_path):
    training = begun(2)
    before = [state.clone() for state in states(training)]
    assert checkpoint.restore(tmp_path, training, RUN, {}) is None
    assert all(torch.equal(a, b) for a, b in zip(before, states(training), strict=True))


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"method": "endpoint"}, 'a run with method "segments", and now it is "endpoint"'),
        ({"sigmas": (3.0, 0.0)}, r"with sigmas \[3.0, 1.0, 0.0\], and now it is \[3.0, 0.0\]"),
        ({"new": 1}, "with new null, and now it is 1"),
    ],
)
def test_a_checkpoint_of_another_run_is_refused(tmp_path, changed, said):
    checkpoint.write(tmp_path, begun(1), RUN, {}, {})
    with pytest.raises(ValueError, match=said):
        checkpoint.restore(tmp_path, begun(0), RUN | changed, {})


def test_a_checkpoint_of_an_older_format_is_refused_and_kept(tmp_path):
    checkpoint.write(tmp_path, begun(1), RUN, {}, {})
    path = tmp_path / checkpoint.FILE
    head = json.loads(safe_open(path, "pt").metadata()[checkpoint.KEY])
    save_file(load_file(path), path, {checkpoint.KEY: json.dumps({**head, "version": 0})})
    before = path.read_bytes()
    with pytest.raises(ValueError, match="checkpoint of version 0, and this FewStep reads"):
        checkpoint.restore(tmp_path, begun(0), RUN, {})
    assert path.read_bytes() == before


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"\x00" * 64])
def test_a_file_that_is_no_checkpoint_is_refused(tmp_path, content):
    (tmp_path / checkpoint.FILE).write_bytes(content)
    with pytest.raises(ValueError, match="cannot be read: .*Delete it to begin anew"):
        checkpoint.restore(tmp_path, begun(0), RUN, {})


def test_a_safetensors_file_of_something_else_is_refused(tmp_path):
    save_file({"x": torch.ones(1)}, tmp_path / checkpoint.FILE)
    with pytest.raises(ValueError, match="cannot be read"):
        checkpoint.restore(tmp_path, begun(0), RUN, {})


def test_weights_that_are_no_numbers_never_replace_a_good_checkpoint(tmp_path):
    training = begun(3)
    checkpoint.write(tmp_path, training, RUN, {}, {})
    before = (tmp_path / checkpoint.FILE).read_bytes()
    training.method.student.weight.data[0, 0] = float("nan")
    with pytest.raises(ValueError, match="NaN or infinite"):
        checkpoint.write(tmp_path, training, RUN, {}, {})
    assert (tmp_path / checkpoint.FILE).read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == [checkpoint.FILE]

"""The state of a run on disk: whole or not there, and gone on with bit for bit."""

import json
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import nn

from ..lora.save import save
from .shards import shortened
from .training import Training

VERSION = 1
FILE = "checkpoint.safetensors"
KEY = "fewstep.checkpoint"

Modules = Mapping[str, nn.Module]


def write(folder: Path, training: Training, run: dict, notes: dict, others: Modules) -> None:
    """Save weights, average, optimizers, random state and losses; replaces the one before.

    Args:
        run: what the run is of, as JSON (method, options, fingerprints); `restore` compares it.
        notes: what else is to be remembered, as JSON.
        others: modules besides the training's, by name.

    Raises:
        ValueError: a weight is NaN or infinite; what was there before stays.
        OSError: the disk is full, or the folder cannot be written to.
    """
    folder.mkdir(parents=True, exist_ok=True)
    head = {"version": VERSION, "run": run, "i": training.i, "notes": notes}
    save(folder / FILE, _tensors(training, others), {KEY: json.dumps(head)}, overwrite=True)


def done(folder: Path, run: dict) -> int | None:
    """How many iterations the checkpoint of a run has behind it; None where there is none.

    Raises:
        ValueError: the checkpoint cannot be read, is of another run or of another FewStep.
    """
    path = folder / FILE
    return _head(path, run)["i"] if path.exists() else None


def restore(folder: Path, training: Training, run: dict, others: Modules) -> dict | None:
    """Bring a new run to where the checkpoint of the same run was.

    Returns:
        the notes; None where there is no checkpoint, and nothing has changed.

    Raises:
        ValueError: the checkpoint cannot be read, is of another run or of another FewStep.
    """
    path = folder / FILE
    if not path.exists():
        return None
    head = _head(path, run)
    with safe_open(path, framework="pt") as file:
        # copies, so that nothing holds on to a file that is to be replaced
        tensors = {name: file.get_tensor(name).clone() for name in file.keys()}
    _load(training, others, tensors)
    training.i = head["i"]
    return head["notes"]


def size(training: Training) -> int:
    """Bytes of a checkpoint, about: weights and two moments of all that learns, two averages."""
    counts = [_numbers(turn.learner) for turn in training.method.turns]
    return 4 * (3 * sum(counts) + 2 * _numbers(training.method.student))


def _numbers(module):
    return sum(parameter.numel() for parameter in module.parameters())


def _head(path, run):
    try:
        with safe_open(path, framework="pt") as file:
            head = json.loads((file.metadata() or {})[KEY])
    except (OSError, KeyError, ValueError, SafetensorError) as error:
        raise ValueError(f"{path} cannot be read: {error}. Delete it to begin anew.") from error
    _check(path, head, run)
    return head


def _check(path, head, run):
    if head.get("version") != VERSION:
        raise ValueError(
            f"{path} is a checkpoint of version {head.get('version')}, and this FewStep reads "
            f"version {VERSION}. Finish it with the FewStep that began it, or delete it."
        )
    # as it reads back: tuples are lists in JSON
    run = json.loads(json.dumps(run))
    for field in {**run, **head["run"]}:
        if head["run"].get(field) != run.get(field):
            raise ValueError(
                f"{path} is of a run with {field} {shortened(head['run'].get(field))}, and now it "
                f"is {shortened(run.get(field))}. Choose another name for this run, or set it as "
                "it was."
            )


def _tensors(training, others):
    found = {"generator": training.generator.get_state()}
    for name, module in _modules(training, others).items():
        found |= {f"{name}.{key}": value for key, value in module.state_dict().items()}
    for name, optimizer in training.optimizers.items():
        for number, state in optimizer.state_dict()["state"].items():
            found |= {f"optimizer.{name}.{number}.{key}": v for key, v in state.items()}
    for name, losses in training.losses.items():
        found[f"losses.{name}"] = torch.tensor(losses, dtype=torch.float64)
    return {name: tensor.detach().cpu().clone() for name, tensor in found.items()}


def _load(training, others, tensors):
    training.generator.set_state(tensors.pop("generator"))
    for name, module in _modules(training, others).items():
        module.load_state_dict(_under(tensors, name))
    for name, optimizer in training.optimizers.items():
        states = {}
        for key, value in _under(tensors, f"optimizer.{name}").items():
            number, part = key.split(".", 1)
            states.setdefault(int(number), {})[part] = value
        optimizer.load_state_dict({**optimizer.state_dict(), "state": states})
    for name in training.losses:
        training.losses[name] = tensors[f"losses.{name}"].tolist()


def _modules(training, others):
    learners = {f"learner.{turn.name}": turn.learner for turn in training.method.turns}
    return {**others, **learners, "average": training.method.average}


def _under(tensors, name):
    prefix = f"{name}."
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}

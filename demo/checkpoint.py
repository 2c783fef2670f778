"""A training run's state on disk, so that one that was cut off goes on exactly where it was."""

from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file


def save_checkpoint(path: Path, networks: dict, optimizers: dict, done: int) -> None:
    """Write the state of a run; a file that is there stays whole until the new one is.

    Args:
        networks: modules by name; their tensors are called `name.key`.
        optimizers: by name, none of them a network's; their state is tensors alone, as those of
            AdamW and Muon are.
        done: iterations behind it.
    """
    tensors = {
        f"{name}.{key}": value
        for name, network in networks.items()
        for key, value in network.state_dict().items()
    }
    for name, optimizer in optimizers.items():
        for number, state in optimizer.state_dict()["state"].items():
            tensors |= {f"{name}.{number}.{key}": value for key, value in state.items()}
    scratch = path.with_name(path.name + ".unfinished")
    save_file(tensors, scratch, metadata={"done": str(done)})
    scratch.replace(path)


def load_checkpoint(path: Path, networks: dict, optimizers: dict) -> int:
    """Put a saved state into networks and optimizers like those it was saved from.

    Returns:
        iterations behind it; 0, with nothing changed, if there is no such file.
    """
    if not path.exists():
        return 0
    with safe_open(path, framework="pt") as file:
        tensors = {key: file.get_tensor(key) for key in file.keys()}
        done = int(file.metadata()["done"])
    for name, network in networks.items():
        network.load_state_dict(_below(tensors, name))
    for name, optimizer in optimizers.items():
        state: dict[int, dict[str, torch.Tensor]] = {}
        for key, value in _below(tensors, name).items():
            number, entry = key.split(".")
            state.setdefault(int(number), {})[entry] = value
        optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
    return done


def _below(tensors, name):
    prefix = name + "."
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}

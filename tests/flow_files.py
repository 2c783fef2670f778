"""A demo model folder whose flow teacher has random weights, all of them in use."""

import importlib
from pathlib import Path

import torch


def random_flow_transformer(seed: int = 1):
    """The demo's flow transformer; its gates are open, which in a new one are not."""
    transformer = importlib.import_module("fewstep.demo.architecture").new_flow_transformer()
    generator = torch.Generator().manual_seed(seed)
    for parameter in transformer.parameters():
        width = parameter.shape[-1] if parameter.ndim > 1 else 16
        torch.nn.init.normal_(parameter, std=width**-0.5, generator=generator)
    return transformer.requires_grad_(False)


def write_flow_model(folder: Path, shipped: Path, part: str) -> None:
    """The shipped parts, and the random transformer in float16 as `part`."""
    for path in shipped.iterdir():
        if path.name != part:
            (folder / path.name).symlink_to(path)
    random_flow_transformer().half().save_pretrained(folder / part)

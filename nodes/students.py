"""A trained student's LoRA, as ComfyUI knows it."""

import hashlib
from pathlib import Path

import torch

from ..distill.lora import Lora
from ..lora.convert import write_layers
from ..lora.layers import layers_of
from ..lora.resize import resize
from ..lora.save import file_metadata, save
from ..lora.targets import Module
from ..recipes.own import describe
from ..recipes.recipe import Recipe

COMPONENT = "unet"


def tensors_of(lora: Lora) -> dict[str, torch.Tensor]:
    """LORA_MODEL: the tensors of a LoRA as ComfyUI's own trainer names them."""
    return write_layers(lora.layers(COMPONENT), "comfyui", {COMPONENT: list(lora.paths)})[0]


def lora_of(tensors: dict[str, torch.Tensor], layers, device) -> Lora:
    """A LORA_MODEL as a change of these layers, frozen.

    Raises:
        ValueError: a tensor belongs to none of the layers, or is of no LoRA.
    """
    found = {place.module: layer for place, layer in layers_of(tensors).items()}
    if unknown := sorted(set(found) - set(layers)):
        raise ValueError(
            f"base_lora changes {unknown[0]!r}, which is not among the {len(layers)} layers to "
            "train. Connect a LoRA that FewStep trained for this model, with the same layers."
        )
    return Lora.of(found).to(device).requires_grad_(False)


def narrowed(
    tensors: dict[str, torch.Tensor], *, rank: int | None = None, energy: float | None = None
) -> tuple[dict[str, torch.Tensor], str]:
    """The nearest LORA_MODEL of a rank, or that keeps so much, and what it keeps, in words.

    Args:
        rank, energy: one of them, as of `lora.resize.resize`.

    Raises:
        ValueError: NaN or infinity; the LORA_MODEL is more than a plain LoRA.
    """
    layers = {place.module: layer for place, layer in layers_of(tensors).items()}
    found = resize(layers, rank=rank, energy=energy)
    modules = {Module(COMPONENT, path): layer for path, layer in found.layers.items()}
    made, _ = write_layers(modules, "comfyui", {COMPONENT: list(layers)})
    return made, found.said


def save_lora(path: Path, tensors: dict[str, torch.Tensor], recipe: Recipe, **options) -> None:
    """Save a LORA_MODEL with its recipe; options and errors as of `lora.save.save`."""
    metadata = file_metadata(describe(recipe), layers_of(tensors).values())
    save(path, tensors, metadata, **options)


def digest(tensors: dict[str, torch.Tensor]) -> str:
    """Equal for equal LORA_MODELs."""
    found = hashlib.sha256()
    for name in sorted(tensors):
        found.update(name.encode())
        found.update(tensors[name].float().cpu().contiguous().numpy().tobytes())
    return found.hexdigest()

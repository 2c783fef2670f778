"""What a trained student is: its LoRA as core knows it, and the recipe it wants."""

import hashlib
from typing import NamedTuple

import torch

from ..distill.lora import Lora
from ..lora.convert import write_layers
from ..lora.layers import layers_of
from ..recipes.own import UNNAMED
from ..recipes.recipe import Guidance, Recipe, Sampler, Schedule, Steps
from .host import applied, patching
from .host.sampling import sampling_of

GUIDANCE_FAMILY, STEPS_FAMILY = "guidance", "fewstep"
COMPONENT = "unet"


class Kind(NamedTuple):
    """What a student can do: its title, family, and the counts of steps it was trained for."""

    title: str
    family: str
    steps: tuple[int, ...]


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


def digest(tensors: dict[str, torch.Tensor]) -> str:
    """Equal for equal LORA_MODELs."""
    found = hashlib.sha256()
    for name in sorted(tensors):
        found.update(name.encode())
        found.update(tensors[name].float().cpu().contiguous().numpy().tobytes())
    return found.hexdigest()


def recipe_of_student(model, kind: Kind) -> Recipe:
    """The recipe of a student of a MODEL: Euler on trailing levels at cfg 1."""
    sampling = sampling_of(model)
    prediction = patching.prediction_of(sampling)
    steps = kind.steps
    return Recipe(
        id=UNNAMED,
        family=kind.family,
        title=kind.title,
        base=applied.base_of(model) or "unknown",
        kind="lora",
        names=(),
        examples=(),
        sha256=(),
        metadata={},
        structure=(),
        steps=Steps(steps[-1], steps, min(steps), max(steps)),
        guidance=Guidance("cfg", 1.0, 1.0, 1.0),
        negative_works=False,
        prediction=prediction,
        sampler=Sampler("euler"),
        schedule=Schedule(spacing="trailing"),
        shift=patching.shift_of(sampling) if prediction == "flow" else None,
        start="unit variance",
        strength=1.0,
        stage=None,
        bad=(),
        licence="that of its teacher",
        sources=("trained with FewStep",),
        verified=True,
        how_verified="Its trainer wrote it.",
    )

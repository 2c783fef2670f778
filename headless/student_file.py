"""The LoRA file of a student: written with its recipe, read as what another begins from."""

from pathlib import Path

from safetensors import safe_open

from ..distill.lora import Lora, joined
from ..lora.convert import write_layers
from ..lora.layers import layers_of
from ..lora.resize import resize
from ..lora.save import file_metadata, save
from ..lora.targets import resolve, spellings
from ..recipes.own import describe
from ..recipes.recipe import Recipe
from .families import Family, family_of


def write_student(
    path: Path,
    lora: Lora,
    family: Family,
    recipe: Recipe,
    teacher: str,
    *,
    rank: int | None = None,
    energy: float | None = None,
    overwrite=False,
) -> str:
    """Save a LoRA with what it needs, under names that every loader of such networks reads.

    Args:
        teacher: what it was distilled from.
        rank: the highest of any layer in the file, which is then the nearest such LoRA.
        energy: share to keep of each layer, of what rank has left, as of `resize`; without either
            the LoRA is as it is.

    Returns:
        what is kept of one that is made smaller, in words; "" of one that is not.

    Raises:
        ValueError: the file is there already and overwrite is off, or a number is NaN or infinite.
        OSError: the disk is full or the folder cannot be written to.
    """
    # its alphas are its ranks, which is what a file without alphas means
    layers = joined([lora]).layers(family.component)
    said = []
    for smaller in ({"rank": rank}, {"energy": energy}):
        if None not in smaller.values():
            resized = resize(layers, **smaller)
            layers = resized.layers
            said.append(resized.said)
    names = {family.component: list(lora.paths)}
    tensors, metadata = write_layers(layers, family.dialect, names)
    entry = describe(recipe, teacher=teacher)
    path.parent.mkdir(parents=True, exist_ok=True)
    save(
        path,
        tensors,
        file_metadata(entry, layers_of(tensors).values(), metadata),
        overwrite=overwrite,
    )
    return "; ".join(said)


def read_student(path: Path, network) -> Lora:
    """A LoRA file as a frozen change of a network's layers.

    Args:
        network: a DiffusersNetwork.

    Raises:
        ValueError: the file cannot be read, is of another network, or is more than a plain LoRA.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}
    except Exception as error:
        raise ValueError(f"[method] base_lora {str(path)!r} cannot be read: {error}.") from error
    component = family_of(network.model).component
    read, _ = spellings({component: list(network.hooks.layers)}, {})
    found = resolve(layers_of(tensors, metadata), read)
    lora = Lora.of({module.path: layer for module, layer in found.items()})
    return lora.requires_grad_(False)

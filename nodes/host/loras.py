"""LoRA files on a MODEL, through the core's own patches."""

from pathlib import Path
from typing import NamedTuple

import comfy.lora
import comfy.utils
import torch

from ...guidance.embedded import COND_PROJ, WIDTH
from ...lora.adapter_config import ADAPTER_METADATA
from ...lora.convert import convert
from ...lora.coverage import Coverage, coverage
from ...lora.dialects import split_key
from ...lora.header import Header
from ...lora.layers import check_finite
from ...lora.targets import Module
from .told_lora import BESIDE, NAMES, brings_projection, with_told_lora
from .w_embedding import time_width

NETWORK = "diffusion_model."
COMPONENT = "unet"
# tensors of a file that are looked at before it is used, and how many numbers of each
SAMPLES, NUMBERS = 3, 4096


class Places(NamedTuple):
    """Where a MODEL can be changed; a place is a weight, or a part of one that files name."""

    shapes: dict[str, tuple[int, ...]]  # [out, in, ...] by place
    aliases: dict[str, Module]  # the names files have for a place
    keys: dict[str, str | tuple]  # what the core calls a place

    @property
    def targets(self) -> dict[str, dict[str, tuple[int, ...]]]:
        return {COMPONENT: self.shapes}


def places_of(model, header: Header) -> Places:
    """The places of a MODEL's network that a file may name, by the core's list of LoRA names."""
    weights = dict(model.model.named_parameters())
    places, modules = Places({}, {}, {}), {}
    known = comfy.lora.model_lora_keys_unet(model.model, {})
    stems = {split[0] for split in map(split_key, header.tensors) if split}
    # a file whose every name is in the list needs no other; SDXL's has 7,000
    names = stems if stems <= known.keys() else known
    for name in names:
        key = known[name]
        if key not in modules:
            modules[key] = _add(places, key, weights)
        if modules[key] is not None:
            places.aliases[name] = modules[key]
    if brings_projection(stems, model):
        _add_projection(places, model)
    return places


def _add_projection(places, model):
    place = Module(COMPONENT, COND_PROJ)
    places.shapes[COND_PROJ], places.keys[COND_PROJ] = (time_width(model), WIDTH), BESIDE
    places.aliases.update(dict.fromkeys(NAMES, place))


def _add(places, key, weights):
    # a key of the core's is a weight, or (weight, part of it or None, what to do to the change)
    whole, *cut = (key,) if isinstance(key, str) else key
    if whole not in weights:
        return None
    place = whole.removeprefix(NETWORK).removesuffix(".weight")
    shape = tuple(weights[whole].shape)
    if cut and cut[0]:
        dim, start, length = cut[0]
        place += f"[{dim}:{start}:{start + length}]"
        shape = (*shape[:dim], length, *shape[dim + 1 :])
    places.shapes[place], places.keys[place] = shape, key
    return Module(COMPONENT, place)


class Fit(NamedTuple):
    """How a LoRA file and a MODEL go together; metadata are the file's."""

    coverage: Coverage
    places: Places
    metadata: dict[str, str]


def fit_of(header: Header, model) -> Fit:
    """How much of a LoRA file fits a MODEL, and where."""
    places = places_of(model, header)
    found = coverage(header.tensors, places.targets, aliases=places.aliases)
    return Fit(found, places, header.metadata)


def with_lora(model, path: Path, fit: Fit, strength: float, guidance: float = 1.0):
    """A copy of a MODEL with the matching layers of a file added at this strength.

    Args:
        guidance: what a network is told that has its input for guidance from the file; cfg_scale.

    Raises:
        ValueError: numbers are not finite, or tensors do not fit together.
    """
    found, places, metadata = fit
    tensors = comfy.utils.load_torch_file(str(path), safe_load=True)
    matching = [layer for layer in found.layers if layer.status == "matched"]
    _check_samples(tensors, path.name)
    has_config = ADAPTER_METADATA in metadata
    model = model.clone()
    told = [layer for layer in matching if places.keys[layer.module] == BESIDE]
    if told:
        matching = [layer for layer in matching if layer not in told]
        model = with_told_lora(model, _tensors_of(told, tensors), strength, guidance)
    loaded = {}
    plain = [layer for layer in matching if _is_plain(layer, places, has_config)]
    keys = {layer.stem: places.keys[layer.module] for layer in plain}
    loaded |= comfy.lora.load_lora(_tensors_of(plain, tensors), keys)
    others = [layer for layer in matching if layer.stem not in keys]
    if others:
        converted, _ = convert(
            _tensors_of(others, tensors),
            "comfyui",
            places.targets,
            metadata,
            aliases=places.aliases,
        )
        keys = {NETWORK + layer.module: places.keys[layer.module] for layer in others}
        loaded |= comfy.lora.load_lora(converted, keys)
    model.add_patches(loaded, strength)
    return model


def _is_plain(layer, places, has_config):
    """Whether the core reads a layer in full: its name, its alpha, its kind of DoRA."""
    return layer.stem in places.aliases and not has_config and "magnitude" not in layer.tensors


def _tensors_of(layers, tensors):
    return {name: tensors[name] for layer in layers for name in layer.tensors.values()}


def _check_samples(tensors, name):
    """Every alpha, and of other tensors a few: a training that diverged leaves no number in any."""
    alphas = [tensor.reshape(-1).float() for tensor in tensors.values() if tensor.numel() == 1]
    if alphas:
        check_finite(torch.cat(alphas), f"{name}: alpha")
    for key in list(tensors)[:: max(len(tensors) // SAMPLES, 1)]:
        check_finite(tensors[key].reshape(-1)[:NUMBERS], f"{name}: {key}")

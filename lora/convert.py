"""Write a LoRA of any dialect in any other without loss."""

from collections.abc import Iterable, Mapping

import torch

from . import dialects
from .adapter_config import ADAPTER_METADATA, adapter_config, adapter_metadata
from .dialects import DIALECTS, WRITTEN, Key
from .layers import Layer, Tensors, layers_of
from .targets import Module, only, resolve, spellings


def convert(
    state_dict: Tensors,
    to: str,
    targets: Mapping[str, Iterable[str]],
    metadata: Mapping[str, str] | None = None,
    names: Mapping[str, str] | None = None,
    aliases: Mapping[str, Module] | None = None,
) -> tuple[Tensors, dict[str, str]]:
    """Write a LoRA in another dialect; tensors keep their values, dtype and device.

    Args:
        to: one of `dialects.DIALECTS`.
        targets: dotted paths of the model's modules, by component: "unet" or "transformer", "te"
            (a model with one text encoder), "te1", "te2", "te3". kohya's underscores can only be
            read against them. The component is written as it stands here.
        metadata: the file's header metadata.
        names: diffusers' weight names to ComfyUI's (comfy.utils.unet_to_diffusers), where the
            targets are diffusers' and keys of ComfyUI or LDM are read or written.
        aliases: other names that files have for modules; see `targets.spellings`.

    Returns:
        The tensors, and the metadata to save with them. ADAPTER_METADATA is there where the
        dialect has no alpha tensors and some layer an alpha; layers without get their rank.

    Raises:
        ValueError: as `layers_of` and `dialects.write_key`; or a key names no module of the
            targets, or two of them; or PEFT cannot express a layer's DoRA.
    """
    _check_dialect(to)
    read, write = spellings(targets, names or {}, aliases or {})
    found = resolve(layers_of(state_dict, metadata), read)
    kept = {key: text for key, text in (metadata or {}).items() if key != ADAPTER_METADATA}
    written, entries = _written(found, to, read, write)
    return written, kept | entries


def write_layers(
    layers: Mapping[Module, Layer],
    to: str,
    targets: Mapping[str, Iterable[str]],
    names: Mapping[str, str] | None = None,
) -> tuple[Tensors, dict[str, str]]:
    """Write layers that are of no file yet; arguments, returns and errors as of `convert`."""
    _check_dialect(to)
    return _written(layers, to, *spellings(targets, names or {}))


def _check_dialect(to):
    if to not in DIALECTS:
        raise ValueError(f"to is {to!r}; allowed is one of {', '.join(DIALECTS)}.")


def _written(layers, to, read, write):
    written = {}
    for module, layer in layers.items():
        spelled = _spelled(module, to, read, write)
        for part, tensor in _written_parts(layer, to, module.path).items():
            written[dialects.write_key(Key(to, module.component, spelled, part))] = tensor
    return written, {} if "alpha" in WRITTEN[to] else _metadata(layers, to)


def _spelled(module, to, read, write):
    spelled = write[to, module]
    if spelled is None:
        raise ValueError(
            f"names has no entry for {module.path!r}, so ComfyUI's name of it is unknown; "
            "ComfyUI does not have this layer. Leave it out or convert to diffusers."
        )
    only(read[module.role, to, spelled], spelled)
    return spelled


def _written_parts(layer, to, path):
    parts = {"down": layer.down, "up": layer.up, "mid": layer.mid}
    if "alpha" in WRITTEN[to]:
        parts["dora_scale"] = layer.dora_scale
        if layer.alpha is not None:
            alpha = torch.tensor(layer.alpha, dtype=torch.float64)
            # float64 only where float32 would change the value
            parts["alpha"] = alpha.float() if alpha.float() == alpha else alpha
    elif layer.dora_scale is not None:
        parts["magnitude"] = _magnitude(layer, path)
    parts |= {"diff": layer.diff, "diff_b": layer.diff_b, **layer.others}
    return {part: tensor for part, tensor in parts.items() if tensor is not None}


def _magnitude(layer, path):
    scale = layer.dora_scale
    if layer.up is None or scale.shape != (len(layer.up), *[1] * (layer.down.ndim - 1)):
        raise ValueError(
            f"dora_scale of {path!r} is {list(scale.shape)}; PEFT has DoRA over a LoRA's outputs "
            "alone. Convert to kohya or comfyui."
        )
    return scale.reshape(-1) if layer.down.ndim == 2 else scale.transpose(0, 1)


def _metadata(layers, to):
    configs = {}
    for component in sorted({module.component for module in layers}):
        own = {m.path: layer for m, layer in layers.items() if m.component == component}
        has_dora = {layer.dora_scale is not None for layer in own.values()}
        if len(has_dora) > 1:
            raise ValueError(
                f"some layers of {component} have DoRA and some do not; PEFT has it for all of a "
                "model or none. Convert to kohya or comfyui."
            )
        if any(layer.alpha is not None for layer in own.values()):
            configs[component] = adapter_config(
                {path: y.rank for path, y in own.items()},
                {path: y.rank if y.alpha is None else y.alpha for path, y in own.items()},
                use_dora=has_dora == {True},
                lora_bias=any("up_bias" in y.others for y in own.values()),
            )
    return adapter_metadata(configs, to)

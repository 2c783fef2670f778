"""How much of a LoRA finds its place in a model, and what it means where not all of it does."""

import math
import re
from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import NamedTuple

from .dialects import Key, parse_key
from .header import TensorInfo
from .targets import find, spellings

# parts that say nothing of the shape of the weight they change
SIDE_PARTS = ("alpha", "dora_scale", "magnitude", "up_bias", "reshape_weight")


class Layer(NamedTuple):
    """One module that the file changes; rank is None where it is not a product of two factors."""

    module: str  # as the model spells it, or as the file does where the model has none
    status: str  # "matched", "unmatched", "ambiguous" or "wrong shape"
    rank: int | None
    dtype: str  # of the larger factor, as the file spells it
    has_alpha: bool


class Coverage(NamedTuple):
    """verdict is whole, partial, other network or none; reasons are sentences for people."""

    verdict: str
    layers: tuple[Layer, ...]
    unknown_keys: tuple[str, ...]  # of no LoRA dialect
    reasons: tuple[str, ...]

    def blocks(self) -> dict[str, Counter]:
        """How many layers of each block have which status."""
        counts = defaultdict(Counter)
        for layer in self.layers:
            counts[block_of(layer.module)][layer.status] += 1
        return dict(counts)


def coverage(
    keys: Mapping[str, TensorInfo],
    targets: Mapping[str, Mapping[str, tuple[int, ...]]],
    names: Mapping[str, str] | None = None,
) -> Coverage:
    """Compare a LoRA's tensors with a model's weights, by name and shape alone.

    Args:
        keys: the file's tensors, as `header.read_header` gives them.
        targets: shape of each module's weight, [out, in, ...], by component and dotted path.
        names: diffusers' weight names to ComfyUI's, where the targets are diffusers'.

    Raises:
        ValueError: a component of the targets is unknown.
    """
    read, _ = spellings(targets, names or {})
    gathered, unknown = defaultdict(dict), []
    for name, info in keys.items():
        key = parse_key(name)
        if key is None:
            unknown.append(name)
        else:
            gathered[Key(key.dialect, key.component, key.module, "")][key.part] = info
    layers = tuple(_layer(key, parts, targets, read) for key, parts in gathered.items())
    return Coverage(_verdict(layers, unknown), layers, tuple(unknown), _reasons(layers, unknown))


def block_of(module: str) -> str:
    """down_blocks.1 of down_blocks.1.attentions.0.proj_in; the first name where no block is."""
    block = re.match(r"(?:\w+\.)*?\w*(?:blocks?|layers)[._]\d+", module)
    return block[0] if block else module.split(".")[0]


def _layer(key, parts, targets, read):
    found = find(key, read)
    down, largest = parts.get("down"), max(parts.values(), key=lambda info: math.prod(info.shape))
    rank = down.shape[0] if down is not None and down.shape else None
    status, module = "unmatched", key.module
    if len(found) > 1:
        status = "ambiguous"
    elif found:
        ((component, module),) = found
        fits = _fits(parts, targets[component][module])
        status = "matched" if fits else "wrong shape"
    return Layer(module, status, rank, largest.dtype, "alpha" in parts)


def _fits(parts, shape):
    """Whether the tensors make a change of a weight of this shape, [out, in, ...]."""
    if len(shape) < 2 or not parts.keys() - SIDE_PARTS:
        return False
    if "diff" in parts and tuple(parts["diff"].shape) != tuple(shape):
        return False
    if "down" not in parts and "up" not in parts:
        # LyCORIS factors come in shapes that only their own arithmetic can tell
        return True
    if "down" not in parts or "up" not in parts:
        return False
    down, up, window = parts["down"].shape, parts["up"].shape, tuple(shape[2:])
    if len(down) < 2 or len(up) < 2 or down[0] != up[1] or down[0] == 0:
        return False
    if (up[0], down[1]) != (shape[0], shape[1]):
        return False
    windows = {part: tuple(parts[part].shape[2:]) for part in ("down", "mid") if part in parts}
    spread = windows.get("mid", windows["down"])
    return spread == window or not any(size > 1 for size in (*spread, *window))


def _verdict(layers, unknown):
    counts = Counter(layer.status for layer in layers)
    if counts["wrong shape"] > counts["matched"]:
        return "other network"
    if not counts["matched"]:
        return "none"
    return "whole" if counts["matched"] == len(layers) and not unknown else "partial"


def _reasons(layers, unknown):
    by_status = defaultdict(list)
    for layer in layers:
        by_status[layer.status].append(layer.module)
    total, matched = len(layers), len(by_status["matched"])
    reasons = [f"{matched} of the {total} layers that the file changes fit the model."]
    words = {
        "unmatched": "name no module of this model and would be left out",
        "ambiguous": "may mean more than one module of this model and would be left out",
        "wrong shape": "have another shape than the model's: the file is for another network",
    }
    for status, meaning in words.items():
        if modules := by_status[status]:
            reasons.append(f"{len(modules)} {meaning}: {_kinds(modules)}.")
    if unknown:
        shown = ", ".join(unknown[:3])
        reasons.append(f"{len(unknown)} tensors are of no LoRA dialect and are ignored: {shown}.")
    return tuple(reasons)


def _kinds(modules):
    """to_q (140), to_k (140) ...: what the modules do, most frequent first."""
    ends = Counter(re.sub(r"[._]\d+$", "", module).split(".")[-1] for module in modules)
    shown = ", ".join(f"{end} ({count})" for end, count in ends.most_common(4))
    return shown + (" and others" if len(ends) > 4 else "")

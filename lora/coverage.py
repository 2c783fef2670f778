"""How much of a LoRA finds its place in a model, and what it means where not all of it does."""

import math
import re
from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import NamedTuple

from .dialects import ENCODERS, parse_stem, split_key
from .header import TensorInfo
from .targets import Module, find, spellings

# parts that say nothing of the shape of the weight they change
SIDE_PARTS = ("alpha", "dora_scale", "magnitude", "up_bias", "reshape_weight")
# parts with the shape of the weight itself, which may be a norm's or a bias's
WHOLE_PARTS = ("diff", "w_norm", "set_weight")


class Layer(NamedTuple):
    """One module that the file changes; rank is None where it is not a product of two factors."""

    module: str  # as the model spells it, or as the file does where the model has none
    # matched, unmatched, ambiguous, incomplete, wrong shape or text encoder
    status: str
    rank: int | None
    dtype: str  # of the larger factor, as the file spells it
    has_alpha: bool
    stem: str  # what its tensors' names in the file begin with
    tensors: dict[str, str]  # part to name in the file


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

    def as_json(self) -> dict:
        """The verdict, layers in all, by status in each block, and reasons."""
        return {
            "verdict": self.verdict,
            "layers": len(self.layers),
            "matched": sum(layer.status == "matched" for layer in self.layers),
            "blocks": {block: dict(counts) for block, counts in self.blocks().items()},
            "reasons": list(self.reasons),
        }


def coverage(
    keys: Mapping[str, TensorInfo],
    targets: Mapping[str, Mapping[str, tuple[int, ...]]],
    names: Mapping[str, str] | None = None,
    aliases: Mapping[str, Module] | None = None,
) -> Coverage:
    """Compare a LoRA's tensors with a model's weights, by name and shape alone.

    Args:
        keys: the file's tensors, as `header.read_header` gives them.
        targets: shape of each module's weight, [out, in, ...], by component and dotted path.
        names: diffusers' weight names to ComfyUI's, where the targets are diffusers'.
        aliases: other names that files have for modules; see `targets.spellings`.

    Raises:
        ValueError: a component of the targets is unknown.
    """
    stems, unknown = defaultdict(dict), []
    for name, info in keys.items():
        stem, part = split_key(name) or ("", "")
        if part in stems.get(stem, ()) or parse_stem(stem, part) is None:
            unknown.append(name)
        else:
            stems[stem][part] = name, info
    modules = _modules(stems, targets, names or {}, aliases or {})
    layers = tuple(_layer(stem, parts, targets, modules[stem]) for stem, parts in stems.items())
    return Coverage(_verdict(layers, unknown), layers, tuple(unknown), _reasons(layers, unknown))


def block_of(module: str) -> str:
    """down_blocks.1 of down_blocks.1.attentions.0.proj_in; the first name where no block is."""
    block = re.match(r"(?:\w+\.)*?\w*(?:blocks?|layers)[._]\d+", module)
    return block[0] if block else module.split(".")[0]


def _modules(stems, targets, names, aliases):
    """The modules that each stem may stand for; what a host lists as it stands needs no reading."""
    found = {stem: {aliases[stem]} for stem in stems if stem in aliases}
    others = stems.keys() - found.keys()
    if others:
        read, _ = spellings(targets, names, aliases)
        found |= {stem: find(parse_stem(stem, ""), read) for stem in others}
    return found


def _layer(stem, parts, targets, found):
    key, infos = parse_stem(stem, ""), {part: info for part, (_, info) in parts.items()}
    down, largest = infos.get("down"), max(infos.values(), key=lambda info: math.prod(info.shape))
    return Layer(
        module=next(iter(found)).path if len(found) == 1 else key.module,
        status=_status(key, infos, targets, found),
        rank=down.shape[0] if down is not None and down.shape else None,
        dtype=largest.dtype,
        has_alpha="alpha" in parts,
        stem=stem,
        tensors={part: name for part, (name, _) in parts.items()},
    )


def _status(key, parts, targets, found):
    if not found:
        is_apart = _encodes(key.component) and not any(map(_encodes, targets))
        return "text encoder" if is_apart else "unmatched"
    if len(found) > 1:
        return "ambiguous"
    if _lacks_factor(parts):
        return "incomplete"
    ((component, path),) = found
    return "matched" if _fits(parts, targets[component][path]) else "wrong shape"


def _encodes(component):
    return component in ENCODERS or component == "text_encoders"


def _lacks_factor(parts):
    return ("down" in parts) != ("up" in parts) or not parts.keys() - SIDE_PARTS


def _fits(parts, shape):
    """Whether the tensors make a change of a weight of this shape, [out, in, ...]."""
    whole = [tuple(parts[part].shape) for part in WHOLE_PARTS if part in parts]
    if any(found != tuple(shape) for found in whole):
        return False
    if len(shape) < 2:
        return bool(whole) and not {"down", "up"} & parts.keys()
    if "down" not in parts:
        # LyCORIS factors come in shapes that only their own arithmetic can tell
        return True
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
        "text encoder": "change a text encoder, which is not loaded here; ComfyUI's own LoraLoader "
        "takes these",
        "incomplete": "lack one of their two factors: the file is damaged",
        "wrong shape": "have another shape than the model's: the file is for another network",
    }
    for status, meaning in words.items():
        if modules := by_status[status]:
            reasons.append(f"{len(modules)} {meaning}: {_kinds(modules)}.")
    if unknown:
        shown = ", ".join(unknown[:3])
        what = "are of no LoRA dialect or there twice, and are ignored"
        reasons.append(f"{len(unknown)} tensors {what}: {shown}.")
    return tuple(reasons)


def _kinds(modules):
    """to_q (140), to_k (140) ...: what the modules do, most frequent first."""
    ends = Counter(re.sub(r"[._]\d+$", "", module).split(".")[-1] for module in modules)
    shown = ", ".join(f"{end} ({count})" for end, count in ends.most_common(4))
    return shown + (" and others" if len(ends) > 4 else "")

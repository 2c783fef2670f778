"""The names of a LoRA's tensors in every dialect: read one into its parts, write it from them.

    kohya          lora_unet_<path with underscores>.lora_down.weight, .lora_up.weight, .alpha
    old diffusers  unet.<path>.attn1.processor.to_q_lora.down.weight
    diffusers      unet.<path>.to_q.lora_A.weight, or .lora.down.weight
    peft           base_model.model.<path>.lora_A.weight, or .lora_A.default.weight
    comfyui        diffusion_model.<path>.lora_down.weight, .alpha, .diff, .set_weight

PEFT's dialects have no tensor for lora_alpha; see adapter_config.py.

Source: what the loaders of ComfyUI 0.29 and diffusers 0.42.1 read, and what peft 0.21.2 writes.
"""

import re
from typing import NamedTuple

DIALECTS = ("kohya", "old diffusers", "diffusers", "peft", "comfyui")

# what diffusers calls kohya's lora_te1_, lora_te2_; its lora_te_ is the encoder of a model with one
ENCODERS = {
    "te": "text_encoder",
    "te1": "text_encoder",
    "te2": "text_encoder_2",
    "te3": "text_encoder_3",
}

# LyCORIS and others, that only kohya's and ComfyUI's dialects carry; named in the file as here
CARRIED = (
    *("diff", "diff_b", "set_weight", "reshape_weight", "w_norm", "b_norm"),
    *("hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b", "hada_t1", "hada_t2"),
    *("lokr_w1", "lokr_w1_a", "lokr_w1_b", "lokr_w2", "lokr_w2_a", "lokr_w2_b", "lokr_t2"),
    *("a1.weight", "a2.weight", "b1.weight", "b2.weight", "oft_blocks", "rescale"),
)
_DOTTED = {"down": "lora_down.weight", "up": "lora_up.weight", "mid": "lora_mid.weight"}
_PEFT = {"down": "lora_A.weight", "up": "lora_B.weight", "up_bias": "lora_B.bias"}
_MAGNITUDE = {"magnitude": "lora_magnitude_vector"}
_KOHYA = {**_DOTTED, **{part: part for part in ("alpha", "dora_scale", *CARRIED)}}
WRITTEN = {
    "kohya": _KOHYA,
    "comfyui": _KOHYA,
    "diffusers": {**_PEFT, **_MAGNITUDE},
    "peft": {**_PEFT, **_MAGNITUDE},
    "old diffusers": {"down": "lora.down.weight", "up": "lora.up.weight", **_MAGNITUDE},
}
_READ = {
    **{end: part for table in WRITTEN.values() for part, end in table.items()},
    **{"lora_A": "down", "lora_B": "up", "lora_magnitude_vector.weight": "magnitude"},
    **{"lora_linear_layer.down.weight": "down", "lora_linear_layer.up.weight": "up"},
}
_ENDS = re.compile("(.+?)(?:[.](" + "|".join(map(re.escape, _READ)) + "))", re.DOTALL)
_OLD_ENDS = re.compile(r"(.+)_lora[.](down|up)[.]weight", re.DOTALL)
_OLD_ENCODER = re.compile(r"[.]to_(q|k|v|out)\Z")
# the name peft gives an adapter stands in a living model's state dict and some files
_ADAPTER = re.compile(
    r"[.](lora_[AB]|lora_magnitude_vector)[.](?!(?:weight|bias)\Z)[^.\s]+([.](?:weight|bias))?\Z"
)
_KOHYA_STEM = re.compile(r"(?:lora_(unet|transformer|te[123]?|prior_unet|prior_te)_{1,2}|lycoris_)")
_PREFIXES = {
    "unet.base_model.model.": ("peft", "unet"),
    "transformer.base_model.model.": ("peft", "transformer"),
    "text_encoder.base_model.model.": ("peft", "te"),
    "text_encoder_2.base_model.model.": ("peft", "te2"),
    "text_encoder_3.base_model.model.": ("peft", "te3"),
    "base_model.model.": ("peft", ""),
    "diffusion_model.": ("comfyui", "unet"),
    "text_encoders.": ("comfyui", "text_encoders"),
    "unet.": ("diffusers", "unet"),
    "transformer.": ("diffusers", "transformer"),
    "text_encoder.": ("diffusers", "te"),
    "text_encoder_2.": ("diffusers", "te2"),
    "text_encoder_3.": ("diffusers", "te3"),
}


class Key(NamedTuple):
    """One tensor's name, taken apart.

    Attributes:
        dialect: one of DIALECTS.
        component: what the tensor belongs to: unet, transformer, te (an only or a first text
            encoder), te1, te2, te3, text_encoders (ComfyUI's), or "" where the file does not say.
        module: dotted path, or in kohya's dialect the path with underscores for dots.
        part: down, up, mid, alpha, dora_scale, magnitude (peft's DoRA), up_bias, or one of CARRIED.
    """

    dialect: str
    component: str
    module: str
    part: str


def parse_key(key: str) -> Key | None:
    """Take a LoRA tensor's name apart; None where it is not one."""
    ends = split_key(key)
    return parse_stem(*ends) if ends else None


def split_key(key: str) -> tuple[str, str] | None:
    """A tensor's name as the stem that all tensors of its layer share, and its part."""
    old = _OLD_ENDS.fullmatch(key)
    if old:
        return old[1], old[2]
    ends = _ENDS.fullmatch(_ADAPTER.sub(r".\1\2", key))
    return (ends[1], _READ[ends[2]]) if ends else None


def parse_stem(stem: str, part: str) -> Key | None:
    """Take apart what `split_key` has split off; None where it names no module."""
    dialect, component, module = _split(stem)
    if ".processor.to_" in module or (component in ENCODERS and _OLD_ENCODER.search(module)):
        dialect, module = "old diffusers", _new_path(module, component)
    return Key(dialect, component, module, part) if module else None


def write_key(key: Key) -> str:
    """The name of a tensor in its dialect, the inverse of `parse_key`.

    Raises:
        ValueError: the dialect is not one of DIALECTS, or has no name for the part or component.
    """
    dialect, component, module, part = key
    if dialect not in DIALECTS:
        raise ValueError(f"dialect is {dialect!r}; allowed is one of {', '.join(DIALECTS)}.")
    end = WRITTEN[dialect].get(part)
    if end is None:
        others = [other for other in DIALECTS if part in WRITTEN[other]]
        raise ValueError(
            f"the {dialect} dialect has no name for {part!r} of {module!r}; "
            f"convert to {' or '.join(others)}, or leave the file as it is."
        )
    if dialect == "old diffusers":
        return _written_old(component, module, part, end)
    return f"{written_prefix(dialect, component, module)}{module}.{end}"


def dialect_of(keys) -> str:
    """The dialect of a file's keys: one of DIALECTS, "mixed", or "none" where no key is known."""
    found = {key.dialect for key in map(parse_key, keys) if key}
    # the layers around attention are spelled alike in both
    if found == {"old diffusers", "diffusers"}:
        return "old diffusers"
    return "mixed" if len(found) > 1 else next(iter(found), "none")


def _split(path):
    stem = _KOHYA_STEM.match(path)
    if stem:
        return "kohya", stem[1] or "", path[stem.end() :]
    for prefix, (dialect, component) in _PREFIXES.items():
        # "unet" alone is a prefix without a module
        if f"{path}.".startswith(prefix):
            return dialect, component, path[len(prefix) :]
    return "diffusers", "", path


def _new_path(module, component):
    module = module.replace(".processor.", ".")
    if component in ENCODERS:
        return _OLD_ENCODER.sub(r".\1_proj", module)
    return module + ".0" if module.endswith(".to_out") else module


def written_prefix(dialect, component, module):
    """What a dialect puts before the module's path."""
    if dialect == "kohya":
        return f"lora_{component or 'unet'}_"
    encoder = ENCODERS.get(component)
    if dialect == "comfyui":
        if encoder:
            raise ValueError(
                f"ComfyUI's own name for {encoder} of {module!r} depends on the model (clip_l, "
                "clip_g, t5xxl); convert to kohya, which ComfyUI reads as well."
            )
        return "text_encoders." if component == "text_encoders" else "diffusion_model."
    prefix = f"{encoder}." if encoder else ""
    if dialect == "peft":
        return f"{prefix}base_model.model."
    return prefix or (f"{component}." if component else "")


def _written_old(component, module, part, end):
    prefix = written_prefix("old diffusers", component, module)
    attention = re.fullmatch(r"(.+)[.](to_[qkv]|to_out[.]0)", module, re.DOTALL)
    if component in ENCODERS or not attention:
        end = end.replace("lora.", "lora_linear_layer.") if component in ENCODERS else end
        return f"{prefix}{module}.{end}"
    place = f"{prefix}{attention[1]}.processor.{attention[2].removesuffix('.0')}"
    return f"{place}.{end}" if part == "magnitude" else f"{place}_{end}"

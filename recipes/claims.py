"""What trainers and makers of models wrote into a file's metadata: its architecture, its names."""

import re
from collections.abc import Mapping
from typing import NamedTuple

from .values import UNPRINTABLE

# entries of kohya-ss/sd-scripts and of the SAI model specification
ARCHITECTURE_KEYS = ("ss_base_model_version", "modelspec.architecture")
NAME_KEYS = ("modelspec.title", "ss_output_name")
# what their values begin with, in lower case and with hyphens: the bases it can mean. Read in
# sd-scripts, musubi-tuner, ai-toolkit, SwarmUI and ComfyUI's CheckpointSave.
ARCHITECTURES = {
    r"sd-v1|sd-1[.-]|stable-diffusion-v1": ("sd15",),
    r"sd-v2|sd-2[.-]|stable-diffusion-v2": ("sd21",),
    # SSD-1B is trained as SDXL
    r"sdxl|stable-diffusion-xl": ("sdxl", "ssd-1b"),
    r"sd-?3|stable-diffusion-v?3": ("sd3",),
    r"flux[.-]?1|flux-dev": ("flux",),
    r"flux[.-]?2": ("flux2",),
    r"flux[.-]?3": ("flux3",),
    r"chroma": ("chroma",),
    r"qwen-image": ("qwen-image", "qwen-image-2.1"),
    r"z-?image": ("z-image",),
    r"wan(?![a-z])": ("wan",),
    r"ltx-?2|ltxav": ("ltx2",),
    r"hunyuan-image": ("hunyuan-image",),
    r"hunyuan-?video": ("hunyuan-video",),
    r"hidream-i1": ("hidream-i1",),
    r"krea-?2": ("krea2",),
    r"anima(?![a-z])": ("anima",),
}
# characters of an entry that are looked at; some hold whole texts
LOOKED_AT = 120


class Claim(NamedTuple):
    """An entry that says for which bases the file is."""

    key: str
    value: str
    bases: tuple[str, ...]


def claims(metadata: Mapping[str, str]) -> list[Claim]:
    """The entries that name an architecture which FewStep knows."""
    found = []
    for key in ARCHITECTURE_KEYS:
        value = _value(metadata, key)
        written = re.sub(r"[^a-z0-9.]+", "-", value.lower())
        bases = [b for begin, b in ARCHITECTURES.items() if re.match(begin, written)]
        found += [Claim(key, value, bases[0])] if bases else []
    return found


def given_names(metadata: Mapping[str, str]) -> dict[str, str]:
    """Key and value of the entries in which somebody named the file."""
    found = {key: _value(metadata, key) for key in NAME_KEYS}
    return {key: value for key, value in found.items() if value}


def _value(metadata, key):
    return re.sub(UNPRINTABLE, " ", metadata.get(key, "")[:LOOKED_AT]).strip()

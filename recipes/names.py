"""Which recipes a file's name speaks of."""

import re
from collections.abc import Iterable
from pathlib import PurePath

from .recipe import Recipe

ENDINGS = {".safetensors", ".sft", ".ckpt", ".pt", ".pth", ".bin", ".gguf"}


def normalised(name: str) -> str:
    """`Hyper-SDXL-8steps_lora.safetensors` is `hyper-sdxl-8steps-lora`.

    Without folder and ending, in lower case, cut where a small letter or digit meets a capital,
    and with everything but letters, digits and dots as one hyphen.
    """
    path = PurePath(name.replace("\\", "/"))
    stem = path.stem if path.suffix.lower() in ENDINGS else path.name
    cut = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", stem)
    return re.sub(r"[^a-z0-9.]+", "-", cut.lower()).strip("-")


def named(recipes: Iterable[Recipe], name: str) -> list[Recipe]:
    """The recipes that one of whose patterns is found in this file name."""
    stem = normalised(name)
    return [recipe for recipe in recipes if any(re.search(p, stem) for p in recipe.names)]

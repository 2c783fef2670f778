"""The prompts of a run, encoded once and kept on disk."""

import hashlib
from pathlib import Path

import torch
from safetensors.torch import load_file

from ..distill.prompt_file import (
    Prompt,
    from_text,
    only_negative,
    read_prompts,
    shipped,
    take,
)
from ..lora.save import save
from .compare import demo_captions
from .config import DEMO_CAPTIONS, FILE, TEXT, Prompts
from .source import Source


def prompts_of(wanted: Prompts, seed: int) -> list[Prompt]:
    """The prompts that a file asks for.

    Args:
        seed: of captions of the demo world.

    Raises:
        ValueError: a file or text is refused, or there are fewer than count.
    """
    if wanted.source == DEMO_CAPTIONS:
        return [Prompt(caption) for caption in demo_captions(wanted.count, seed)]
    if wanted.source == TEXT:
        return take(from_text(wanted.text), wanted.count)
    return take(read_prompts(wanted.file) if wanted.source == FILE else shipped(), wanted.count)


def texts_of(prompts: list[Prompt], negative: str) -> list[str]:
    """The text of each prompt, and last the one that guidance leads away from.

    Raises:
        ValueError: not all prompts have one negative.
    """
    where = "those of the file and [prompts] negative"
    return [*(prompt.text for prompt in prompts), only_negative(prompts, negative, where)]


def encoded(source: Source, texts: list[str], size, folder: Path, device, dtype) -> dict:
    """Conditions [len(texts), ...] by name, on the CPU; read from the folder where they are.

    Args:
        size: width and height in pixels.

    Raises:
        OSError: the disk is full or the folder cannot be written to.
    """
    path = folder / f"{_key(source, texts, size, dtype)}.safetensors"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        made = source.encode(texts, size, device, dtype)
        save(path, {name: values.contiguous() for name, values in made.items()}, {})
    return load_file(path)


def _key(source, texts, size, dtype: torch.dtype):
    digest = hashlib.sha256(f"{source.stamp} {tuple(size)} {dtype}".encode())
    for text in texts:
        digest.update(f"{len(text)} {text}".encode())
    return digest.hexdigest()[:32]

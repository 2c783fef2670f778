"""The demo tokenizer: CLIP's byte-pair encoding with a vocabulary just large enough for the world.

Every word of the demo world is one token; any other word is spelled out in characters, as CLIP does
with words it never met. The two files written here load in transformers' CLIPTokenizer.
"""

import json
import string
from collections import Counter
from pathlib import Path

from .world import BACKGROUNDS, COLOURS, RELATIONS, SHAPES, SIZES

MAX_TOKENS = 32  # one chunk, start and end included
END_OF_WORD = "</w>"


def write_tokenizer(folder: Path) -> None:
    """Write vocab.json, merges.txt and tokenizer_config.json for transformers' CLIPTokenizer."""
    merges = learn_merges(_words())
    characters = string.ascii_lowercase + string.digits + string.punctuation
    tokens = [*characters, *(c + END_OF_WORD for c in characters), *("".join(m) for m in merges)]
    tokens += ["<|startoftext|>", "<|endoftext|>"]
    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = {token: i for i, token in enumerate(tokens)}
    (folder / "vocab.json").write_text(json.dumps(vocabulary, indent=0), encoding="utf-8")
    lines = ["#version: 0.2", *(" ".join(m) for m in merges)]
    (folder / "merges.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    config = {
        "tokenizer_class": "CLIPTokenizer",
        "model_max_length": MAX_TOKENS,
        "do_lower_case": True,
        "bos_token": "<|startoftext|>",
        "eos_token": "<|endoftext|>",
        "unk_token": "<|endoftext|>",
        "pad_token": "<|endoftext|>",
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=1), encoding="utf-8")


def learn_merges(words: list[str]) -> list[tuple[str, str]]:
    """Merge the most frequent neighbours until every word is one token (Sennrich et al., 2016)."""
    spelled = [[*word[:-1], word[-1] + END_OF_WORD] for word in words]
    merges = []
    while any(len(parts) > 1 for parts in spelled):
        pairs = Counter(pair for parts in spelled for pair in zip(parts, parts[1:], strict=False))
        best = max(sorted(pairs), key=pairs.__getitem__)
        merges.append(best)
        spelled = [_merge(parts, best) for parts in spelled]
    return merges


def _words():
    named = [*SHAPES, *COLOURS, *BACKGROUNDS, *SIZES, *RELATIONS, "on a background", "and the with"]
    return sorted({word for name in named for word in name.split()})


def _merge(parts, pair):
    merged, i = [], 0
    while i < len(parts):
        both = tuple(parts[i : i + 2]) == pair
        merged.append("".join(pair) if both else parts[i])
        i += 2 if both else 1
    return merged

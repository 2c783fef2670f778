"""Where the demo model's files lie and how they are read; no library but safetensors needed."""

import json
from pathlib import Path

from safetensors.torch import load_file

FOLDER = Path(__file__).parent / "weights"
TOKENIZER = FOLDER / "tokenizer"
LCM_LORA = FOLDER / "lcm_lora.safetensors"
GUIDANCE = 4.0  # cfg_scale the teacher is best at, and the one baked into the LCM-LoRA


def read_config(part: str) -> dict:
    """config.json of "unet", "text_encoder" or "vae"."""
    return json.loads((FOLDER / part / "config.json").read_text(encoding="utf-8"))


def read_weights(part: str) -> dict:
    """State dict of "unet", "text_encoder" or "vae", in float16 as shipped."""
    (path,) = (FOLDER / part).glob("*.safetensors")
    return load_file(path)


# rows: latent channels, columns: -1..1 RGB; least squares over encoded pictures of the world
PREVIEW_FACTORS = [[0.55, 0.0, 0.0], [0.0, 0.55, 0.0], [0.0, 0.0, 0.55], [0.0, 0.0, 0.0]]

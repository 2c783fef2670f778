"""Where the demo model's files lie and how they are read; ComfyUI has every library for it."""

import json
import os
from pathlib import Path

import torch
from safetensors.torch import load_file

from ..guidance.embedded import COND_PROJ, WIDTH
from ..lora.merge import merge_file

# the variable names another folder, to look at a model before it is shipped
FOLDER = Path(os.environ.get("FEWSTEP_DEMO_WEIGHTS") or Path(__file__).parent / "weights")
TOKENIZER = FOLDER / "tokenizer"
LCM_LORA = FOLDER / "lcm_lora.safetensors"
# LoRAs of further students, each with its recipe; how the names begin of those of the flow teacher
STUDENTS, OF_FLOW = FOLDER / "students", "flow_"
GUIDANCE = 4.0  # cfg_scale the teacher is best at, and the one baked into the LCM-LoRA
# the full LCM UNet, a part as "unet" is: "unet" with a LoRA merged in, which is told its guidance
LCM_UNET = "lcm_unet"
TOLD_LCM = STUDENTS / "told_lcm.safetensors"
# the flow-matching teacher, a part as "unet" is, and the shift of its noise levels
FLOW = "flow_transformer"
FLOW_SHIFT = 2.0
# rows: latent channels, columns: -1..1 RGB. Training draws the first three channels towards a
# patch's mean colour over its spread, 0.55; least squares over 400 pictures gives 0.52 to 0.55.
PREVIEW_FACTORS = [[0.55, 0.0, 0.0], [0.0, 0.55, 0.0], [0.0, 0.0, 0.55], [0.0, 0.0, 0.0]]


def check_present(unet: str = "unet", lora: Path | None = None) -> None:
    """Make sure the demo model is all there.

    Args:
        unet: of the teacher "unet", or LCM_UNET or FLOW.
        lora: the file of a student.

    Raises:
        FileNotFoundError: a part is missing.
    """
    parts = [file_of(part) for part in (unet, "text_encoder", "vae")]
    for path in (*parts, TOKENIZER, *([lora] if lora else [])):
        if not path.exists():
            raise FileNotFoundError(
                f"The demo model has no {path.name} in {path.parent}. Install FewStep again to "
                "have it back, or train one: python run.py train-demo FOLDER, then let the "
                "variable FEWSTEP_DEMO_WEIGHTS name FOLDER/weights. What is under students, and "
                "the LCM-LoRA, are made by python run.py train-demo-students FOLDER after that."
            )


def student_file(name: str) -> Path:
    """Where a student's LoRA lies; the LCM-LoRA has a place of its own."""
    return LCM_LORA if name == LCM_LORA.stem else STUDENTS / f"{name}.safetensors"


def file_of(part: str) -> Path:
    """The folder of a part; of LCM_UNET the LoRA that makes it out of "unet"."""
    return TOLD_LCM if part == LCM_UNET else FOLDER / part


def read_config(part: str) -> dict:
    """config.json of "unet", LCM_UNET, FLOW, "text_encoder" or "vae"."""
    if part == LCM_UNET:
        return read_config("unet") | {"time_cond_proj_dim": WIDTH}
    return json.loads((FOLDER / part / "config.json").read_text(encoding="utf-8"))


def read_weights(part: str) -> dict:
    """State dict of "unet", LCM_UNET, FLOW, "text_encoder" or "vae", in float16 as shipped."""
    if part == LCM_UNET:
        weights = read_weights("unet")
        inner = weights["time_embedding.linear_1.weight"].shape[1]
        weights[f"{COND_PROJ}.weight"] = torch.zeros(inner, WIDTH, dtype=torch.float16)
        return merge_file(weights, load_file(TOLD_LCM)).weights
    (path,) = (FOLDER / part).glob("*.safetensors")
    return load_file(path)

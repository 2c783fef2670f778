"""Where the demo model's files lie and how they are read; no library but safetensors needed."""

import json
import os
from pathlib import Path

from safetensors.torch import load_file

# the variable names another folder, to look at a model before it is shipped
FOLDER = Path(os.environ.get("FEWSTEP_DEMO_WEIGHTS") or Path(__file__).parent / "weights")
TOKENIZER = FOLDER / "tokenizer"
LCM_LORA = FOLDER / "lcm_lora.safetensors"
# LoRAs of further students, each with its recipe; how the names begin of those of the flow teacher
STUDENTS, OF_FLOW = FOLDER / "students", "flow_"
GUIDANCE = 4.0  # cfg_scale the teacher is best at, and the one baked into the LCM-LoRA
# the full LCM UNet, a part as "unet" is, and the cfg_scale from and to which it was trained
LCM_UNET = "lcm_unet"
LCM_UNET_GUIDANCE = (1.0, 10.0)
# the flow-matching teacher, a part as "unet" is, and the shift of its noise levels
FLOW = "flow_transformer"
FLOW_SHIFT = 2.0
# rows: latent channels, columns: -1..1 RGB. Training draws the first three channels towards a
# patch's mean colour over its spread, 0.55; least squares over 400 pictures gives 0.52 to 0.55.
PREVIEW_FACTORS = [[0.55, 0.0, 0.0], [0.0, 0.55, 0.0], [0.0, 0.0, 0.55], [0.0, 0.0, 0.0]]


def check_present(unet: str = "unet") -> None:
    """Make sure the demo model is all there, with the teacher's UNet, LCM_UNET or FLOW.

    Raises:
        FileNotFoundError: a part is missing.
    """
    parts = [FOLDER / part for part in (unet, "text_encoder", "vae")]
    for path in (*parts, TOKENIZER, LCM_LORA):
        if not path.exists():
            raise FileNotFoundError(
                f"The demo model has no {path.name} in {FOLDER}. Install FewStep again to have it "
                "back, or train one: python run.py train-demo FOLDER, then let the variable "
                "FEWSTEP_DEMO_WEIGHTS name FOLDER/weights."
            )


def read_config(part: str) -> dict:
    """config.json of "unet", LCM_UNET, FLOW, "text_encoder" or "vae"."""
    return json.loads((FOLDER / part / "config.json").read_text(encoding="utf-8"))


def read_weights(part: str) -> dict:
    """State dict of "unet", LCM_UNET, FLOW, "text_encoder" or "vae", in float16 as shipped."""
    (path,) = (FOLDER / part).glob("*.safetensors")
    return load_file(path)

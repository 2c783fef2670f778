"""What few steps, 8 bit weights and a compiler save on SDXL: run.py bench on its published size.

.venv/bin/python benchmarks/sdxl_speed.py [--runs 7] [--only WAY] [--out FOLDER]

All networks have random weights, since time and memory are the same with any; text encoders know
the demo world's words alone. One picture of 1024 x 1024: text encoding, sampling and decoding.
"""

import sys
import tempfile
from pathlib import Path

import torch
from diffusers import (
    AutoencoderKL,
    EulerDiscreteScheduler,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
)
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    CLIPTokenizer,
)

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from conftest import load_fewstep  # noqa: E402
from unet_shapes import SDXL  # noqa: E402

TOKENS = 77
# CLIP ViT-L and OpenCLIP ViT-bigG, as SDXL has them
TEXT_ENCODERS = (
    (CLIPTextModel, {"hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12}),
    (
        CLIPTextModelWithProjection,
        {
            "hidden_size": 1280,
            "intermediate_size": 5120,
            "num_hidden_layers": 32,
            "num_attention_heads": 20,
            "projection_dim": 1280,
            "hidden_act": "gelu",
        },
    ),
)
VAE = {
    "block_out_channels": (128, 256, 512, 512),
    "layers_per_block": 2,
    "down_block_types": ("DownEncoderBlock2D",) * 4,
    "up_block_types": ("UpDecoderBlock2D",) * 4,
    "latent_channels": 4,
    "scaling_factor": 0.13025,
    "sample_size": 1024,
}
# of the demo world's words, since that tokenizer comes along
PROMPTS = "a large red circle on a blue background\na small green cross on a white background\n"
# name and lines of each [[model]]; the first is what the others are measured by
WAYS = {
    "50 steps, cfg 7": "steps = 50\ncfg = 7.0",
    "25 steps, cfg 7": "steps = 25\ncfg = 7.0",
    "8 steps": "steps = 8\ncfg = 1.0",
    "4 steps": "steps = 4\ncfg = 1.0",
    "1 step": "steps = 1\ncfg = 1.0",
    "25 steps, cfg 7, fp8": "steps = 25\ncfg = 7.0\nfp8 = true",
    "4 steps, fp8": "steps = 4\ncfg = 1.0\nfp8 = true",
    "25 steps, cfg 7, compiled": "steps = 25\ncfg = 7.0\ncompile = true",
    "4 steps, compiled": "steps = 4\ncfg = 1.0\ncompile = true",
}


def main():
    load_fewstep()
    from fewstep.headless import bench

    with tempfile.TemporaryDirectory() as folder:
        save_sdxl(Path(folder) / "sdxl")
        (Path(folder) / "prompts.txt").write_text(PROMPTS, encoding="utf-8")
        config = Path(folder) / "bench.toml"
        config.write_text(as_toml(Path(folder) / "sdxl"), encoding="utf-8")
        return bench.main([str(config), *sys.argv[1:]])


def save_sdxl(folder: Path) -> None:
    """Write SDXL in its published size with random weights, as a diffusers folder."""
    from fewstep.demo import weights

    torch.manual_seed(0)
    tokenizer = CLIPTokenizer.from_pretrained(weights.TOKENIZER, model_max_length=TOKENS)
    # drawn where that is quick: a CPU takes minutes for billions
    with torch.device("cuda" if torch.cuda.is_available() else "cpu"):
        encoders = [text_encoder(kind, shape, len(tokenizer)) for kind, shape in TEXT_ENCODERS]
        unet = UNet2DConditionModel.from_config(SDXL)
        vae = AutoencoderKL(**VAE)
    pipeline = StableDiffusionXLPipeline(
        vae=vae,
        text_encoder=encoders[0],
        text_encoder_2=encoders[1],
        tokenizer=tokenizer,
        tokenizer_2=tokenizer,
        unet=unet,
        scheduler=EulerDiscreteScheduler(
            beta_start=0.00085,
            beta_end=0.012,
            beta_schedule="scaled_linear",
            timestep_spacing="trailing",
        ),
    )
    pipeline.to(torch.bfloat16).save_pretrained(folder)


def text_encoder(kind, shape, vocabulary):
    config = CLIPTextConfig(
        vocab_size=vocabulary,
        max_position_embeddings=TOKENS,
        bos_token_id=vocabulary - 2,
        eos_token_id=vocabulary - 1,
        pad_token_id=vocabulary - 1,
        **shape,
    )
    return kind(config).eval()


def as_toml(folder: Path) -> str:
    """An evaluation's file beside prompts.txt that names each way of WAYS."""
    head = '[golden_set]\nsource = "prompts.txt"\nwidth = 1024\nheight = 1024\n'
    models = "".join(
        f'\n[[model]]\nname = "{name}"\npath = "{folder.as_posix()}"\n{lines}\n'
        for name, lines in WAYS.items()
    )
    return head + models


if __name__ == "__main__":
    raise SystemExit(main())

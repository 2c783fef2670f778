"""A demo model of random weights, for a checkout that has no trained one.

It has the shapes and file formats of the real one, which is all that most tests ask of it. Tests of
what its pictures show are skipped with a reason.
"""

import os
import shutil
import tempfile
from pathlib import Path

SHIPPED = Path(__file__).resolve().parents[1] / "demo" / "weights"


def use_where_none_are_shipped():
    """Make one in a temporary folder and name it in $FEWSTEP_DEMO_WEIGHTS; return that folder."""
    if (SHIPPED / "lcm_lora.safetensors").is_file() or os.environ.get("FEWSTEP_DEMO_WEIGHTS"):
        return None
    folder = Path(tempfile.mkdtemp(prefix="fewstep-random-demo-"))
    # first the variable: what writes the files imports fewstep.demo.weights, which reads it
    os.environ["FEWSTEP_DEMO_WEIGHTS"] = str(folder)
    write(folder)
    return folder


def remove(folder):
    if folder is not None:
        shutil.rmtree(folder, ignore_errors=True)
        del os.environ["FEWSTEP_DEMO_WEIGHTS"]


def write(folder):
    import torch
    from safetensors.torch import save_file
    from transformers import CLIPTokenizer

    from fewstep.demo import architecture
    from fewstep.demo.train import save_network
    from fewstep.demo.vocabulary import write_tokenizer
    from fewstep.headless.lora import Lora

    torch.manual_seed(0)
    write_tokenizer(folder / "tokenizer")
    words = len(CLIPTokenizer.from_pretrained(folder / "tokenizer"))
    unet = architecture.new_unet()
    lora = Lora(unet, rank=32, lora_alpha=32.0, generator=torch.Generator().manual_seed(1))
    for up in lora.up:
        up.data.normal_().mul_(0.01)
    save_file(lora.kohya(), folder / "lcm_lora.safetensors")
    save_network(unet, folder / "unet")
    save_network(architecture.new_text_encoder(words), folder / "text_encoder")
    save_network(architecture.new_autoencoder(), folder / "vae")

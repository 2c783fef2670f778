"""Train every demo network but the students from nothing: autoencoder, text encoder, teachers.

    python run.py train-demo FOLDER

Each stage leaves its result in the folder and is skipped when that is there, so that a run that was
cut off goes on with the stage it was in, within the flow teacher's where it was. Everything is
seeded; FOLDER/weights is what is shipped. The students are `demo.students`' work.
"""

import json
import shutil
import sys
from functools import partial
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderTiny, FluxTransformer2DModel, UNet2DConditionModel
from safetensors.torch import load_file, save_file
from transformers import CLIPTextModel, CLIPTokenizer

from ..diffusion.sigmas import sigma_table
from ..headless import flow_pipeline
from .architecture import new_flow_transformer, new_text_encoder, new_unet
from .precision import autocast
from .train_autoencoder import polish_decoder, to_tensor, train_autoencoder
from .train_flow_teacher import train_flow_teacher
from .train_teacher import random_scenes, train_reading, train_teacher
from .vocabulary import MAX_TOKENS, write_tokenizer
from .weights import FLOW
from .world import draw

SEED = 2026
PICTURES = 40_000
# every leg ends at learning rate 0 and starts from the average of the one before
TEACHER_LEGS = (7_000, 6_000)  # iterations
FLOW_TEACHER_LEGS = (7_000, 9_000, 9_000)
# so few that a layer fits into the cache: 12 ms a picture instead of 18
ENCODE_BATCH = 4


def main(argv: list[str]) -> int:
    """Run the stages that are not done yet."""
    if len(argv) != 1:
        sys.stderr.write("train-demo needs one folder for its results: train-demo FOLDER\n")
        return 2
    folder = Path(argv[0])
    weights = folder / "weights"
    weights.mkdir(parents=True, exist_ok=True)
    write_tokenizer(weights / "tokenizer")
    say = lambda line: sys.stderr.write(line + "\n")
    _autoencoder(weights / "vae", say)
    scenes = random_scenes(np.random.default_rng(SEED), PICTURES)
    latents = _latents(folder / "latents.safetensors", weights / "vae", scenes, say)
    _text_encoder(weights, say)
    _teacher(folder, weights, scenes, latents, say)
    _flow_teacher(folder, weights, scenes, latents, say)
    return 0


def _autoencoder(path, say):
    if not path.exists():
        model = train_autoencoder(SEED, say)
        polish_decoder(model, SEED, say)
        save_network(model, path)


def _latents(path, vae, scenes, say):
    if path.exists():
        return load_file(path)["latents"]
    encoder = AutoencoderTiny.from_pretrained(vae, torch_dtype=torch.float32).eval().encoder
    # 12 ms a picture instead of 22
    encoder.to(memory_format=torch.channels_last)
    latents = []
    with torch.inference_mode(), autocast():
        for i in range(0, len(scenes), ENCODE_BATCH):
            pictures = np.stack([draw(scene) for scene in scenes[i : i + ENCODE_BATCH]])
            x = to_tensor(pictures).contiguous(memory_format=torch.channels_last)
            latents.append(encoder(x).half().contiguous())
            if i % 4000 == 0:
                say(f"pictures {i}/{len(scenes)}")
    save_file({"latents": torch.cat(latents)}, path)
    return torch.cat(latents)


def _text_encoder(weights, say):
    if (weights / "text_encoder").exists():
        return
    tokenizer = CLIPTokenizer.from_pretrained(weights / "tokenizer")
    torch.manual_seed(SEED)
    text_encoder = new_text_encoder(len(tokenizer))
    train_reading(text_encoder, _tokenize(tokenizer), SEED, say)
    save_network(text_encoder, weights / "text_encoder")


def _teacher(folder, weights, scenes, latents, say):
    done = [folder / f"unet_after_leg_{k + 1}" for k in range(len(TEACHER_LEGS))]
    done[-1] = weights / "unet"
    for k, iterations in enumerate(TEACHER_LEGS):
        if done[k].exists() or done[-1].exists():
            continue
        torch.manual_seed(SEED)
        unet = train_teacher(
            _unet(done[k - 1]) if k else new_unet(),
            _encode(weights),
            latents.float(),
            scenes,
            _alpha_bar(),
            iterations=iterations,
            seed=SEED + k,
            say=say,
        )
        save_network(unet, done[k])


def _flow_teacher(folder, weights, scenes, latents, say):
    done = [folder / f"{FLOW}_after_leg_{k + 1}" for k in range(len(FLOW_TEACHER_LEGS))]
    done[-1] = weights / FLOW
    encode = torch.no_grad()(partial(flow_pipeline.encode, *_reader(weights)))
    for k, iterations in enumerate(FLOW_TEACHER_LEGS):
        if done[k].exists() or done[-1].exists():
            continue
        torch.manual_seed(SEED)
        transformer = train_flow_teacher(
            _flow_transformer(done[k - 1]) if k else new_flow_transformer(),
            encode,
            latents.float(),
            scenes,
            iterations=iterations,
            seed=SEED + k,
            checkpoint=folder / f"{FLOW}_in_leg_{k + 1}.safetensors",
            say=say,
        )
        save_network(transformer, done[k])


def _unet(path):
    return UNet2DConditionModel.from_pretrained(path, torch_dtype=torch.float32)


def _flow_transformer(path):
    return FluxTransformer2DModel.from_pretrained(path, torch_dtype=torch.float32)


def _encode(weights):
    """Captions -> [B, tokens, width], by the text encoder that is shipped."""
    tokenizer, text_encoder = _reader(weights)
    tokenize = _tokenize(tokenizer)

    @torch.no_grad()
    def encode(captions):
        return text_encoder(tokenize(captions)).last_hidden_state

    return encode


def _reader(weights):
    """Tokenizer and text encoder that are shipped."""
    return (
        CLIPTokenizer.from_pretrained(weights / "tokenizer"),
        CLIPTextModel.from_pretrained(weights / "text_encoder", torch_dtype=torch.float32),
    )


def _tokenize(tokenizer):
    def tokenize(captions):
        options = {"padding": "max_length", "max_length": MAX_TOKENS, "truncation": True}
        return tokenizer(captions, return_tensors="pt", **options).input_ids

    return tokenize


def _alpha_bar():
    table = torch.tensor(sigma_table(), dtype=torch.float64)
    return (1 / (1 + table.square())).float()


def save_network(network, path):
    """Write a network in float16 as diffusers does; text encoders keep SD's `text_model.` names."""
    scratch = path.with_name(path.name + ".unfinished")
    shutil.rmtree(scratch, ignore_errors=True)
    network.half().save_pretrained(scratch)
    # a path of this machine, and a key that diffusers writes for AutoencoderTiny and then warns of
    unwanted = {"_name_or_path"}
    if isinstance(network, AutoencoderTiny):
        unwanted.add("block_out_channels")
    file = scratch / "config.json"
    config = json.loads(file.read_text(encoding="utf-8"))
    kept = {key: value for key, value in config.items() if key not in unwanted}
    file.write_text(json.dumps(kept, indent=2) + "\n", encoding="utf-8")
    if isinstance(network, CLIPTextModel):
        (file,) = scratch.glob("*.safetensors")
        prefix = "text_model."
        state = {prefix + k.removeprefix(prefix): v for k, v in load_file(file).items()}
        save_file(state, file, metadata={"format": "pt"})
    scratch.rename(path)

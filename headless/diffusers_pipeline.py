"""A pipeline of diffusers, from a folder or a single file, with its scheduler and LoRA."""

from typing import Any

import diffusers
import torch
from safetensors.torch import load_file

from ..lora.header import read_header
from ..recipes.structure import COMPANIONS
from .diffusers_files import INDEX, LOCAL, from_file, read_json, variant_of
from .diffusers_speed_ups import speed_up
from .evaluation_config import Model
from .even_lora import evened

# it would make some pictures black, which is no fault of the model's
CHECKER = {"safety_checker": None, "requires_safety_checker": False}
ADAPTER = "evaluated"


def load_pipeline(
    model: Model, part: str, scheduler: Any, lora_strength: float, dtype: torch.dtype
):
    """Everything that a model needs to make pictures, on the CPU.

    Args:
        part: what the folder calls its network.
        scheduler: that takes the place of the folder's.

    Raises:
        ValueError: the file has not what the folder's configs ask for, or the LoRA fits nothing.
        OSError: weights are missing or cannot be read.
    """
    index = read_json(model.folder / INDEX)
    checker = CHECKER if "safety_checker" in index else {}
    kind = getattr(diffusers, index["_class_name"])
    options = {"torch_dtype": dtype, **checker}
    if model.config is None:
        pipeline = _of_folder(kind, model.path, part, **options)
    elif not _has_companions(model.path):
        network = getattr(diffusers, index[part][1])
        loaded = from_file(network, model.path, model.config, subfolder=part, torch_dtype=dtype)
        pipeline = _of_folder(kind, model.config, part, **{part: loaded}, **options)
    else:
        pipeline = from_file(kind, model.path, model.config, **options)
    pipeline.scheduler = type(scheduler).from_config(scheduler.config)
    if model.lora is not None:
        _fuse(pipeline, model, lora_strength)
    speed_up(pipeline, part, model, dtype)
    return pipeline


def _has_companions(file):
    """Whether a file has more than the network."""
    return any(key.startswith(COMPANIONS) for key in read_header(file).tensors)


def _of_folder(kind, folder, part, **options):
    # no pickles: safetensors alone
    return kind.from_pretrained(
        folder, variant=variant_of(folder / part), use_safetensors=True, **options, **LOCAL
    )


def _fuse(pipeline, model, strength):
    try:
        pipeline.load_lora_weights(evened(load_file(model.lora)), adapter_name=ADAPTER)
        fitting = pipeline.get_list_adapters()
    # diffusers and peft refuse a file in many ways
    except Exception as error:
        raise ValueError(
            f"{model.name}: lora {str(model.lora)!r} cannot be put on the model: {error}"
        ) from error
    if not fitting:
        raise ValueError(
            f"{model.name}: nothing in lora {str(model.lora)!r} fits the model; it is of another "
            "architecture. Give one that was made for it."
        )
    # into the weights, so that it costs nothing and is as strong in every part
    pipeline.fuse_lora(components=list(fitting), lora_scale=strength)
    pipeline.unload_lora_weights()

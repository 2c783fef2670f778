"""What makes a network of diffusers faster without training: fp8 weights, a cache, a compiler."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from diffusers import FirstBlockCacheConfig

from ..cache.policy import LEAST_STEPS
from .evaluation_config import Model

# pipelines that tell a cache which of two conditions they are at, without which it refuses to run
CACHED = ("FluxPipeline", "QwenImagePipeline", "CogView4Pipeline", "Flux2KleinPipeline")
# what torch compiles with
BACKEND = "inductor"


def check_speed_ups(model: Model, pipeline: str, steps: int) -> None:
    """Refuse a cache that cannot be, or that gains nothing.

    Args:
        pipeline: class of the model's.
        steps: passes of its network, without those for guidance.

    Raises:
        ValueError: diffusers does not cache such a network, or there are too few steps.
    """
    if model.cache is None:
        return
    if pipeline not in CACHED:
        raise ValueError(
            f"cache is {model.cache:g}, and the folder is for a {pipeline}; diffusers caches "
            f"transformers alone, those of {', '.join(CACHED)}. Leave it out; in ComfyUI use Cache "
            "(FewStep)."
        )
    if steps < LEAST_STEPS:
        raise ValueError(
            f"cache is {model.cache:g}, and the run has {steps} steps; below {LEAST_STEPS} every "
            "step differs too much from the one before to be reused, and the picture suffers more "
            "than by taking fewer steps. Leave it out."
        )


def speed_up(pipeline: Any, part: str, model: Model, dtype: torch.dtype) -> None:
    """Change a pipeline's network as a model asks for; after LoRAs, which go into its weights.

    Args:
        part: what the pipeline calls its network.
        dtype: that it computes in.

    Raises:
        ValueError: torch cannot compile on this machine.
    """
    network = getattr(pipeline, part)
    if model.fp8:
        network.enable_layerwise_casting(storage_dtype=torch.float8_e4m3fn, compute_dtype=dtype)
    if model.cache is not None:
        network.enable_cache(FirstBlockCacheConfig(threshold=model.cache))
    if model.compile:
        with explained(model):
            setattr(pipeline, part, torch.compile(network, backend=BACKEND))


@contextmanager
def explained(model: Model) -> Iterator[None]:
    """What a machine cannot do with a model as a ValueError that says what to leave out."""
    try:
        yield
    except torch.cuda.OutOfMemoryError:
        raise
    # compilers and number formats fail in ways of their own, all of them RuntimeErrors
    except RuntimeError as error:
        wanted = [name for name in ("fp8", "compile") if name in model.speed_ups]
        if not wanted:
            raise
        why = " ".join(str(error).split("\n\n")[0].split())
        raise ValueError(
            f"{model.name}: this machine cannot make its pictures with {' and '.join(wanted)}: "
            f"{why}. Leave it out."
        ) from error

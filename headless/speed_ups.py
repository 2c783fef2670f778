"""What makes a picture of the demo model faster without training: a cache, a compiler, fp8 weights.

On a CPU most of them cost more than they save. A benchmark is there to say so.
"""

from collections.abc import Callable

import torch
from diffusers.hooks import apply_layerwise_casting

from ..cache.policy import WHOLE_STEP, Policy
from ..cache.reuse import Reuse
from ..cache.whole_step import WholeStep
from .pipeline import Pipeline

# relative change of the output, and steps in a row, of Cache (FewStep) by default
THRESHOLD, MAX_SKIPS = 0.2, 3


def cached(denoise: Callable) -> tuple[Callable, Reuse]:
    """A denoiser that leaves out steps whose output has hardly changed, and what counts them.

    Args:
        denoise: (x in VE space, sigma) -> x0 estimate, guidance included.

    Returns:
        the denoiser, for one sampling run.
    """
    step = WholeStep(Reuse(Policy(WHOLE_STEP, THRESHOLD, MAX_SKIPS), 0))

    def denoise_or_not(x, sigma):
        step.reuse.begin(sigma)
        seen = x / (sigma**2 + 1) ** 0.5
        return step.denoised(
            lambda: denoise(x, sigma), x, sigma, seen=seen, conditions=["all of them"]
        )

    return denoise_or_not, step.reuse


def compiled(pipeline: Pipeline) -> Pipeline:
    """The UNet compiled by torch for the shapes it meets; its first runs take a minute or more."""
    return pipeline._replace(unet=torch.compile(pipeline.unet))


def in_fp8(pipeline: Pipeline) -> Pipeline:
    """The UNet's weights kept in float8_e4m3fn, each layer made float32 while it runs."""
    apply_layerwise_casting(
        pipeline.unet, storage_dtype=torch.float8_e4m3fn, compute_dtype=torch.float32
    )
    return pipeline

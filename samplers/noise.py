"""Step noise that is the same on every device.

Numbers are drawn on the CPU in float32 and then moved, so a workflow gives the same noise at every
step on CUDA, MPS, ROCm and CPU. ComfyUI draws step noise on the device of the latent, one stream
for a whole batch: a picture differs between devices, and between alone and in a batch.
"""

import torch

# 2^64 / golden ratio: spreads the streams of one batch over the generator's seeds
STREAM_DISTANCE = 0x9E3779B97F4A7C15


def cpu_noise(x, seed, indices=None):
    """A source of standard normal noise for one run.

    Picture i of a batch draws from a stream of its own, so it does not depend on what else is in
    the batch. Stream 0 is seeded with seed + 1, as ComfyUI 0.29 does on the CPU (the initial noise
    has seed itself): for a single picture on the CPU both draw the same numbers.

    Args:
        x: [B, C, ...] latent that gives shape, dtype and device.
        seed: the workflow's seed, any whole number.
        indices: B stream numbers; by default 0..B - 1.

    Returns:
        () -> [B, C, ...] fresh noise like x at every call.

    Raises:
        ValueError: the number of indices is not the batch size.
    """
    streams = range(x.shape[0]) if indices is None else indices
    if len(streams) != x.shape[0]:
        raise ValueError(
            f"indices has {len(streams)} entries for a batch of {x.shape[0]}; "
            "it needs one for each picture."
        )
    return seeded_noise(x, [seed + 1 + i * STREAM_DISTANCE for i in streams])


def seeded_noise(x, seeds):
    """A source of standard normal noise for pictures that each have a seed of their own.

    Args:
        x: [B, C, ...] latent that gives shape, dtype and device.
        seeds: B whole numbers. The first draw of one is ComfyUI's initial noise of this seed, and
            its draws from the next seed on are ComfyUI's step noise on the CPU.

    Returns:
        () -> [B, C, ...] fresh noise like x at every call.
    """
    generators = [torch.Generator("cpu").manual_seed(seed % 2**64) for seed in seeds]

    def draw():
        drawn = [torch.randn(x.shape[1:], generator=g, dtype=torch.float32) for g in generators]
        return torch.stack(drawn).to(device=x.device, dtype=x.dtype)

    return draw

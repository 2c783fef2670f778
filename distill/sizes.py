"""How many bytes the parts of a run take, worked out before there are any."""

import math
from collections.abc import Iterable, Sequence

# bytes that an optimizer remembers of each number trained: two moments, each of 4 or of 1
OPTIMIZER_BYTES = {"adamw": 8, "adamw 8-bit": 2}
WEIGHT_BYTES = GRADIENT_BYTES = 4


def trajectory_bytes(
    prompts: int, seeds: int, steps: int, shape: Sequence[int], bytes_per_number: int
) -> int:
    """Size of the teacher's data: of each prompt and seed steps + 1 states and steps predictions.

    Args:
        shape: [C, ...] of one latent.
        bytes_per_number: 2 for float16, 4 for float32.
    """
    return prompts * seeds * (2 * steps + 1) * math.prod(shape) * bytes_per_number


def lora_bytes(shapes: Iterable[Sequence[int]], rank: int, optimizer: str, copies: int) -> int:
    """Memory of a LoRA in training with its gradient, its optimizer's state and its averages.

    Args:
        shapes: [out, in, ...] of each layer, of convolutions with their kernel.
        optimizer: a name of OPTIMIZER_BYTES.
        copies: of the weights besides those trained, such as the average.

    Raises:
        ValueError: there is no such optimizer.
    """
    if optimizer not in OPTIMIZER_BYTES:
        raise ValueError(
            f"optimizer is {optimizer!r}; allowed is one of {', '.join(OPTIMIZER_BYTES)}."
        )
    numbers = rank * sum(out + math.prod(inner) for out, *inner in shapes)
    each = WEIGHT_BYTES * (1 + copies) + GRADIENT_BYTES + OPTIMIZER_BYTES[optimizer]
    return numbers * each


def fixed_and_per_sample(small: tuple[int, int], large: tuple[int, int]) -> tuple[int, int]:
    """Split the peaks of two trial iterations into bytes of any batch and bytes of each sample.

    Args:
        small, large: (samples at a time, peak of memory in bytes), large of more samples.

    Returns:
        (fixed, per_sample), never below what was measured.

    Raises:
        ValueError: large has not more samples, or took less memory.
    """
    samples, grown = large[0] - small[0], large[1] - small[1]
    if samples < 1 or grown < 0:
        raise ValueError(
            f"trials of {small[0]} and {large[0]} samples took {small[1]:,} and {large[1]:,} "
            "bytes; the second must have more samples and take no less. Measure again, with "
            "nothing else running on the device."
        )
    per_sample = -(-grown // samples)
    return small[1] - small[0] * per_sample, per_sample

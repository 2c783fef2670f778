"""The integer timesteps a distilled model was trained to be asked at, falling.

The length of a list is the number of network passes a run over it makes. `denoise` (img2img
strength) never invents timesteps a model was not distilled at; it keeps the low-noise end of what
the model knows. Two kinds of grid read it differently:

- `trailing` and `from_list` are the whole of what the model knows, so fewer points and fewer
  passes remain: 4 steps at denoise 0.5 is [499, 249].
- `lcm_grid` and `turbo` pick `steps` points out of a longer trained grid. There denoise shortens
  the trained grid first and exactly `steps` passes remain: 4 LCM steps at 0.5 is
  [499, 379, 259, 139].

Sources: trailing spacing, Lin et al., arXiv:2305.08891, table 2; LCM skipping, Luo et al.,
arXiv:2310.04378, section 4.3; turbo, the sampling demo of Sauer et al., arXiv:2311.17042.
"""

import math
import re

# timesteps of the sampling demo published with SD-Turbo and SDXL-Turbo
TURBO_GRID = list(range(999, 0, -100))


def trailing(steps, train_steps=1000, *, denoise=1.0):
    """Evenly spaced timesteps that include the last one trained (Lightning, Hyper-SD, PCM, DMD2).

    Exact for every count, where accumulating a float step is not: diffusers 0.42.1 returns 62
    timesteps for 61 steps.

    Raises:
        ValueError: steps is outside 1..train_steps, or denoise is out of range or too small.
    """
    _check_steps(steps, train_steps, "timesteps the model was trained with")
    # round is half to even, as in the reference: 16 steps has 937.5 as its second point
    grid = [round(train_steps * (steps - i) / steps) - 1 for i in range(steps)]
    return tail(grid, denoise)


def lcm_grid(steps, original_steps=50, *, train_steps=1000, denoise=1.0):
    """Timesteps picked evenly out of the `original_steps` an LCM or TCD model was distilled at.

    `denoise` means what LCMScheduler's `strength` means: the picking starts within the lowest
    original_steps * denoise points, rounded down, and `steps` passes remain.

    Raises:
        ValueError: original_steps is outside 1..train_steps, steps is outside
            1..original_steps, denoise is outside (0, 1] or leaves fewer points than steps.
    """
    if not 1 <= original_steps <= train_steps:
        raise ValueError(
            f"original_steps is {original_steps}; allowed is 1 to {train_steps}, the timesteps "
            "the model was trained with. LCM and TCD models use 50."
        )
    stride = train_steps // original_steps
    trained = [stride * i - 1 for i in range(original_steps, 0, -1)]
    kept_grid = _shorten(trained, steps, denoise, "LCM")
    return [kept_grid[i * len(kept_grid) // steps] for i in range(steps)]


def turbo(steps, *, denoise=1.0):
    """The first `steps` of 999, 899, ..., 99 (SD-Turbo and SDXL-Turbo as first published).

    `denoise` drops leading points of the ten before the picking, so `steps` passes remain.

    Raises:
        ValueError: steps is outside 1..10, denoise is outside (0, 1] or leaves fewer points
            than steps.
    """
    return _shorten(TURBO_GRID, steps, denoise, "turbo")[:steps]


def from_list(text, train_steps=1000, *, denoise=1.0):
    """Timesteps as a user writes them: whole numbers, falling, between commas or spaces.

    Raises:
        ValueError: nothing is written, an entry is not a whole number, leaves
            0..train_steps - 1, rises or repeats; denoise is out of range or too small.
    """
    words = re.split(r"[\s,;]+", text.strip(" \t\r\n,;"))
    if words == [""]:
        raise ValueError(
            "timesteps is empty; write falling whole numbers, for example 999, 749, 499, 249."
        )
    for word in words:
        if not re.fullmatch(r"[+-]?[0-9]+", word):
            raise ValueError(
                f"timesteps has {word!r}, which is not a whole number; write whole numbers "
                f"between 0 and {train_steps - 1}, for example 999, 749, 499, 249."
            )
    grid = [int(word) for word in words]
    for timestep in grid:
        if not 0 <= timestep < train_steps:
            raise ValueError(
                f"timesteps has {timestep}; allowed is 0 to {train_steps - 1}. "
                f"The highest noise is {train_steps - 1}."
            )
    for timestep, next_timestep in zip(grid, grid[1:], strict=False):
        if next_timestep >= timestep:
            raise ValueError(
                f"timesteps has {next_timestep} after {timestep}; each must be smaller than the "
                "one before it. Write the list from high noise to low, each number once."
            )
    return tail(grid, denoise)


def tail(grid, denoise):
    """The last points of `grid` that strength `denoise` keeps; see `kept` for how many."""
    return grid[len(grid) - kept(len(grid), denoise) :]


def kept(points, denoise):
    """How many of `points` grid points, hence network passes, strength `denoise` keeps.

    points * denoise to the nearest whole number, half rounds up. Below 1 at least the first point
    goes, because a grid's first point is (nearly) pure noise and would ignore the input picture:
    2 steps at 0.75 keep 1 point, as 0.5 does. diffusers' pipelines round down throughout, so 4
    steps at 0.7 make 2 passes there and 3 here.

    Raises:
        ValueError: denoise is outside (0, 1], or rounds to no point at all.
    """
    _check_denoise(denoise)
    if denoise == 1.0:
        return points
    count = min(math.floor(_product(points, denoise) + 0.5), points - 1)
    if count < 1:
        smallest = 1 if points == 1 else math.ceil(50 / points) / 100
        enough = max(2, math.ceil(0.5 / denoise))
        raise ValueError(
            f"denoise is {denoise:g}, which keeps none of the {points} points of this grid; "
            f"the smallest that works here is {smallest:g}. "
            f"Raise denoise, or use {enough} or more steps."
        )
    return count


def _shorten(trained, steps, denoise, grid_name):
    _check_denoise(denoise)
    _check_steps(steps, len(trained), f"points of the {grid_name} grid")
    count = math.floor(_product(len(trained), denoise))
    if count < steps:
        smallest = math.ceil(100 * steps / len(trained)) / 100
        remedy = f"Raise denoise to {smallest:g} or more"
        remedy += f", or lower steps to {count}." if count else "."
        raise ValueError(
            f"denoise is {denoise:g}, which leaves {count} of the {len(trained)} points of the "
            f"{grid_name} grid, fewer than the {steps} steps asked for. {remedy}"
        )
    return trained[len(trained) - count :]


def _product(points, denoise):
    # 50 * 0.58 is 28.999999999999996 in binary; the user means 29
    return round(points * denoise, 9)


def _check_steps(steps, most, what):
    if not 1 <= steps <= most:
        raise ValueError(f"steps is {steps}; allowed is 1 to {most}, the number of {what}.")


def _check_denoise(denoise):
    if not 0.0 < denoise <= 1.0:
        raise ValueError(
            f"denoise is {denoise:g}; allowed is above 0 up to 1. "
            "1 starts from pure noise, lower values keep more of the input picture."
        )

"""The recipe of a student that FewStep trained."""

from .own import UNNAMED
from .recipe import Guidance, Recipe, Sampler, Schedule, Steps

# of the sampler tcd: the default of its authors
ETA = 0.3


def student_recipe(
    title: str,
    family: str,
    base: str,
    prediction: str,
    *,
    steps: int,
    counts: tuple[int, ...],
    sampler: str = "euler",
    shift: float | None = None,
    told: tuple[float, float] | None = None,
    on_lcm_grid: bool = False,
) -> Recipe:
    """What a student needs, for the metadata of its LoRA.

    Args:
        base: of its teacher, as recipes name it.
        prediction: one of `recipe.PREDICTIONS`.
        steps: passes it is used with; counts: all it was trained for, rising.
        sampler: "euler", "lcm" or "tcd".
        shift: of a flow model, else None.
        told: lowest and highest cfg_scale that it can be told; None where one is baked in.
        on_lcm_grid: whether its levels are those of LCM's skipping grid.
    """
    spacing = "lcm" if on_lcm_grid else "trailing"
    guidance = Guidance("cfg", 1.0, 1.0, 1.0)
    if told is not None:
        low, high = told
        guidance = Guidance("embedded", (low + high) / 2, low, high)
    return Recipe(
        id=UNNAMED,
        family=family,
        title=title,
        base=base,
        kind="lora",
        names=(),
        examples=(),
        sha256=(),
        metadata={},
        structure=(),
        steps=Steps(steps, counts, counts[0], counts[-1]),
        guidance=guidance,
        negative_works=False,
        prediction=prediction,
        sampler=Sampler(sampler, ETA if sampler == "tcd" else None),
        schedule=Schedule(spacing=spacing),
        shift=shift,
        start="unit variance",
        strength=1.0,
        stage=None,
        bad=(),
        licence="that of its teacher",
        sources=("trained with FewStep",),
        verified=True,
        how_verified="Its trainer wrote it.",
    )

"""What is known of a graph's pieces, and what is said of them."""

from typing import NamedTuple

from .recipe import Recipe

FITS, DOES_NOT_FIT, CANNOT_KNOW = "fits", "does not fit", "cannot know"
# a start this much below the top, relative, is meant to begin with a picture
START_SLACK = 0.01


class Applied(NamedTuple):
    """One file on the model: a LoRA, or the network itself."""

    name: str
    kind: str  # one of recipe.KINDS
    recipe: Recipe | None = None
    strength: float | None = None  # as it acts on the weights; None for a network
    coverage: str | None = None  # "whole", "partial", "other network" or "none"
    trained_on: str | None = None  # name of the model that the file's metadata give


class Pieces(NamedTuple):
    """What is known of a graph; None is not known.

    Levels are those of the model's own process: VE sigma, or 0..1 for flow.
    """

    # architecture of the network, as recipes call it
    base: str | None = None
    cfg: float | None = None
    # real cfg in a part of the noise levels; then `cfg` is that of all others
    cfg_inside: float | None = None
    # euler, lcm and tcd are ours; ComfyUI's begin with "comfyui:"
    sampler: str | None = None
    eta: float | None = None
    sigmas: tuple[float, ...] | None = None
    # what the recipe asks for on this model at the count of steps that sigmas has; where the
    # recipe is one stage of two, the levels of the whole run through both
    needed: tuple[float, ...] | None = None
    # every level that the model was trained at
    grid: tuple[float, ...] | None = None
    # one of recipe.PREDICTIONS, as the model is read now
    prediction: str | None = None
    shift: float | None = None
    # whether ComfyUI's ModelSamplingDiscrete lcm is on
    boundary: bool | None = None
    # embedded guidance that the network is told, and whether it has an input for that
    guidance: float | None = None
    takes_guidance: bool | None = None
    # such as "float8_e4m3fn", and whether scales come with it
    weight_dtype: str | None = None
    scaled: bool | None = None
    applied: tuple[Applied, ...] | None = None
    # how many weights something else than FewStep has changed
    other_patches: int | None = None
    has_negative: bool | None = None
    empty_latent: bool | None = None

    @property
    def steps(self) -> int | None:
        """Network passes."""
        return None if self.sigmas is None else max(len(self.sigmas) - 1, 0)

    @property
    def top(self) -> float | None:
        """The level that a run from pure noise begins at."""
        if self.needed:
            return self.needed[0]
        return max(self.grid) if self.grid else None

    @property
    def starts_low(self) -> bool:
        """Whether the run begins below the top, as from a picture."""
        if not self.sigmas or self.top is None:
            return False
        return self.sigmas[0] < self.top * (1.0 - START_SLACK)


class Verdict(NamedTuple):
    """What is said of one subject; the last four are short texts, empty where nothing is to say."""

    subject: str
    verdict: str  # FITS, DOES_NOT_FIT or CANNOT_KNOW
    found: str
    needed: str
    symptom: str
    fix: str


def fit(found: str, needed: str) -> tuple[str, ...]:
    """A Verdict without its subject, as the three below."""
    return FITS, found, needed, "", ""


def wrong(found: str, needed: str, symptom: str, fix: str) -> tuple[str, ...]:
    return DOES_NOT_FIT, found, needed, symptom, fix


def unknown(needed: str, found: str = "not known", fix: str = "") -> tuple[str, ...]:
    return CANNOT_KNOW, found, needed, "", fix


def within(
    value: float | None, low: float, high: float, needed: str, *, below, above, fix, where=""
):
    """A number against its allowed range.

    Args:
        below, above: the symptoms outside of it.
        where: what is said behind the number of where it holds.
    """
    if value is None:
        return unknown(needed)
    found = f"{value:g}{where}"
    if low <= value <= high:
        return fit(found, needed)
    return wrong(found, needed, below if value < low else above, fix)

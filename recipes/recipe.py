"""A recipe: everything a distilled model must be given to be sampled as it was trained."""

from dataclasses import dataclass
from typing import NamedTuple

KINDS = ("lora", "unet", "checkpoint")
GUIDANCE_KINDS = ("cfg", "embedded")
PREDICTIONS = ("eps", "v", "x0", "flow")
STARTS = ("unit variance", "sigma")
STAGES = ("high", "low")
SPACINGS = ("trailing", "lcm", "turbo")
# what identify reads off a state dict besides base and kind
FEATURES = ("w embedding", "guidance embedding", "no guidance embedding", "mean flow")


class Steps(NamedTuple):
    """Network passes of one picture."""

    default: int
    trained: tuple[int, ...]
    low: int
    high: int


class Guidance(NamedTuple):
    """cfg: cfg_scale of the sampler, 1 = off; embedded: a number the network is told."""

    kind: str
    default: float
    low: float
    high: float


class Sampler(NamedTuple):
    """euler, lcm and tcd are ours, any other name is ComfyUI's; eta belongs to tcd."""

    name: str
    eta: float | None = None


class Schedule(NamedTuple):
    """How the noise levels come about; exactly one of the fields is set.

    spacing is one of SPACINGS, timesteps a falling list of whole numbers, sigmas a falling list of
    levels that ends in 0, scheduler a name of ComfyUI's for those that depend on more.
    """

    spacing: str | None = None
    timesteps: tuple[int, ...] | None = None
    sigmas: tuple[float, ...] | None = None
    scheduler: str | None = None


class Bad(NamedTuple):
    """A combination known to fail: with what, what is seen, what to do."""

    with_: str
    symptom: str
    fix: str


@dataclass(frozen=True)
class Recipe:
    """One entry of the data; recipes/data/README.md tells what each field means."""

    id: str
    family: str
    title: str
    base: str
    kind: str
    names: tuple[str, ...]
    examples: tuple[str, ...]
    sha256: tuple[str, ...]
    metadata: dict[str, str]
    structure: tuple[str, ...]
    steps: Steps
    guidance: Guidance
    negative_works: bool
    prediction: str
    sampler: Sampler
    schedule: Schedule
    shift: float | None
    start: str
    strength: float
    stage: str | None
    bad: tuple[Bad, ...]
    licence: str
    sources: tuple[str, ...]
    verified: bool
    how_verified: str

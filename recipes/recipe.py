"""A recipe: everything a distilled model must be given to be sampled as it was trained."""

from dataclasses import dataclass, replace
from typing import NamedTuple

KINDS = ("lora", "unet", "checkpoint")
GUIDANCE_KINDS = ("cfg", "embedded")
PREDICTIONS = ("eps", "v", "x0", "flow")
STARTS = ("unit variance", "sigma")
STAGES = ("high", "low")
SPACINGS = ("trailing", "lcm", "turbo")
# what identify reads off a state dict besides base and kind
FEATURES = ("w embedding", "guidance embedding", "no guidance embedding", "mean flow")
# steps from which on a network with cfg is taken for one that nobody has distilled
STEPS_OF_A_BASE = 20


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

    @property
    def is_distilled(self) -> bool:
        """False for the networks that stand here as what a distilled twin is mistaken for."""
        is_cfg_baked = self.guidance.high == 1.0
        return self.kind == "lora" or is_cfg_baked or self.steps.low < STEPS_OF_A_BASE

    def with_steps(self, steps: int) -> "Recipe":
        """This recipe at another count of steps; 0 keeps its own.

        Raises:
            ValueError: the count is not allowed, or the schedule is a list for another count.
        """
        if steps == 0:
            return self
        least, most = self.steps.low, self.steps.high
        if not least <= steps <= most:
            allowed = f"{least}" if least == most else f"{least} to {most}"
            raise ValueError(f"steps is {steps}; {self.title} allows {allowed}. {_instead(steps)}")
        # sigmas end in the 0 that is no step
        listed = self.schedule.timesteps or (self.schedule.sigmas or ())[:-1]
        if listed and len(listed) != steps:
            raise ValueError(
                f"steps is {steps}; the noise levels of {self.title} are a list for {len(listed)}. "
                f"{_instead(steps)}"
            )
        return replace(self, steps=self.steps._replace(default=steps))


def in_steps(count: int) -> str:
    """1 step, 4 steps."""
    return f"{count} step" if count == 1 else f"{count} steps"


def _instead(steps):
    return (
        f"Take the file made for {in_steps(steps)}, or build the levels with FewStep Sigmas for an "
        "experiment."
    )

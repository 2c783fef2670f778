"""Every way to make a student, by name: its stages, and how the student is sampled."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from .adversarial_method import distil_adversarially
from .consistency_methods import lcm, pcm, tcd, train_consistency
from .distribution_methods import dmd, tdm
from .lora import Lora
from .methods import bake_guidance, halve, match_endpoint, match_segments
from .progressive import stages
from .setting import Setting, anchor_levels
from .training import Method

# passes below which guidance alone makes no picture
FEWEST = 10
# those that a consistency student serves for
SERVED = (1, 2, 4, 8)


class Stage(NamedTuple):
    """One training of a chain.

    Attributes:
        name: of its folder.
        steps: passes that its student is used with; counts: all that it serves for, rising.
        begin: (setting, the student of the stage before or None) -> Method.
    """

    name: str
    steps: int
    counts: tuple[int, ...]
    begin: Callable[[Setting, Lora | None], Method]


class Way(NamedTuple):
    """A way to make a student.

    Attributes:
        stages_of: (the teacher's steps, the student's) -> stages, each student but the last the
            next one's teacher.
        sampler: "euler", "lcm" or "tcd", for which the student is made.
        is_on_lcm_grid: whether it is made for LCM's levels, where its network has timesteps.
        is_paired: whether it is to make the teacher's picture of each seed.
        family: of its recipe.
    """

    stages_of: Callable[[int, int], list[Stage]]
    sampler: str = "euler"
    is_on_lcm_grid: bool = False
    is_paired: bool = True
    family: str = "fewstep"

    def stages(self, data, steps: int) -> list[Stage]:
        """The stages that lead to a student of so many steps.

        Raises:
            ValueError: the teacher's steps do not allow it.
        """
        anchor_levels(data, steps)
        return self.stages_of(len(data.request.sigmas) - 1, steps)


def _single(method):
    """A way of one stage, whose method is told the steps."""

    def stages_of(passes, steps):
        return [Stage(f"{steps} steps", steps, (steps,), lambda s, before: method(s, steps=steps))]

    return stages_of


def _any_steps(method):
    """A way of one stage whose student serves for any few steps."""

    def stages_of(passes, steps):
        counts = tuple(sorted({*SERVED, steps}))
        return [Stage(f"{steps} steps", steps, counts, lambda s, before: method(s))]

    return stages_of


def _guidance(passes, steps):
    counts = tuple(sorted({min(FEWEST, passes), passes}))
    return [Stage("guidance", passes, counts, lambda s, before: bake_guidance(s))]


def _progressive(passes, steps):
    def begin(setting, before, count):
        if before is None:
            return match_segments(setting, count)
        return halve(setting, count, before)

    return [
        Stage(f"{count} steps", count, (count,), partial(begin, count=count))
        for count in stages(passes, steps)
    ]


GUIDANCE = "guidance"
# of a consistency student each step adds noise anew, so its picture of a seed is its own
WAYS = {
    GUIDANCE: Way(_guidance, family=GUIDANCE),
    "segments": Way(_single(match_segments)),
    "endpoint": Way(_single(match_endpoint)),
    "progressive": Way(_progressive),
    "lcm": Way(_any_steps(lcm), "lcm", is_on_lcm_grid=True, is_paired=False),
    "tcd": Way(_any_steps(tcd), "tcd", is_on_lcm_grid=True, is_paired=False),
    "pcm": Way(_single(pcm)),
    "ict": Way(_any_steps(train_consistency), "lcm", is_on_lcm_grid=True, is_paired=False),
    "tdm": Way(_single(tdm), is_paired=False),
    "dmd": Way(_single(dmd), sampler="lcm", is_paired=False),
    "adversarial": Way(_single(distil_adversarially), is_paired=False),
}
STEPS = tuple(name for name in WAYS if name != GUIDANCE)
EXPERIMENTAL = ("tdm", "dmd", "adversarial")

"""Every way to make a student, by name: its stages, and how the student is sampled."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from .adversarial_method import distil_adversarially
from .consistency_methods import lcm, pcm, tcd, train_consistency
from .distribution_methods import dmd, tdm
from .lora import Lora
from .methods import bake_guidance, halve, match_endpoint, match_segments
from .names import GUIDANCE
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
        name: as the user chooses it.
        stages_of: (the teacher's steps, the student's) -> stages, each student but the last the
            next one's teacher.
        sampler: "euler", "lcm" or "tcd", for which the student is made.
        is_on_lcm_grid: whether it is made for LCM's levels, where its network has timesteps.
        is_paired: whether it is to make the teacher's picture of each seed.
        family: of its recipe.
        needs_paths: whether it learns from the teacher's own path from noise to picture.
        needs_pictures: whether a prompt without a picture in the data is of no use to it.
    """

    name: str
    stages_of: Callable[[int, int], list[Stage]]
    sampler: str = "euler"
    is_on_lcm_grid: bool = False
    is_paired: bool = True
    family: str = "fewstep"
    needs_paths: bool = False
    needs_pictures: bool = True

    def stages(self, data, steps: int) -> list[Stage]:
        """The stages that lead to a student of so many steps.

        Raises:
            ValueError: the teacher's steps do not allow it, or the data has no paths for it.
        """
        if self.needs_paths and not data.request.has_paths:
            raise ValueError(_no_paths(self.name))
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


def _no_paths(name):
    allowed = ", ".join(way.name for way in WAYS.values() if not way.needs_paths)
    return (
        f"method is {name!r}, which learns how the teacher goes from noise to picture, and data "
        "was made of pictures, to which the teacher has not gone. Allowed with them are "
        f"{allowed}. Choose one of these, or have the teacher draw its own pictures."
    )


# of a consistency student each step adds noise anew, so its picture of a seed is its own
OWN_PICTURES = {"is_paired": False}
CONSISTENCY = {"is_on_lcm_grid": True, **OWN_PICTURES}
WAYS = {
    way.name: way
    for way in (
        Way(GUIDANCE, _guidance, family=GUIDANCE),
        Way("segments", _single(match_segments), needs_paths=True),
        Way("endpoint", _single(match_endpoint), needs_paths=True),
        Way("progressive", _progressive, needs_paths=True),
        Way("lcm", _any_steps(lcm), "lcm", **CONSISTENCY),
        Way("tcd", _any_steps(tcd), "tcd", **CONSISTENCY),
        Way("pcm", _single(pcm)),
        Way("ict", _any_steps(train_consistency), "lcm", **CONSISTENCY),
        Way("tdm", _single(tdm), needs_pictures=False, **OWN_PICTURES),
        Way("dmd", _single(dmd), "lcm", needs_pictures=False, **OWN_PICTURES),
        Way("adversarial", _single(distil_adversarially), **OWN_PICTURES),
    )
}

"""The ways to make a picture of the demo model that are timed beside each other."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

import torch

from ..demo.weights import GUIDANCE
from ..evaluate.golden_set import shipped
from ..samplers.noise import seeded_noise
from .compare import LATENT, STUDENT, TEACHER, sample
from .pipeline import load_demo
from .results import Method
from .shipped_students import shipped_students
from .speed_ups import cached, compiled, in_fp8

# () -> passes that a picture took
Make = Callable[[], int]
TEACHERS = tuple(Method(TEACHER, steps, GUIDANCE) for steps in (50, 25, 10))
LCM = tuple(Method(STUDENT, steps, 1.0, "lcm", "lcm") for steps in (8, 4, 2))
# those that a speed-up is tried on
CACHED = TEACHERS[:2]
TRIED = TEACHERS[1], LCM[1]


class Way(NamedTuple):
    """A way to make a picture.

    Attributes:
        load: () -> Make; what a machine cannot do shows then, or with the first picture.
        is_usual: False where a machine may not be able to, so that it is tried; those of the demo
            model take minutes and gain nothing on a CPU, so that they must be named.
    """

    name: str
    load: Callable[[], Make]
    is_usual: bool = True


def demo_ways() -> list[Way]:
    """The undistilled model first, then LCM-LoRA and students, then what needs no training."""
    return [*_plain(), *_sped_up()]


def _plain() -> Iterator[Way]:
    for method in (*TEACHERS, *LCM):
        yield Way(method.title, partial(_load, method))
    for student in shipped_students():
        if student.method.shift is None:
            yield Way(student.method.title, lambda one=student: _make(one.load(), one.method))


def _sped_up() -> Iterator[Way]:
    for method in CACHED:
        yield Way(f"{method.title}, cache", partial(_load, method, make=_make_cached))
    for name, speed_up in (("compiled", compiled), ("fp8 weights", in_fp8)):
        for method in TRIED:
            yield Way(f"{method.title}, {name}", partial(_load, method, speed_up), is_usual=False)


def _load(method, speed_up=lambda pipeline: pipeline, make=None):
    return (make or _make)(speed_up(load_demo(lora=method.model == STUDENT)), method)


def _make(pipeline, method: Method) -> Make:
    """The latent of one picture, text encoding included; decoding is the same for all."""
    return lambda: _sampled(pipeline, method, lambda denoise: (denoise, lambda: method.passes))


def _make_cached(pipeline, method: Method) -> Make:
    def wrap(denoise):
        denoise, reuse = cached(denoise)
        return denoise, lambda: reuse.tally.computed * method.passes // method.steps

    return lambda: _sampled(pipeline, method, wrap)


def _sampled(pipeline, method, wrap):
    golden, like = shipped("demo")[0], torch.empty(1, *LATENT)
    noise, step_noise = (seeded_noise(like, [golden.seed + later]) for later in (0, 1))
    denoise = pipeline.denoiser([golden.prompt], method.cfg_scale, method.guidance)
    denoise, passes = wrap(denoise)
    sample(denoise, method, noise(), step_noise)
    return passes()

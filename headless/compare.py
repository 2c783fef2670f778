"""The teacher beside its few-step student: same captions, same noise, timed by turns."""

import time
from typing import NamedTuple

import numpy as np
import torch

from ..demo.features import feature_distance, features
from ..demo.judge import read_picture, satisfies
from ..demo.score import score
from ..demo.weights import FLOW_SHIFT, GUIDANCE
from ..demo.world import caption, random_scene, read_caption
from ..diffusion.process import FLOW, VE
from ..diffusion.sigmas import flow_trailing, from_timesteps, sigma_table
from ..diffusion.timesteps import lcm_grid, trailing
from ..recipes.students import ETA
from ..samplers import landings
from ..samplers.noise import cpu_noise
from ..samplers.ode import sample_euler
from ..samplers.start import start
from ..samplers.trajectory import ignore, sample_trajectory
from .results import LEAST_FOR_DISTANCE, Method, Result

TEACHER, STUDENT, FLOW_TEACHER = "teacher", "LCM-LoRA", "flow teacher"
METHODS = (
    Method(TEACHER, 50, GUIDANCE),
    *(Method(STUDENT, steps, 1.0, "lcm", "lcm") for steps in (8, 4, 2, 1)),
    *(Method(TEACHER, steps, GUIDANCE) for steps in (8, 4, 2)),
)
FLOW_METHODS = tuple(Method(FLOW_TEACHER, steps, GUIDANCE, shift=FLOW_SHIFT) for steps in (24, 4))
GRIDS = {"trailing": trailing, "lcm": lcm_grid}
LATENT = (4, 16, 16)
# added to the seed for the pictures the others are measured against
REFERENCE_SEED = 2


class Run(NamedTuple):
    """Everything one method made; pictures holds the first few only."""

    seconds: list[float]  # of each batch, sampling alone
    decode_seconds: list[float]
    features: list[np.ndarray]
    verdicts: list[bool]
    pictures: list[np.ndarray]


def demo_captions(count: int, seed: int) -> list[str]:
    """Captions with one and with two objects by turns; equal seeds give equal captions."""
    rng = np.random.default_rng(seed)
    return [caption(random_scene(rng, 1 + i % 2), rng) for i in range(count)]


def compare(
    pipelines,
    captions,
    *,
    seed,
    batch,
    columns,
    methods=METHODS,
    on_passes=lambda passes: None,
):
    """Make a picture of every caption with each method, and measure.

    Args:
        pipelines: the Pipeline of every model that a method names, by this name.
        captions: of the demo world.
        seed: of all noise.
        batch: pictures at a time.
        columns: how many pictures of each method to keep.
        methods: the first of each shift is the one that others of this shift are measured against.
        on_passes: called with the number of pictures that have just taken a network pass.

    Returns:
        (a Result for each method, seconds of decoding per picture)
    """
    warm_up(pipelines, captions[:batch], methods)
    teachers = _teachers(methods)
    runs, references = (
        {method: Run([], [], [], [], []) for method in some}
        for some in (methods, teachers.values())
    )
    for turn, first in enumerate(range(0, len(captions), batch)):
        rows = range(first, min(first + batch, len(captions)))
        shift = turn % len(methods)
        for method in methods[shift:] + methods[:shift]:
            pipeline = pipelines[method.model]
            _extend(runs[method], pipeline, method, captions, rows, seed, columns, on_passes)
        for teacher, run in references.items():
            pipeline, other = pipelines[teacher.model], seed + REFERENCE_SEED
            _extend(run, pipeline, teacher, captions, rows, other, 0, on_passes)
    decoding = [seconds for run in runs.values() for seconds in run.decode_seconds]
    results = []
    for method, run in runs.items():
        teacher = teachers[method.shift]
        results.append(_result(method, run, runs[teacher], references[teacher], captions))
    return results, sum(decoding) / len(methods) / len(captions)


def total_passes(count: int, methods=METHODS) -> int:
    """How often compare() will call on_passes, times the pictures of each call."""
    return count * sum(method.passes for method in (*methods, *_teachers(methods).values()))


def _teachers(methods):
    """The first method of each shift."""
    return {method.shift: method for method in reversed(methods)}


def warm_up(pipelines, captions, methods):
    """One step of each kind, so that no method pays for being the first."""
    noise = torch.zeros(len(captions), *LATENT)
    for method in {method._replace(steps=1) for method in methods}:
        pipeline = pipelines[method.model]
        denoise = pipeline.denoiser(captions, method.cfg_scale, method.guidance)
        # pictures are decoded one at a time, so that one warms up for all
        pipeline.decode(sample(denoise, method, noise, None)[:1])


def sample(denoise, method, noise, step_noise, on_step=ignore):
    """Clean latents of one method."""
    sigmas = levels(method)
    process = VE if method.shift is None else FLOW
    x = start(noise, torch.zeros_like(noise), sigmas[0], process=process)
    options = {"process": process, "on_step": on_step}
    if method.sampler == "euler":
        return sample_euler(denoise, x, sigmas, **options)
    landed = landings.lcm(sigmas)
    if method.sampler == "tcd":
        landed = landings.tcd(sigmas, ETA, sigma_table())
    return sample_trajectory(denoise, x, sigmas, landed, noise=step_noise, **options)


def levels(method) -> list[float]:
    """The noise levels of a method, falling to 0."""
    if method.shift is not None:
        return flow_trailing(method.steps, method.shift)
    return from_timesteps(GRIDS[method.spacing](method.steps), sigma_table())


def _extend(run, pipeline, method, captions, rows, seed, columns, on_passes):
    """Make and judge the pictures of these rows of the captions."""
    texts = [captions[row] for row in rows]
    like = torch.empty(len(rows), *LATENT)
    # as in ComfyUI, the initial noise has the seed itself and the steps' noise the next one
    noise, step_noise = cpu_noise(like, seed - 1, rows)(), cpu_noise(like, seed, rows)
    denoise = pipeline.denoiser(texts, method.cfg_scale, method.guidance)
    at_once = method.passes // method.steps * len(rows)
    begin = time.perf_counter()
    x = sample(denoise, method, noise, step_noise, lambda *_: on_passes(at_once))
    sampled = time.perf_counter()
    pictures = pipeline.decode(x)
    run.seconds.append(sampled - begin)
    run.decode_seconds.append(time.perf_counter() - sampled)
    for row, text, picture in zip(rows, texts, pictures, strict=True):
        seen = read_picture(picture)
        run.features.append(features(picture, seen))
        run.verdicts.append(satisfies(seen, read_caption(text)))
        if row < columns:
            run.pictures.append(picture)


def _result(method, run, teacher_run, reference, captions):
    enough = len(captions) >= LEAST_FOR_DISTANCE
    ours, theirs = np.stack(run.features), np.stack(reference.features)
    return Result(
        method=method,
        seconds=sum(run.seconds) / len(captions),
        ratio=sum(teacher_run.seconds) / sum(run.seconds),
        scores=score(run.verdicts, [read_caption(text) for text in captions]),
        distance=feature_distance(theirs, ours) if enough else None,
        pictures=np.stack(run.pictures),
        verdicts=tuple(run.verdicts[: len(run.pictures)]),
    )

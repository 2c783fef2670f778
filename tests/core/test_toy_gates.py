"""Losses train a student: points on a ring, cfg_scale 2, a teacher of 50 steps.

What is wanted is the teacher's own point for each start. Not everything that lowers a loss does
that, so each gate is shown shut to a loss with a common mistake in it.
"""

from typing import NamedTuple

import pytest
import torch
from oracles.mixture import guided, ring
from toy_network import Denoiser

from fewstep.diffusion.process import VE
from fewstep.diffusion.sigmas import from_timesteps, sigma_table
from fewstep.diffusion.timesteps import lcm_grid, trailing
from fewstep.distill.guidance import guidance_loss
from fewstep.distill.knowledge import endpoint_loss, segment_loss
from fewstep.distill.pace import pace, set_learning_rate
from fewstep.samplers.ode import sample_euler

COND, UNCOND = ring(VE.alpha, radius=1.0, std=0.4)
TEACHER = guided(COND, UNCOND, cfg_scale=2.0)
TIMESTEPS = trailing(50)
SIGMAS = from_timesteps(TIMESTEPS, sigma_table())
# four of the teacher's levels and clean
ANCHORS = [TIMESTEPS.index(timestep) for timestep in lcm_grid(4)] + [50]
FEW = [SIGMAS[i] for i in ANCHORS]
LEVELS = torch.tensor(SIGMAS)[:, None]
BATCH, LEARNING_RATE, WARM_UP = 512, 1e-3, 10
# a mistake is plain after half of them: what it is held above, a right student is below by then
ITERATIONS, HALF = 500, 250


class Paths(NamedTuple):
    x: torch.Tensor  # [51, N, 2] states at SIGMAS
    x0: torch.Tensor  # [50, N, 2] guided x0 estimates at them


def paths(count, seed):
    noise = torch.randn(
        count, 2, generator=torch.Generator().manual_seed(seed), dtype=torch.float64
    )
    states, estimates = [], []

    def keep(i, x, denoised):
        states.append(x)
        estimates.append(denoised)

    start = VE.std(SIGMAS[0]) * noise
    states.append(sample_euler(TEACHER, start, SIGMAS, process=VE, on_step=keep))
    return Paths(torch.stack(states).float(), torch.stack(estimates).float())


@pytest.fixture(scope="module")
def cached():
    return paths(4000, seed=0)


@pytest.fixture(scope="module")
def held_out():
    return paths(2000, seed=1)


def train(loss, count, iterations):
    """A student of the loss (student, numbers of trajectories [B], generator) -> [B]."""
    student = Denoiser(VE)
    optimizer = torch.optim.Adam(student.parameters())
    generator = torch.Generator().manual_seed(0)
    for i in range(iterations):
        set_learning_rate(optimizer, LEARNING_RATE * pace(i, iterations, WARM_UP))
        number = torch.randint(count, (BATCH,), generator=generator)
        optimizer.zero_grad()
        loss(student, number, generator).mean().backward()
        optimizer.step()
    return student


@torch.no_grad()
def distance(student, sigmas, held_out):
    """Root mean square distance of its points to the teacher's, and the ratio of their widths."""
    points, wanted = sample_euler(student, held_out.x[0], sigmas, process=VE), held_out.x[-1]
    return (points - wanted).square().mean().sqrt().item(), points.std(0) / wanted.std(0)


def guidance_student(x, wanted, iterations=ITERATIONS):
    def loss(student, number, generator):
        level = torch.randint(50, (BATCH,), generator=generator)
        states, targets = x[level, number], wanted[level, number]
        options = {"process": VE, "weighting": "v"}
        return guidance_loss(student, states, LEVELS[level], targets, **options)

    return train(loss, x.shape[1], iterations)


def endpoint_student(x, end, iterations=ITERATIONS):
    def loss(student, number, generator):
        return endpoint_loss(student, x[0, number], FEW, end[number])

    return train(loss, x.shape[1], iterations)


def segment_student(x, landings, iterations=ITERATIONS):
    """landings: where on the teacher's grid the states to land on are taken from."""
    anchors, landings = torch.tensor(ANCHORS), torch.tensor(landings)

    def loss(student, number, generator):
        i = torch.randint(4, (BATCH,), generator=generator)
        here, there = x[anchors[i], number], x[landings[i], number]
        sigma, sigma_next = LEVELS[anchors[i]], LEVELS[anchors[i + 1]]
        options = {"process": VE, "weighting": "v"}
        return segment_loss(student, here, sigma, there, sigma_next, **options)

    return train(loss, x.shape[1], iterations)


def test_four_steps_of_the_teacher_itself_are_far_from_its_fifty(held_out):
    apart, _ = distance(TEACHER, FEW, held_out)
    assert apart > 0.2


def test_one_pass_learns_guidance(cached, held_out):
    apart, _ = distance(guidance_student(cached.x, cached.x0), SIGMAS, held_out)
    assert apart < 0.03


def test_one_pass_that_learns_the_condition_alone_is_not_guided(cached, held_out):
    states, levels = cached.x[:-1].flatten(0, 1).double(), LEVELS[:-1].double()
    cond = COND.denoised(states, levels.repeat_interleave(cached.x.shape[1], dim=0))
    student = guidance_student(cached.x, cond.view_as(cached.x0).float(), HALF)
    apart, widths = distance(student, SIGMAS, held_out)
    assert apart > 0.2 and (widths > 1.2).all()


def test_a_run_of_four_steps_learns_where_fifty_end(cached, held_out):
    student = endpoint_student(cached.x, cached.x[-1])
    apart, widths = distance(student, FEW, held_out)
    assert apart < 0.01
    assert ((widths - 1).abs() < 0.02).all()


def test_a_run_that_learns_the_level_before_the_end_is_left_with_its_noise(cached, held_out):
    student = endpoint_student(cached.x, cached.x[-2], HALF)
    apart, widths = distance(student, FEW, held_out)
    assert apart > 0.03 and (widths > 1.05).all()


def test_each_of_four_steps_learns_its_segment_of_fifty(cached, held_out):
    student = segment_student(cached.x, ANCHORS[1:])
    apart, widths = distance(student, FEW, held_out)
    assert apart < 0.025
    assert ((widths - 1).abs() < 0.02).all()


@pytest.mark.parametrize("off", [-1, 1])
def test_segments_that_end_a_level_off_are_noticed(off, cached, held_out):
    landings = [min(i + off, 50) for i in ANCHORS[1:]]
    student = segment_student(cached.x, landings, HALF)
    apart, widths = distance(student, FEW, held_out)
    assert apart > 0.06
    assert ((widths - 1).abs() > 0.1).all()

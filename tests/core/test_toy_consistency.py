"""Consistency distillation trains a student: points on a ring, cfg_scale 2, a teacher of 50 steps.

What is wanted is the teacher's own point for each start, in one step. A falling loss does not tell
that, so the gate is shown shut to two mistakes with which it falls just as well.
"""

import copy
from typing import NamedTuple

import pytest
import torch
from families import GRID, OF_VE, TABLE
from oracles.mixture import guided, ring
from toy_network import Denoiser

from fewstep.diffusion.process import VE
from fewstep.distill.consistency import consistency_distillation_loss
from fewstep.distill.consistency_function import consistency_function, neighbours
from fewstep.distill.training import Method, Options, Training, Turn
from fewstep.samplers.ode import sample_euler

COND, UNCOND = ring(VE.alpha, radius=1.0, std=0.4)
TEACHER = guided(COND, UNCOND, cfg_scale=2.0)
LEVELS = OF_VE.levels(50)
BEFORE = torch.tensor([[TABLE[t - 1]] for t in GRID])


class Batch(NamedTuple):
    x0: torch.Tensor
    noise: torch.Tensor
    point: torch.Tensor


def draw(generator, count):
    return Batch(
        x0=COND.draw(count, generator).float(),
        noise=torch.randn(count, 2, generator=generator),
        point=torch.randint(50, (count,), generator=generator),
    )


def distilled(hop_of, iterations):
    """The slow copy of a student; hop_of (point, x, sigma, sigma_next) -> guided_x0, sigma_next."""
    student = Denoiser(VE)
    average = copy.deepcopy(student).requires_grad_(False)
    f, target = (consistency_function(network, TABLE) for network in (student, average))

    def loss(batch):
        sigma, sigma_next = neighbours(LEVELS, batch.point, batch.x0)
        x = VE.mix(batch.x0, batch.noise, sigma)
        guided_x0, sigma_next = hop_of(batch.point, x, sigma, sigma_next)
        return consistency_distillation_loss(f, target, guided_x0.float(), x, sigma, sigma_next)

    method = Method(student, average, (Turn("student", student, loss),), draw)
    options = Options(iterations=iterations, batch=512, learning_rate=1e-3, ema_decay=0.95)
    run = Training(method, options)
    while not run.is_done:
        run.step()
    return target, run.losses["student"]


@torch.no_grad()
def distance(f):
    """Root mean square distance of its points to where the teacher's 50 steps lead."""
    noise = torch.randn(2000, 2, generator=torch.Generator().manual_seed(1))
    x = VE.std(LEVELS[0]) * noise
    wanted = sample_euler(TEACHER, x.double(), [*LEVELS[:-1], 0.0], process=VE).float()
    points = f(x, torch.full((2000, 1), LEVELS[0]))
    return (points - wanted).square().mean().sqrt().item()


def right(point, x, sigma, sigma_next):
    return TEACHER(x, sigma), sigma_next


def noise_of_the_condition_alone(point, x, sigma, sigma_next):
    """Land on guided x0 + sigma_next eps, eps without guidance."""
    ratio = sigma_next / sigma
    guided_x0, x0 = TEACHER(x, sigma), COND.denoised(x, sigma)
    return (guided_x0 - ratio * x0) / (1 - ratio), sigma_next


def one_timestep_instead_of_a_skip(point, x, sigma, sigma_next):
    return TEACHER(x, sigma), BEFORE[point]


def test_a_student_with_a_slow_target_learns_the_teachers_map_in_one_step():
    # the teacher's own single step is 0.53 off
    f, _ = distilled(right, 2000)
    assert distance(f) < 0.06


# the right loss comes to 0.08 in as many iterations
@pytest.mark.parametrize("mistake", [noise_of_the_condition_alone, one_timestep_instead_of_a_skip])
def test_the_gate_is_shut_to_a_wrong_hop_whose_loss_falls_as_well(mistake):
    f, losses = distilled(mistake, 1000)
    assert sum(losses[-50:]) < 0.2 * sum(losses[:50])
    assert distance(f) > 0.2

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler, FlowMatchEulerDiscreteScheduler
from families import (
    COND,
    GRID,
    GUIDED,
    OF_FLOW,
    OF_VE,
    STD,
    TABLE,
    UNCOND,
    W,
    at_points,
    guided,
    of_each_family,
    zero,
)
from oracles.gaussian import Gaussian
from oracles.network import ALPHA_BARS

from fewstep.distill.consistency import (
    consistency_distillation_loss,
    ict_c,
    pseudo_huber,
    whole_pseudo_huber,
)
from fewstep.distill.consistency_function import consistency_function
from fewstep.samplers.ode import sample_euler


def end_of_flow(gaussian: Gaussian):
    return lambda x, sigma: gaussian.flow(x, sigma, 0.0)


# --- distillation ---------------------------------------------------------------------------------


def test_each_point_is_compared_with_its_neighbour_one_skip_nearer_to_clean():
    asked = {}

    def spy(name):
        def network(x, sigma):
            asked[name] = sigma
            return torch.zeros_like(x)

        return network

    x, sigma, sigma_next = at_points(OF_VE, [0, 1, 20, 49])
    consistency_distillation_loss(spy("student"), spy("target"), x, x, sigma, sigma_next)
    assert asked["student"].shape == (4, 1, 1)
    assert asked["student"].flatten().tolist() == [TABLE[t] for t in (999, 979, 599, 19)]
    assert asked["target"].flatten().tolist() == [TABLE[t] for t in (979, 959, 579, 0)]


def end_of_steps(denoise, levels, process):
    """The consistency function of the teacher's own steps down the grid."""

    def f(x, sigma):
        (level,) = set(sigma.flatten().tolist())
        return sample_euler(denoise, x, levels[levels.index(level) :], process=process)

    return f


@of_each_family
@pytest.mark.parametrize("point", [0, 1, 20, 48, 49])
def test_the_student_that_has_no_loss_is_that_of_the_guided_teacher(family, point):
    x, sigma, sigma_next = at_points(family, [point] * 4)
    guided_x0 = guided(family)(x, sigma)

    def loss(w, guided_x0=guided_x0):
        mean = COND + w * (COND - UNCOND)
        f = end_of_steps(family.gaussian(mean, STD).denoised, family.levels(50), family.process)
        return consistency_distillation_loss(f, f, guided_x0, x, sigma, sigma_next)

    assert (loss(W) < 1e-12).all()
    for other in (W - 1, W + 1, 0.0):
        assert (loss(other) > 1e-6).all()
    # guided x0 with the noise of the condition alone: the step is r (guided - cond) off
    cond_x0 = family.gaussian(COND, STD).denoised(x, sigma)
    ratio = sigma_next / sigma
    mixed = guided_x0 + ratio / (1 - ratio) * (guided_x0 - cond_x0)
    is_last = (sigma_next == 0).all()
    assert (loss(W, mixed) > 1e-2).all() or is_last


@of_each_family
def test_a_fine_grid_leaves_the_exact_consistency_function_no_loss_at_first_order(family):
    f = end_of_flow(family.gaussian(GUIDED, STD))

    def residual(steps):
        x, sigma, sigma_next = at_points(family, list(range(steps)), steps)
        guided_x0 = guided(family)(x, sigma)
        # with c of nothing the distance is absolute
        arguments = f, f, guided_x0, x, sigma, sigma_next
        return consistency_distillation_loss(*arguments, c=1e-12).sum().item()

    residuals = [residual(steps) for steps in (100, 250, 500)]
    orders = [
        math.log(coarse / fine) / math.log(steps)
        for (coarse, fine), steps in zip(pairwise(residuals), (2.5, 2.0), strict=True)
    ]
    assert orders == pytest.approx([1.0, 1.0], abs=0.15)


@of_each_family
def test_a_teacher_that_steps_exactly_leaves_the_exact_consistency_function_no_loss(family):
    x, sigma, sigma_next = at_points(family, list(range(49)))
    gaussian = family.gaussian(GUIDED, STD)
    f, other = end_of_flow(gaussian), end_of_flow(family.gaussian(GUIDED + COND - UNCOND, STD))
    guided_x0 = gaussian.jump(x, sigma, sigma_next)
    loss = lambda f: consistency_distillation_loss(f, f, guided_x0, x, sigma, sigma_next)
    assert (loss(f) < 1e-12).all()
    assert (loss(other) > 1e-6).all()


def step_of(x, sigma, sigma_next, guided_x0):
    """Where the loss has the target start."""
    seen = []

    def target(x, sigma):
        seen.append(x)
        return torch.zeros_like(x)

    consistency_distillation_loss(zero, target, guided_x0, x, sigma, sigma_next)
    return seen[0]


def test_the_target_starts_from_the_teachers_ddim_step():
    scheduler = DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        clip_sample=False,
        set_alpha_to_one=False,
    )
    alpha_bar = torch.tensor(ALPHA_BARS)
    scheduler.alphas_cumprod, scheduler.final_alpha_cumprod = alpha_bar, alpha_bar[0]
    scheduler.set_timesteps(50)
    for point in (0, 7, 33, 48, 49):
        x, sigma, sigma_next = at_points(OF_VE, [point] * 2)
        guided_x0 = torch.sin(3 * x) + sigma / 10
        t, t_next = [*GRID, 0][point : point + 2]
        eps = (x - guided_x0) / sigma
        wanted = scheduler.step(eps, t, x * alpha_bar[t].sqrt()).prev_sample
        landed = step_of(x, sigma, sigma_next, guided_x0)
        torch.testing.assert_close(landed * alpha_bar[t_next].sqrt(), wanted, rtol=1e-9, atol=1e-9)


def test_a_flow_model_steps_as_diffusers_does_on_its_shifted_levels():
    scheduler = FlowMatchEulerDiscreteScheduler(shift=3.0)
    scheduler.set_timesteps(sigmas=np.arange(50, 0, -1) / 50)
    torch.testing.assert_close(torch.tensor(OF_FLOW.levels(50)), scheduler.sigmas)
    for point in (0, 7, 33, 49):
        x, sigma, sigma_next = at_points(OF_FLOW, [point] * 2)
        guided_x0 = torch.sin(3 * x) + sigma / 10
        scheduler.set_begin_index(point)
        scheduler._step_index = None
        velocity = (x - guided_x0) / sigma
        wanted = scheduler.step(velocity, scheduler.timesteps[point], x).prev_sample
        landed = step_of(x, sigma, sigma_next, guided_x0)
        torch.testing.assert_close(landed, wanted, rtol=1e-5, atol=1e-5)


@of_each_family
def test_at_the_last_point_the_target_is_its_input(family):
    # timestep 0 in LCM and level 0 in flow models are the boundary
    x, sigma, sigma_next = at_points(family, [49, 49])
    guided_x0 = x.sin()
    nonsense = consistency_function(lambda x, sigma: torch.full_like(x, 1e3), family.table)
    loss = consistency_distillation_loss(zero, nonsense, guided_x0, x, sigma, sigma_next)
    landed = guided_x0 + sigma_next / sigma * (x - guided_x0)
    if family.table:
        landed = landed * ALPHA_BARS[0] ** 0.5
    torch.testing.assert_close(loss, pseudo_huber(landed))


def test_only_the_student_is_given_a_gradient():
    x, sigma, sigma_next = at_points(OF_VE, [3, 30])
    weights = {name: torch.ones((), dtype=torch.float64, requires_grad=True) for name in "stg"}
    student, target = (lambda x, sigma, w=weights[name]: w * x for name in "st")
    guided_x0 = weights["g"] * x.sin()
    consistency_distillation_loss(student, target, guided_x0, x, sigma, sigma_next).sum().backward()
    assert weights["s"].grad.abs() > 0
    assert weights["g"].grad is None and weights["t"].grad is None


def test_half_precision_is_only_in_what_is_given():
    x, sigma, sigma_next = at_points(OF_VE, [0, 30])
    x, guided_x0 = x.half(), (x + 0.01).half()
    sigma, sigma_next = sigma.float(), sigma_next.float()
    network = lambda x, sigma: (0.9 * x.sin()).half()
    loss = consistency_distillation_loss(network, network, guided_x0, x, sigma, sigma_next)
    in_float = lambda x, sigma: network(x, sigma).float()
    wanted = consistency_distillation_loss(
        in_float, in_float, guided_x0.float(), x.float(), sigma, sigma_next
    )
    assert loss.dtype == torch.float32 and torch.equal(loss, wanted)


# --- distances ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("difference", "c", "wanted"), [(0.0, 1.0, 0.0), (3.0, 4.0, 1.0)])
def test_pseudo_huber_by_hand(difference, c, wanted):
    x = torch.full((2, 1, 2), difference, dtype=torch.float64)
    torch.testing.assert_close(pseudo_huber(x, c), torch.full((2,), wanted, dtype=torch.float64))


def test_pseudo_huber_is_absolute_far_from_zero():
    x = torch.tensor([[-7.0, 5.0]], dtype=torch.float64)
    torch.testing.assert_close(
        pseudo_huber(x), torch.tensor([6.0 - 1e-3], dtype=torch.float64), rtol=0, atol=1e-6
    )


def test_the_pseudo_huber_of_ict_is_of_the_whole_difference():
    # |(3, 4)| is 5, and 5, 12, 13 is a right triangle
    x = torch.tensor([[[3.0], [4.0]], [[0.0], [0.0]]], dtype=torch.float64)
    wanted = torch.tensor([1.0, 0.0], dtype=torch.float64)
    torch.testing.assert_close(whole_pseudo_huber(x, 12.0), wanted)


def test_the_c_of_ict_is_3_hundredths_for_cifar():
    assert ict_c(32 * 32 * 3) == pytest.approx(0.03, abs=1e-4)
    assert ict_c(10_000) == pytest.approx(0.054)

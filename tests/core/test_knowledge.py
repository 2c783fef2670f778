import functools

import pytest
import torch
from oracles.gaussian import rectified_flow, ve
from oracles.perfect_student import perfect_student
from torch.utils.checkpoint import checkpoint

from fewstep.diffusion.process import FLOW, VE
from fewstep.distill.knowledge import endpoint_loss, hop, hop_target, segment_loss

WORLDS = pytest.mark.parametrize(
    ("process", "gaussian", "levels"),
    [
        (VE, ve(0.7, 0.5), [14.6, 4.1, 1.6, 0.7, 0.0]),
        (FLOW, rectified_flow(0.7, 0.5), [1.0, 0.9, 0.75, 0.5, 0.0]),
    ],
    ids=["VE", "FLOW"],
)
SAVING = functools.partial(checkpoint, use_reentrant=False)


def randn(*shape, seed=0, dtype=torch.float64):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def column(levels):
    return torch.tensor(levels, dtype=torch.float64)[:, None]


def test_a_hop_by_hand():
    assert hop(10.0, 2.0, 4.0, 1.0) == 4.0
    assert hop_target(10.0, 4.0, 4.0, 1.0) == 2.0
    # of half the way to the x0 estimate, at half the level
    assert hop(6.0, -2.0, 1.0, 0.5) == 2.0
    assert hop_target(6.0, 2.0, 1.0, 0.5) == -2.0


def test_a_hop_is_ddims_step_in_both_processes():
    x, denoised = randn(4, 3), randn(4, 3, seed=1)
    sigma, sigma_next = column([0.9, 0.8, 0.5, 0.1]), column([0.8, 0.3, 0.0, 0.05])
    # keep the noise of the x0 estimate, mix it in again at the next level
    ve = denoised + sigma_next * (x - denoised) / sigma
    torch.testing.assert_close(hop(x, denoised, sigma, sigma_next), ve)
    noise = (x - (1 - sigma) * denoised) / sigma
    flow = (1 - sigma_next) * denoised + sigma_next * noise
    torch.testing.assert_close(hop(x, denoised, sigma, sigma_next), flow)


def test_the_last_hop_is_the_x0_estimate_bit_for_bit():
    x, denoised, sigma = randn(3, 50), randn(3, 50, seed=1), column([0.7, 0.03, 14.6])
    nothing = torch.zeros_like(sigma)
    assert torch.equal(hop(x, denoised, sigma, nothing), denoised)
    assert torch.equal(hop_target(x, denoised, sigma, nothing), denoised)


@WORLDS
def test_the_target_of_the_exact_flow_is_the_estimate_of_a_perfect_student(
    process, gaussian, levels
):
    for i, high in enumerate(levels[:-1]):
        for low in levels[i + 1 :]:
            x, sigma, sigma_next = randn(3, 4), column([high] * 3), column([low] * 3)
            target = hop_target(x, gaussian.flow(x, sigma, sigma_next), sigma, sigma_next)
            torch.testing.assert_close(target, gaussian.jump(x, sigma, sigma_next))


@WORLDS
@pytest.mark.parametrize("weighting", ["x0", "v", "truncated snr"])
def test_a_student_whose_hop_is_the_teachers_way_has_no_segment_loss(
    process, gaussian, levels, weighting
):
    sigma, sigma_next = column(levels[:-1]), column(levels[1:])
    x = sigma * randn(4, 6)
    x_next = gaussian.flow(x, sigma, sigma_next)
    student = perfect_student(gaussian, levels)
    options = {"process": process, "weighting": weighting}
    loss = segment_loss(student, x, sigma, x_next, sigma_next, **options)
    assert loss.shape == (4,) and loss.max() < 1e-24
    # the denoiser, which is the student before training, is no such student
    untrained = segment_loss(gaussian.denoised, x, sigma, x_next, sigma_next, **options)
    assert (untrained > 1e-4).all()


def test_the_segment_loss_by_hand():
    x, x_next = torch.tensor([[[10.0, 8.0]]] * 2), torch.tensor([[[4.0, 5.0]]] * 2)
    sigma, sigma_next = (torch.tensor(levels)[:, None, None] for levels in ([4.0, 2.0], [1.0, 0.0]))
    student = lambda x, sigma: torch.ones_like(x)
    # targets are (4 - 2.5) / .75 = 2 and (5 - 2) / .75 = 4, then x_next itself
    mean_squares = [(1 + 9) / 2, (9 + 16) / 2]
    for weighting, weights in (("x0", [1, 1]), ("v", [1 + 1 / 16, 1 + 1 / 4])):
        loss = segment_loss(student, x, sigma, x_next, sigma_next, process=VE, weighting=weighting)
        wanted = [w * square for w, square in zip(weights, mean_squares, strict=True)]
        torch.testing.assert_close(loss, torch.tensor(wanted))


def test_the_segment_loss_is_computed_in_float32_from_half_precision():
    x, x_next = (randn(2, 50, seed=seed, dtype=torch.float16) for seed in (0, 1))
    sigma, sigma_next = column([5.0, 2.0]).float(), column([4.5, 1.9]).float()
    loss = segment_loss(
        lambda x, sigma: x, x, sigma, x_next, sigma_next, process=VE, weighting="x0"
    )
    # the hop leads to x_next where the x0 estimate is off by (x_next - x) / (1 - ratio)
    ratio = sigma_next.double() / sigma.double()
    wanted = (((x_next.double() - x.double()) / (1 - ratio)) ** 2).mean(1)
    torch.testing.assert_close(loss, wanted.float())


def test_the_teachers_states_are_given_no_gradient():
    x, x_next = randn(2, 3).requires_grad_(), randn(2, 3, seed=1).requires_grad_()
    gain = torch.ones((), dtype=torch.float64, requires_grad=True)
    student = lambda x, sigma: gain * x.detach()
    loss = segment_loss(
        student, x, column([2.0, 1.0]), x_next, column([1.0, 0.0]), process=VE, weighting="x0"
    )
    loss.sum().backward()
    assert gain.grad != 0 and x.grad is None and x_next.grad is None


@WORLDS
def test_a_student_that_hops_exactly_has_no_endpoint_loss(process, gaussian, levels):
    x = levels[0] * randn(5, 6)
    x0 = gaussian.flow(x, levels[0], 0.0)
    for kept in (levels, [levels[0], levels[2], 0.0], [levels[0], 0.0]):
        loss = endpoint_loss(perfect_student(gaussian, kept), x, kept, x0)
        assert loss.shape == (5,) and loss.max() < 1e-24
    assert (endpoint_loss(gaussian.denoised, x, levels, x0) > 1e-4).all()


def test_the_endpoint_loss_by_hand():
    # from 8 at level 4: x0 estimate 4, so 5 at level 1; there 4 again, the end, or 1.5 less
    x, x0 = torch.full((2, 1, 2), 8.0), torch.tensor([[[4.0, 2.0]], [[1.0, 4.0]]])
    estimates = iter([torch.full((2, 1, 2), 4.0), torch.tensor([[[4.0, 4.0]], [[2.5, 4.0]]])])
    seen = []

    def student(x, sigma):
        seen.append((x.tolist(), sigma.tolist()))
        return next(estimates)

    assert endpoint_loss(student, x, [4.0, 1.0, 0.0], x0).tolist() == [2.0, 1.125]
    assert seen == [([[[x] * 2]] * 2, [[[sigma]]] * 2) for x, sigma in ((8.0, 4.0), (5.0, 1.0))]


def per_step(gains, levels):
    """A student with a parameter for each step."""
    return lambda x, sigma: torch.sin(gains[levels.index(sigma.flatten()[0].item())] * x)


@WORLDS
def test_the_endpoints_gradient_reaches_every_step(process, gaussian, levels):
    x, x0 = randn(2, 3), randn(2, 3, seed=1)
    gains = torch.linspace(0.5, 1.5, 4, dtype=torch.float64, requires_grad=True)
    loss = lambda gains: endpoint_loss(per_step(gains, levels), x, levels, x0)
    # against differences of the loss
    assert torch.autograd.gradcheck(loss, gains)
    (gradient,) = torch.autograd.grad(loss(gains).sum(), gains)
    assert (gradient.abs() > 1e-3).all()


def test_steps_computed_a_second_time_give_the_same_gradient():
    levels, x, x0 = [14.6, 4.1, 1.6, 0.7, 0.0], randn(2, 3), randn(2, 3, seed=1)
    gains = torch.linspace(0.5, 1.5, 4, dtype=torch.float64, requires_grad=True)
    passes = []

    def student(x, sigma):
        passes.append(sigma[0].item())
        return per_step(gains, levels)(x, sigma)

    losses = (
        endpoint_loss(student, x, levels, x0),
        endpoint_loss(student, x, levels, x0, step=SAVING),
    )
    wanted, gradient = (torch.autograd.grad(loss.sum(), gains) for loss in losses)
    assert torch.equal(*losses) and torch.equal(*wanted, *gradient)
    # each run goes down the levels, and the second goes up again for its gradient
    assert passes == 2 * levels[:-1] + levels[-2::-1]


def test_the_endpoint_is_computed_in_float32_from_half_precision():
    x, x0 = 14.6 * randn(2, 50, dtype=torch.float16), randn(2, 50, seed=1, dtype=torch.float16)
    student = lambda x, sigma: (0.3 * x).half()
    in_float32 = lambda x, sigma: (0.3 * x).half().float()
    loss = endpoint_loss(student, x, [14.6, 1.6, 0.0], x0)
    assert torch.equal(loss, endpoint_loss(in_float32, x.float(), [14.6, 1.6, 0.0], x0.float()))
    assert loss.dtype == torch.float32


@pytest.mark.parametrize(
    ("sigmas", "given"),
    [
        ([4.0, 1.0], r"\[4, 1\]"),
        ([1.0, 4.0, 0.0], r"\[1, 4, 0\]"),
        ([4.0, 4.0, 0.0], r"\[4, 4, 0\]"),
        ([0.0], r"\[0\]"),
        ([], r"\[\]"),
        ([float("nan"), 0.0], r"\[nan, 0\]"),
    ],
)
def test_levels_a_run_cannot_have_are_refused_before_the_first_pass(sigmas, given):
    x = torch.ones(1, 2)
    with pytest.raises(ValueError, match=f"sigmas is {given}; allowed are two or more falling"):
        endpoint_loss(None, x, sigmas, x)

import pytest
import torch
from oracles.gaussian import rectified_flow, ve
from oracles.perfect_student import perfect_student

from fewstep.diffusion.process import FLOW, VE
from fewstep.diffusion.sigmas import flow_trailing, from_timesteps, sigma_table
from fewstep.diffusion.timesteps import trailing
from fewstep.distill.progressive import progressive_loss, stages, two_step_target

LEVELS = {
    VE: from_timesteps(trailing(16), sigma_table()),
    FLOW: flow_trailing(16, shift=3.0),
}
EXACT = {VE: ve(0.7, 0.5), FLOW: rectified_flow(0.7, 0.5)}
PROCESSES = pytest.mark.parametrize("process", [VE, FLOW], ids=lambda process: process.name)


def randn(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def column(levels):
    return torch.tensor(levels, dtype=torch.float64)[:, None]


def triples(sigmas):
    """(sigma, sigma_mid, sigma_next) [N, 1] of the N steps of the student of this teacher."""
    return column(sigmas[:-2:2]), column(sigmas[1:-1:2]), column(sigmas[2::2])


def test_the_target_by_hand():
    teacher = lambda x, sigma: x / 2
    x, levels = torch.full((1, 1), 8.0), [torch.full((1, 1), level) for level in (4.0, 2.0, 1.0)]
    # x0 estimate 4, so 6 at level 2; there 3, so 4.5 at level 1; (4.5 - 8 / 4) / (1 - 1 / 4)
    assert two_step_target(teacher, x, *levels).item() == pytest.approx(10 / 3, rel=1e-6)


def algorithm_2(teacher, z, alphas, sigmas):
    """The paper's target x~, for z = alpha x0 + sigma noise: teacher is (z, sigma) -> x0."""
    (a, a_mid, a_next), (s, s_mid, s_next) = alphas, sigmas
    x = teacher(z, s)
    z_mid = a_mid * x + s_mid / s * (z - a * x)
    x = teacher(z_mid, s_mid)
    z_next = a_next * x + s_next / s_mid * (z_mid - a_mid * x)
    return (z_next - s_next / s * z) / (a_next - s_next / s * a)


def test_the_target_is_that_of_algorithm_2_on_the_vp_process():
    levels = triples(LEVELS[VE])
    # the same levels and states where alpha^2 + sigma^2 = 1
    alphas = [(1 + level**2) ** -0.5 for level in levels]
    sigmas = [level * alpha for level, alpha in zip(levels, alphas, strict=True)]
    network = lambda z, sigma: torch.sin(2 * z) + sigma
    z = randn(8, 5)
    wanted = algorithm_2(network, z, alphas, sigmas)
    vp = lambda level: (1 + level**2) ** -0.5
    teacher = lambda x, level: network(x * vp(level), level * vp(level))
    torch.testing.assert_close(two_step_target(teacher, z / alphas[0], *levels), wanted)


def test_the_target_is_that_of_algorithm_2_on_the_flow_process():
    levels = triples(LEVELS[FLOW])
    network = lambda z, sigma: torch.sin(2 * z) + sigma
    wanted = algorithm_2(network, randn(8, 5), [1 - level for level in levels], levels)
    torch.testing.assert_close(two_step_target(network, randn(8, 5), *levels), wanted)


def test_at_the_last_interval_the_target_is_the_teachers_second_estimate():
    seen = []

    def teacher(x, sigma):
        seen.append(torch.sin(3 * x) + sigma)
        return seen[-1]

    levels = [torch.full((4, 1), level, dtype=torch.float64) for level in (0.7, 0.3, 0.0)]
    assert torch.equal(two_step_target(teacher, randn(4, 50), *levels), seen[1])


@PROCESSES
@pytest.mark.parametrize("steps", [1, 2, 4, 8])
def test_a_student_of_the_exact_map_has_no_loss_at_any_level(process, steps):
    teacher_sigmas = LEVELS[process][:: 8 // steps]
    levels = triples(teacher_sigmas)
    assert len(levels[0]) == steps and levels[2][-1] == 0.0
    x = teacher_sigmas[0] * randn(steps, 6)
    teacher = perfect_student(EXACT[process], teacher_sigmas)
    student = perfect_student(EXACT[process], teacher_sigmas[::2])
    loss = progressive_loss(student, teacher, x, *levels, process=process)
    assert loss.shape == (steps,) and loss.max() < 1e-18
    # the teacher itself takes steps of half the length
    untrained = progressive_loss(teacher, teacher, x, *levels, process=process)
    assert (untrained > 1e-7).all()


@PROCESSES
def test_of_halving_the_exact_map_again_and_again_the_exact_map_is_left(process):
    sigmas = LEVELS[process]
    student = perfect_student(EXACT[process], sigmas)
    for steps in stages(16, 1):
        teacher, levels = student, triples(sigmas)
        sigmas = sigmas[::2]
        assert len(sigmas) == steps + 1
        target = two_step_target(teacher, sigmas[0] * randn(steps, 6), *levels)
        student = perfect_student(EXACT[process], sigmas)
        torch.testing.assert_close(student(sigmas[0] * randn(steps, 6), levels[0]), target)


def test_the_loss_counts_by_truncated_snr_unless_told_otherwise():
    x = torch.full((2, 1, 2), 8.0)
    levels = [torch.tensor(pair)[:, None, None] for pair in ([4.0, 0.5], [2.0, 0.25], [0.0, 0.0])]
    teacher = lambda x, sigma: torch.full_like(x, 3.0)
    student = lambda x, sigma: torch.tensor([[[4.0, 5.0]]] * 2)
    # squares of 1 and 2; max(SNR, 1) is 1 at level 4 and 4 at level 0.5
    loss = lambda **weighting: progressive_loss(
        student, teacher, x, *levels, process=VE, **weighting
    )
    assert loss().tolist() == [2.5, 10.0]
    assert loss(weighting="v").tolist() == [2.5 * 17 / 16, 12.5]


def test_the_teacher_is_asked_twice_and_given_no_gradient():
    asked, is_recorded = [], []
    gains = {who: torch.ones((), requires_grad=True) for who in ("student", "teacher")}

    def teacher(x, sigma):
        asked.append(sigma.tolist())
        is_recorded.append(torch.is_grad_enabled())
        return gains["teacher"] * x / 2

    x = torch.ones(1, 3, requires_grad=True)
    levels = [torch.full((1, 1), level) for level in (4.0, 2.0, 1.0)]
    student = lambda x, sigma: gains["student"] * x.detach()
    progressive_loss(student, teacher, x, *levels, process=VE).sum().backward()
    assert asked == [[[4.0]], [[2.0]]] and is_recorded == [False, False]
    assert gains["student"].grad != 0
    assert gains["teacher"].grad is None and x.grad is None


def test_the_loss_is_computed_in_float32_from_half_precision():
    x = randn(3, 50).half()
    levels = [torch.full((3, 1), level) for level in (0.6, 0.5, 0.4)]
    half, full = lambda x, sigma: (0.3 * x).half(), lambda x, sigma: (0.3 * x).half().float()
    loss = progressive_loss(half, half, x, *levels, process=VE)
    assert torch.equal(loss, progressive_loss(full, full, x.float(), *levels, process=VE))
    assert loss.dtype == torch.float32


@pytest.mark.parametrize(
    ("first", "last", "wanted"),
    [
        (32, 2, [16, 8, 4, 2]),
        (50, 25, [25]),
        (24, 3, [12, 6, 3]),
        (24, 4, [8, 4]),
        (24, 1, [8, 4, 2, 1]),
        (50, 1, [2, 1]),
        (4, 1, [2, 1]),
        (9, 3, [3]),
        (2, 1, [1]),
        (1024, 1, [512, 256, 128, 64, 32, 16, 8, 4, 2, 1]),
    ],
)
def test_a_stage_has_half_the_steps_of_the_one_before(first, last, wanted):
    assert stages(first, last) == wanted


@pytest.mark.parametrize(
    ("first", "last", "complaint"),
    [
        (50, 4, "from 50 to 4; allowed is a divisor below 50: 1, 2, 5, 10, 25. .* 32 steps"),
        (4, 4, "from 4 to 4; allowed is a divisor below 4: 1, 2"),
        (4, 8, "from 4 to 8; allowed is a divisor below 4"),
        (4, 0, "from 4 to 0; allowed is a divisor below 4"),
        (4, -2, "from 4 to -2; allowed is a divisor below 4"),
    ],
)
def test_steps_that_do_not_divide_the_teachers_are_refused(first, last, complaint):
    with pytest.raises(ValueError, match=complaint):
        stages(first, last)


@pytest.mark.parametrize("steps", [1, 2, 4, 7, 16, 25, 125])
def test_trailing_levels_nest(steps):
    # so the student of a stage is asked where its users will sample it
    table = sigma_table()
    both = [from_timesteps(trailing(n), table) for n in (2 * steps, steps)]
    assert both[0][::2] == both[1]
    both = [flow_trailing(n, shift=3.0) for n in (2 * steps, steps)]
    assert both[0][::2] == both[1]

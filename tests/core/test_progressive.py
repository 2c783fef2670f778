from itertools import pairwise

import pytest
import torch
from oracles.gaussian import rectified_flow, ve
from oracles.perfect_student import perfect_student

from fewstep.diffusion.process import FLOW, VE
from fewstep.diffusion.sigmas import flow_trailing, from_timesteps, sigma_table
from fewstep.diffusion.timesteps import trailing
from fewstep.distill.knowledge import hop_target, segment_loss
from fewstep.distill.progressive import WEIGHTING, every_second, stages

LEVELS = {
    VE: from_timesteps(trailing(16), sigma_table()),
    FLOW: flow_trailing(16, shift=3.0),
}
EXACT = {VE: ve(0.7, 0.5), FLOW: rectified_flow(0.7, 0.5)}
PROCESSES = pytest.mark.parametrize("process", [VE, FLOW], ids=lambda process: process.name)


def randn(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def of_columns(network):
    """A network that is told each sample's level, for one that all samples have."""
    return lambda x, sigma: network(x, x.new_full((len(x), 1), sigma))


def triples(sigmas):
    """(sigma, sigma_mid, sigma_next) of the N steps of the student of this teacher."""
    return list(zip(sigmas[:-2:2], sigmas[1:-1:2], sigmas[2::2], strict=True))


def target_of(teacher, x, levels, process):
    """What the student is to say at the first of three levels."""
    start, landing = every_second(teacher, x, levels, process=process)
    return hop_target(start, landing, levels[0], levels[2])


def test_the_target_by_hand():
    teacher = lambda x, sigma: x / 2
    # x0 estimate 4, so 6 at level 2; there 3, so 4.5 at level 1; (4.5 - 8 / 4) / (1 - 1 / 4)
    target = target_of(teacher, torch.full((1, 1), 8.0), (4.0, 2.0, 1.0), VE)
    assert target.item() == pytest.approx(10 / 3, rel=1e-6)


def algorithm_2(teacher, z, alphas, sigmas):
    """The paper's target x~, for z = alpha x0 + sigma noise: teacher is (z, sigma) -> x0."""
    (a, a_mid, a_next), (s, s_mid, s_next) = alphas, sigmas
    x = teacher(z, s)
    z_mid = a_mid * x + s_mid / s * (z - a * x)
    x = teacher(z_mid, s_mid)
    z_next = a_next * x + s_next / s_mid * (z_mid - a_mid * x)
    return (z_next - s_next / s * z) / (a_next - s_next / s * a)


NETWORK = lambda z, sigma: torch.sin(2 * z) + sigma


@pytest.mark.parametrize("step", range(8))
def test_the_target_is_that_of_algorithm_2_on_the_vp_process(step):
    levels = triples(LEVELS[VE])[step]
    vp = lambda level: (1 + level**2) ** -0.5
    # the same levels and states where alpha^2 + sigma^2 = 1
    alphas = [vp(level) for level in levels]
    sigmas = [level * alpha for level, alpha in zip(levels, alphas, strict=True)]
    z = randn(8, 5)
    teacher = lambda x, level: NETWORK(x * vp(level), level * vp(level))
    wanted = algorithm_2(NETWORK, z, alphas, sigmas)
    torch.testing.assert_close(target_of(teacher, z / alphas[0], levels, VE), wanted)


@pytest.mark.parametrize("step", range(8))
def test_the_target_is_that_of_algorithm_2_on_the_flow_process(step):
    levels = triples(LEVELS[FLOW])[step]
    wanted = algorithm_2(NETWORK, randn(8, 5), [1 - level for level in levels], levels)
    torch.testing.assert_close(target_of(NETWORK, randn(8, 5), levels, FLOW), wanted)


def test_at_the_last_interval_the_target_is_the_teachers_second_estimate():
    seen = []

    def teacher(x, sigma):
        seen.append(torch.sin(3 * x) + sigma)
        return seen[-1]

    target = target_of(teacher, randn(4, 50), (0.7, 0.3, 0.0), VE)
    torch.testing.assert_close(target, seen[1], rtol=1e-12, atol=1e-12)


@PROCESSES
@pytest.mark.parametrize("steps", [1, 2, 4, 8])
def test_a_student_of_the_exact_map_has_no_loss_at_any_step_of_a_run(process, steps):
    sigmas = LEVELS[process][:: 8 // steps]
    teacher, student = (perfect_student(EXACT[process], grid) for grid in (sigmas, sigmas[::2]))
    way = every_second(of_columns(teacher), sigmas[0] * randn(3, 6), sigmas, process=process)
    assert way.shape == (steps + 1, 3, 6)
    for k, (sigma, sigma_next) in enumerate(pairwise(sigmas[::2])):
        levels = (torch.full((3, 1), level, dtype=way.dtype) for level in (sigma, sigma_next))
        sigma, sigma_next = levels
        places = way[k], sigma, way[k + 1], sigma_next
        options = {"process": process, "weighting": WEIGHTING}
        assert segment_loss(student, *places, **options).max() < 1e-18
        # the teacher itself takes steps of half the length
        assert (segment_loss(teacher, *places, **options) > 1e-7).all()


@PROCESSES
def test_of_halving_the_exact_map_again_and_again_the_exact_map_is_left(process):
    sigmas, x = LEVELS[process], LEVELS[process][0] * randn(4, 6)
    exact_end = every_second(
        of_columns(perfect_student(EXACT[process], sigmas)), x, sigmas, process=process
    )[-1]
    for steps in stages(16, 1):
        teacher = of_columns(perfect_student(EXACT[process], sigmas))
        way = every_second(teacher, x, sigmas, process=process)
        sigmas = sigmas[::2]
        assert len(sigmas) == steps + 1 == len(way)
        student = of_columns(perfect_student(EXACT[process], sigmas))
        target = hop_target(way[0], way[1], sigmas[0], sigmas[1])
        torch.testing.assert_close(student(x, sigmas[0]), target)
        torch.testing.assert_close(way[-1], exact_end)


def test_the_teacher_is_asked_once_a_level_and_given_no_gradient():
    asked, is_recorded = [], []

    def teacher(x, sigma):
        asked.append(sigma)
        is_recorded.append(torch.is_grad_enabled())
        return gain * x / 2

    gain, x = torch.ones((), requires_grad=True), torch.ones(1, 3, requires_grad=True)
    way = every_second(teacher, x, (4.0, 3.0, 2.0, 1.0, 0.0), process=VE)
    assert asked == [4.0, 3.0, 2.0, 1.0] and not any(is_recorded)
    assert torch.equal(way[0], x) and not way.requires_grad


def test_the_run_is_computed_in_float32_from_half_precision():
    x = randn(3, 50).half()
    half, full = lambda x, sigma: (0.3 * x).half(), lambda x, sigma: (0.3 * x).half().float()
    of_half = every_second(half, x, (0.6, 0.5, 0.4), process=VE)
    assert of_half.dtype == torch.float32
    assert torch.equal(of_half, every_second(full, x.float(), (0.6, 0.5, 0.4), process=VE))


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

import pytest
import torch
from families import (
    COND,
    GUIDED,
    OF_FLOW,
    OF_VE,
    STD,
    TABLE,
    UNCOND,
    at_points,
    guided,
    of_each_family,
)

from fewstep.distill.consistency import consistency_distillation_loss
from fewstep.distill.consistency_function import lcm_levels
from fewstep.distill.trajectory_consistency import (
    draw_landing,
    phase_edge,
    trajectory_consistency_loss,
)

EDGES = [1.0, 0.75, 0.5, 0.25, 0.0]


def levels_of(*values):
    return torch.tensor(values, dtype=torch.float64).view(-1, 1, 1)


def flow_map(gaussian, landing):
    """The x0 estimate whose hop to the landing is the exact flow."""
    return lambda x, sigma: gaussian.jump(x, sigma, landing)


# --- the loss -------------------------------------------------------------------------------------


@of_each_family
@pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 1.0])
def test_the_exact_flow_map_has_no_loss_at_any_landing(family, share):
    x, sigma, sigma_next = at_points(family, list(range(49)))
    landing = share * sigma_next
    gaussian = family.gaussian(GUIDED, STD)
    # a teacher that steps exactly
    step = gaussian.jump(x, sigma, sigma_next), x, sigma, sigma_next

    def loss(mean):
        f = flow_map(family.gaussian(mean, STD), landing)
        return trajectory_consistency_loss(f, f, *step, landing)

    assert (loss(GUIDED) < 1e-12).all()
    # a guidance that is off by 1
    assert (loss(GUIDED + COND - UNCOND) > 1e-7).all()
    # one that lands elsewhere
    f = flow_map(gaussian, 0.98 * landing + 0.01 * sigma)
    assert (trajectory_consistency_loss(f, f, *step, landing) > 1e-9).all()


@of_each_family
def test_the_exact_flow_map_of_each_phase_has_no_loss(family):
    levels = family.levels(50)
    x, sigma, sigma_next = at_points(family, list(range(49)))
    edges = [*levels[:40:10], 0.0]
    landing = phase_edge(edges, sigma_next)
    assert landing.flatten().unique().tolist() == sorted(edges[1:])
    gaussian = family.gaussian(GUIDED, STD)
    f = flow_map(gaussian, landing)
    step = gaussian.jump(x, sigma, sigma_next), x, sigma, sigma_next
    assert (trajectory_consistency_loss(f, f, *step, landing) < 1e-12).all()


@of_each_family
def test_at_level_0_it_is_the_consistency_loss(family):
    x, sigma, sigma_next = at_points(family, list(range(50)))
    networks = [lambda x, sigma: x.sin(), lambda x, sigma: torch.where(sigma > 0, x.cos(), x)]
    step = guided(family)(x, sigma), x, sigma, sigma_next
    for c in (1e-3, 0.2):
        loss = trajectory_consistency_loss(*networks, *step, torch.zeros_like(sigma), c)
        wanted = consistency_distillation_loss(*networks, *step, c)
        torch.testing.assert_close(loss, wanted)


@of_each_family
def test_where_the_teacher_lands_the_target_has_no_say(family):
    # at the last point of a flow model both are 0
    x, sigma, sigma_next = at_points(family, [0, 20, 49])
    nonsense = lambda x, sigma: torch.full_like(x, float("nan"))
    guided_x0 = guided(family)(x, sigma)
    student = lambda x, sigma: guided_x0
    step = guided_x0, x, sigma, sigma_next
    assert (trajectory_consistency_loss(student, nonsense, *step, sigma_next) < 1e-12).all()
    # half the way with an x0 estimate that is 0.4 off is 0.2 off
    student = lambda x, sigma: guided_x0 + 0.4
    step = guided_x0, x, sigma, sigma / 2
    loss = trajectory_consistency_loss(student, nonsense, *step, sigma / 2, 0.15)
    torch.testing.assert_close(loss, torch.full_like(loss, 0.25 - 0.15))


def test_both_hops_by_hand():
    ones = torch.ones(1, 1, 1, dtype=torch.float64)
    # the teacher goes from 8 at level 4 half the way to 2: 5 at level 2
    step = 2 * ones, 8 * ones, 4 * ones, 2 * ones
    student, target = lambda x, sigma: x - 4, lambda x, sigma: x + sigma
    # the target from 5 half the way to 7: 6 at level 1; the student 3/4 of it to 4: 5 at level 1
    loss = trajectory_consistency_loss(student, target, *step, ones, c=1e-12)
    torch.testing.assert_close(loss, torch.ones(1, dtype=torch.float64))


def test_only_the_student_is_given_a_gradient():
    x, sigma, sigma_next = at_points(OF_VE, [3, 30])
    weights = {name: torch.ones((), dtype=torch.float64, requires_grad=True) for name in "stg"}
    student, target = (lambda x, sigma, w=weights[name]: w * x for name in "st")
    step = weights["g"] * x.sin(), x, sigma, sigma_next
    trajectory_consistency_loss(student, target, *step, sigma_next / 2).sum().backward()
    assert weights["s"].grad.abs() > 0
    assert weights["g"].grad is None and weights["t"].grad is None


def test_half_precision_is_only_in_what_is_given():
    x, sigma, sigma_next = at_points(OF_FLOW, [0, 30])
    x, guided_x0 = x.half(), (x + 0.01).half()
    levels = sigma.float(), sigma_next.float(), sigma_next.float() / 2
    network = lambda x, sigma: (0.9 * x.sin()).half()
    loss = trajectory_consistency_loss(network, network, guided_x0, x, *levels)
    in_float = lambda x, sigma: network(x, sigma).float()
    inputs = guided_x0.float(), x.float()
    wanted = trajectory_consistency_loss(in_float, in_float, *inputs, *levels)
    assert loss.dtype == torch.float32 and torch.equal(loss, wanted)


# --- where to land --------------------------------------------------------------------------------


def test_the_edge_of_a_phase_is_the_highest_anchor_that_is_not_above():
    sigma_next = levels_of(0.9, 0.75, 0.74, 0.3, 0.25, 0.1, 0.0)
    wanted = levels_of(0.75, 0.75, 0.5, 0.25, 0.25, 0.0, 0.0)
    assert torch.equal(phase_edge(EDGES, sigma_next), wanted)


def test_each_anchor_that_is_not_above_is_landed_at_equally_often():
    count = 40_000
    generator = torch.Generator().manual_seed(0)
    for level, allowed in ((0.74, [0.5, 0.25, 0.0]), (0.75, EDGES[1:]), (0.0, [0.0])):
        landing = draw_landing(EDGES, levels_of(level).expand(count, 1, 1), generator)
        assert landing.shape == (count, 1, 1)
        assert set(landing.flatten().tolist()) == set(allowed)
        share = 1 / len(allowed)
        error = (share * (1 - share) / count) ** 0.5
        for anchor in allowed:
            assert abs((landing == anchor).double().mean().item() - share) <= 5 * error


def test_each_sample_draws_below_its_own_level_and_for_itself():
    sigma_next = levels_of(*[1.0, 0.3] * 500)
    landing = draw_landing(EDGES, sigma_next, torch.Generator().manual_seed(0))
    assert (landing <= sigma_next).all()
    assert len(landing[::2].unique()) == 5 and len(landing[1::2].unique()) == 2


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_level_of_the_grid_that_is_an_anchor_is_its_own_edge_in_any_precision(dtype):
    _, _, sigma_next = at_points(OF_VE, list(range(50)))
    sigma_next = sigma_next.to(dtype)
    assert torch.equal(phase_edge([*lcm_levels(TABLE), 0.0], sigma_next), sigma_next)


@pytest.mark.parametrize("of", [phase_edge, lambda *a: draw_landing(*a, torch.Generator())])
def test_anchors_that_do_not_end_in_0_are_refused(of):
    with pytest.raises(ValueError, match="anchors end in 0.25; allowed is an end in 0"):
        of(EDGES[:-1], levels_of(0.5))

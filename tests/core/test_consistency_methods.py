import math

import pytest
import torch
from small_setting import CFG, SIGMAS, disturb, loss_of, predicted, small_setting

from fewstep.diffusion.process import FLOW, VE
from fewstep.diffusion.sigmas import sigma_table
from fewstep.distill.consistency_methods import Hops, Noised, lcm, pcm, tcd, train_consistency
from fewstep.distill.methods import States
from fewstep.distill.network import NEGATIVE
from fewstep.distill.training import Options, Training

TABLE = sigma_table()
# LCM's 50 timesteps and the one that stands for clean
TIMESTEPS = [*range(999, 0, -20), 0]
GENERATOR = torch.Generator().manual_seed(3)


@pytest.fixture(params=[VE, FLOW], ids=lambda process: process.name)
def setting(request, tmp_path):
    return small_setting(request.param, tmp_path)


def grid_of(setting):
    if setting.network.process is VE:
        return [TABLE[t] for t in TIMESTEPS]
    return list(SIGMAS["FLOW"])


def noised(setting, index, point):
    x0 = setting.data.x0(index).double()
    noise = torch.randn(x0.shape, generator=GENERATOR)
    sigma = torch.tensor([grid_of(setting)[p] for p in point.tolist()]).double().view(-1, 1, 1, 1)
    return noise, sigma, setting.network.process.alpha(sigma) * x0 + sigma * noise.double()


def below(setting, point):
    return torch.tensor([grid_of(setting)[p + 1] for p in point.tolist()]).double()


def function(setting, index, x, point, *changes):
    """f at points of the grid, written out: LCM's boundary where there are timesteps."""
    levels = torch.tensor([grid_of(setting)[p] for p in point.tolist()]).double().view(-1, 1, 1, 1)
    if setting.network.process is FLOW:
        cond, _ = predicted(setting, index, x, levels.clamp(min=1e-6).flatten(), *changes)
        return torch.where(levels > 0, cond, x)
    cond, _ = predicted(setting, index, x, levels.flatten(), *changes)
    t = 10.0 * torch.tensor([TIMESTEPS[p] for p in point.tolist()]).double().view(-1, 1, 1, 1)
    skip, out = 0.25 / (t**2 + 0.25), t / (t**2 + 0.25).sqrt()
    return skip * x / (1 + levels**2).sqrt() + out * cond


def guided_hop(setting, index, x, sigma, after):
    cond, uncond = predicted(setting, index, x, sigma.flatten())
    guided = uncond + CFG * (cond - uncond)
    return guided + after.view(-1, 1, 1, 1) / sigma * (x - guided)


def huber(difference, c=1e-3):
    return ((difference**2 + c * c).sqrt() - c).flatten(1).mean(1)


def test_lcm_wants_of_the_average_what_it_makes_a_guided_step_further(setting):
    method = lcm(setting)
    disturb(method.average)
    last = len(grid_of(setting)) - 2
    index, point = torch.tensor([1, 6, 3]), torch.tensor([0, 2, last])
    noise, sigma, x = noised(setting, index, point)
    x_next = guided_hop(setting, index, x, sigma, below(setting, point))
    target = function(setting, index, x_next, point + 1, method.average)
    error = huber(function(setting, index, x, point) - target)
    found = loss_of(method, Noised(index, noise, point))
    torch.testing.assert_close(found, error, rtol=1e-3, atol=1e-6)


def test_consistency_training_never_asks_the_teacher(setting):
    method = train_consistency(setting)
    disturb(method.student)
    index, point = torch.tensor([1, 6]), torch.tensor([1, 4])
    noise, _, x = noised(setting, index, point)
    x0, after = setting.data.x0(index).double(), below(setting, point).view(-1, 1, 1, 1)
    x_next = setting.network.process.alpha(after) * x0 + after * noise.double()
    made, target = (
        function(setting, index, at, p, method.student)
        for at, p in ((x, point), (x_next, point + 1))
    )
    c = 0.00054 * math.sqrt(x0[0].numel())
    wanted = ((made - target).square().flatten(1).sum(1) + c * c).sqrt() - c
    setting.network.passes.clear()
    found = loss_of(method, Noised(index, noise, point))
    torch.testing.assert_close(found, wanted, rtol=1e-3, atol=1e-6)
    assert [rows for _, rows in setting.network.passes] == [[1, 1], [1, 1]]


def test_tcd_has_both_hops_land_at_one_level_of_the_grid(setting):
    method = tcd(setting)
    disturb(method.average)
    levels = [*grid_of(setting)[:-1], 0.0]
    index, point = torch.tensor([1, 6, 3, 0]), torch.tensor([0, 2, 2, len(levels) - 2])
    landing = torch.tensor([levels[3], 0.0, levels[3], 0.0]).view(-1, 1, 1, 1)
    noise, sigma, x = noised(setting, index, point)
    after = torch.tensor([levels[p + 1] for p in point.tolist()]).double().view(-1, 1, 1, 1)
    x_next = guided_hop(setting, index, x, sigma, after)
    cond, _ = predicted(setting, index, x, sigma.flatten())
    made = cond + landing / sigma * (x - cond)
    wanted = x_next.clone()
    for i in range(3):
        # the third lands where the teacher is, and so does the last
        if landing[i] < after[i]:
            cond, _ = predicted(
                setting, index[i : i + 1], x_next[i : i + 1], after[i].flatten(), method.average
            )
            wanted[i] = (cond + landing[i] / after[i] * (x_next[i] - cond))[0]
    found = loss_of(method, Hops(index, noise, point, landing))
    torch.testing.assert_close(found, huber(made - wanted), rtol=1e-3, atol=1e-6)


def test_landings_are_drawn_from_the_levels_of_the_grid_that_the_teacher_has_passed(setting):
    drawn = tcd(setting).draw(torch.Generator().manual_seed(0), 400)
    levels = [*grid_of(setting)[:-1], 0.0]
    after = torch.tensor([levels[p + 1] for p in drawn.point.tolist()])
    assert (drawn.landing.flatten() <= after).all()
    assert {
        min(range(len(levels)), key=lambda k: abs(levels[k] - x))
        for x in drawn.landing.flatten().tolist()
    } >= set(range(len(levels) - 20, len(levels))) & set(range(1, len(levels)))
    assert set(drawn.point.tolist()) >= set(range(6)) and set(drawn.index.tolist()) == set(range(8))


def test_pcm_lands_at_the_students_next_level_and_asks_no_teacher(setting):
    method, data = pcm(setting, 3), setting.data
    disturb(method.average)
    sigmas = SIGMAS[setting.network.process.name]
    setting.network.passes.clear()
    for level, edge in ((0, 2), (1, 2), (2, 4), (3, 4), (4, 6), (5, 6)):
        index = torch.tensor([2])
        batch = States(index, torch.tensor([level]))
        found = loss_of(method, batch)
        x, sigma, after = data.x(*batch).double(), sigmas[level], sigmas[level + 1]
        guided = data.guided_x0(*batch).double()
        x_next = guided + after / sigma * (x - guided)
        cond, _ = predicted(setting, index, x, torch.tensor(sigma))
        made, wanted = cond + sigmas[edge] / sigma * (x - cond), x_next
        if level + 1 < edge:
            cond, _ = predicted(setting, index, x_next, torch.tensor(after), method.average)
            wanted = cond + sigmas[edge] / after * (x_next - cond)
        torch.testing.assert_close(found, huber(made - wanted), rtol=1e-3, atol=1e-6)
    drawn = method.draw(torch.Generator().manual_seed(0), 200)
    assert set(drawn.level.tolist()) == set(range(6)) and set(drawn.index.tolist()) == set(range(8))
    setting.network.passes.clear()
    loss_of(method, method.draw(GENERATOR, 20))
    assert all(NEGATIVE not in rows for _, rows in setting.network.passes)


@pytest.mark.parametrize("begin", [lcm, tcd, lambda s: pcm(s, 2), train_consistency])
def test_only_the_student_is_given_a_gradient_and_all_of_it_moves(setting, begin):
    method = begin(setting)
    before = [up.clone() for up in method.student.up]
    training = Training(method, Options(iterations=3, batch=8, learning_rate=1e-2, warm_up=2))
    while not training.is_done:
        training.step()
    assert all(parameter.grad is None for parameter in method.average.parameters())
    moved = [not torch.equal(a, b) for a, b in zip(before, method.student.up, strict=True)]
    assert all(moved)

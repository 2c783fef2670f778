import pytest
import torch
from small_setting import CFG, SIGMAS, disturb, loss_of, predicted, small_setting

from fewstep.diffusion.process import FLOW, VE
from fewstep.distill.lora import Lora
from fewstep.distill.methods import (
    States,
    bake_guidance,
    halve,
    match_endpoint,
    match_segments,
)
from fewstep.distill.setting import anchor_levels, begin, trained_on
from fewstep.distill.training import Options, Share, Training, split


@pytest.fixture(params=[VE, FLOW], ids=lambda process: process.name)
def setting(request, tmp_path):
    return small_setting(request.param, tmp_path)


def test_guidance_is_taught_by_the_teachers_guided_estimate_at_every_level(setting):
    method, data = bake_guidance(setting), setting.data
    batch = States(torch.tensor([0, 3, 7]), torch.tensor([0, 2, 5]))
    x, sigma = data.x(*batch).double(), data.sigma(batch.level).double()
    # a student that has learned nothing is the teacher without guidance
    cond, uncond = predicted(setting, batch.index, x, sigma)
    error = (cond - (uncond + CFG * (cond - uncond))).square().flatten(1).mean(1)
    alpha = setting.network.process.alpha(sigma).flatten()
    weight = (alpha / sigma.flatten()) ** 2 + 1
    torch.testing.assert_close(loss_of(method, batch), weight * error, rtol=1e-3, atol=1e-7)
    drawn = method.draw(torch.Generator().manual_seed(0), 500)
    assert set(drawn.level.tolist()) == set(range(6)) and set(drawn.index.tolist()) == set(range(8))


@pytest.mark.parametrize("steps", [1, 2, 3, 6])
def test_segments_are_taught_by_where_the_teacher_is_at_the_students_next_level(setting, steps):
    method, data = match_segments(setting, steps), setting.data
    drawn = method.draw(torch.Generator().manual_seed(0), 200)
    stride = 6 // steps
    assert set(drawn.level.tolist()) == set(range(0, 6, stride))
    first = torch.tensor([2])
    for level in range(0, 6, stride):
        batch = States(first, torch.tensor([level]))
        x, sigma = data.x(*batch).double(), data.sigma(batch.level).double()
        after = data.x(first, torch.tensor([level + stride])).double()
        ratio = SIGMAS[setting.network.process.name][level + stride] / sigma
        cond, _ = predicted(setting, first, x, sigma)
        error = (cond - (after - ratio * x) / (1 - ratio)).square().flatten(1).mean(1)
        weight = (setting.network.process.alpha(sigma).flatten() / sigma.flatten()) ** 2 + 1
        torch.testing.assert_close(loss_of(method, batch), weight * error, rtol=1e-3, atol=1e-7)


def test_the_endpoint_is_that_of_the_teachers_run_from_the_same_noise(setting):
    method, data = match_endpoint(setting, 3), setting.data
    batch = method.draw(torch.Generator().manual_seed(0), 5)
    assert set(batch.level.tolist()) == {0}
    x = data.x(*batch).double()
    sigmas = SIGMAS[setting.network.process.name][::2]
    for sigma, after in zip(sigmas[:-1], sigmas[1:], strict=True):
        cond, _ = predicted(setting, batch.index, x, torch.tensor(sigma))
        x = cond + after / sigma * (x - cond)
    wanted = (x - data.x0(batch.index)).square().flatten(1).mean(1)
    torch.testing.assert_close(loss_of(method, batch), wanted, rtol=1e-4, atol=1e-7)


def test_a_stage_is_taught_by_two_steps_of_the_student_before_it_and_begins_as_it(setting):
    before = disturb(begin(setting)[0]).requires_grad_(False)
    method = halve(setting, 3, before)
    for here, there in zip(method.student.parameters(), before.parameters(), strict=True):
        assert torch.equal(here, there) and here.data_ptr() != there.data_ptr()
    sigmas, process = SIGMAS[setting.network.process.name], setting.network.process
    drawn = method.draw(torch.Generator().manual_seed(0), 5)
    found = loss_of(method, drawn)
    for k, step in enumerate(drawn.step.tolist()):
        index = drawn.index[k, None]
        x = process.std(sigmas[0]) * drawn.noise[k, None].double()
        for level in range(2 * step + 2):
            if level == 2 * step:
                x_first = x
            sigma, after = sigmas[level : level + 2]
            cond, _ = predicted(setting, index, x, torch.tensor(sigma), before)
            x = cond + after / sigma * (x - cond)
        ratio = sigmas[2 * step + 2] / sigmas[2 * step]
        wanted = (x - ratio * x_first) / (1 - ratio)
        cond, _ = predicted(setting, index, x_first, torch.tensor(sigmas[2 * step]), before)
        error = (cond - wanted).square().flatten(1).mean(1)
        weight = max((process.alpha(sigmas[2 * step]) / sigmas[2 * step]) ** 2, 1.0)
        torch.testing.assert_close(found[k, None], weight * error, rtol=1e-3, atol=1e-6)
    method.turns[0].loss(drawn).sum().backward()
    assert all(parameter.grad is None for parameter in before.parameters())


@pytest.mark.parametrize("seed", range(4))
def test_a_run_of_the_student_before_serves_for_every_step_of_the_stage(setting, seed):
    method = halve(setting, 3, disturb(begin(setting)[0]))
    drawn = method.draw(torch.Generator().manual_seed(seed), 200)
    assert torch.equal(drawn.step.diff() % 3, torch.ones(199, dtype=torch.long))
    assert torch.equal(drawn.run.diff() == 1, drawn.step[1:] == 0)
    same = drawn.run.diff() == 0
    assert torch.equal((drawn.noise.diff(dim=0) == 0).flatten(1).all(1), same)
    assert (drawn.index.diff()[same] == 0).all()
    assert set(drawn.index.tolist()) == set(range(8))
    # of batches smaller than a run too, each step is as likely
    generator = torch.Generator().manual_seed(0)
    steps = torch.cat([method.draw(generator, 1).step for _ in range(300)])
    assert steps.bincount(minlength=3).min() > 70


def test_a_batch_cut_within_a_run_has_the_same_losses(setting):
    method = halve(setting, 3, disturb(begin(setting)[0]))
    drawn = method.draw(torch.Generator().manual_seed(0), 8)
    parts = split(drawn, Share(), 4)
    assert any(part.run[0] == part.run[1] and part.step[0] > 0 for part in parts)
    together = torch.cat([loss_of(method, part) for part in parts])
    torch.testing.assert_close(together, loss_of(method, drawn), rtol=1e-4, atol=1e-7)


def test_data_without_guidance_has_none_to_bake(tmp_path):
    setting = small_setting(VE, tmp_path, cfg_scales=(1.0,) * 8)
    with pytest.raises(ValueError, match="made with cfg 1, which is no guidance"):
        bake_guidance(setting)


@pytest.mark.parametrize("make_method", [bake_guidance, lambda s: match_endpoint(s, 2)])
def test_what_is_on_under_the_student_stays_on_and_is_not_trained(setting, make_method):
    layers = setting.network.hooks.layers
    base = disturb(Lora(layers, 2, 2.0, setting.generator)).requires_grad_(False)
    batch = States(torch.tensor([1]), torch.tensor([0]))
    plain, based = (make_method(s) for s in (setting, setting._replace(base=(base,))))
    assert (loss_of(plain, batch) - loss_of(based, batch)).abs() > 1e-4
    based.turns[0].loss(batch).sum().backward()
    assert all(up.grad is not None and up.grad.abs().sum() > 0 for up in based.student.up)
    assert all(parameter.grad is None for parameter in base.parameters())


def test_what_is_held_out_is_never_drawn(setting):
    method = bake_guidance(setting._replace(held_out=3))
    drawn = method.draw(torch.Generator().manual_seed(0), 500)
    assert set(drawn.index.tolist()) == set(range(5))
    with pytest.raises(ValueError, match="8 trajectories, and 8 of them are held out"):
        trained_on(setting._replace(held_out=8))


def test_students_levels_are_among_the_teachers(setting):
    assert anchor_levels(setting.data, 3).tolist() == [0, 2, 4, 6]
    for steps in (0, 4, 5, 7):
        said = f"steps is {steps}, and the teacher's data has 6 steps; .* divisors 1, 2, 3, 6"
        with pytest.raises(ValueError, match=said):
            anchor_levels(setting.data, steps)


@pytest.mark.parametrize(
    "make_method",
    [
        bake_guidance,
        lambda s: match_segments(s, 2),
        lambda s: match_endpoint(s, 2),
        lambda s: halve(s, 3, disturb(begin(s)[0])),
    ],
    ids=["guidance", "segments", "endpoint", "halve"],
)
def test_every_method_learns(setting, make_method):
    method = make_method(setting)
    training = Training(method, Options(iterations=60, batch=16, learning_rate=2e-2, warm_up=5))
    while not training.is_done:
        training.step()
    losses = training.losses["student"]
    assert sum(losses[-20:]) < 0.5 * sum(losses[:20])


def test_the_average_is_a_copy_that_the_optimizer_does_not_train(setting):
    method = bake_guidance(setting)
    assert not any(parameter.requires_grad for parameter in method.average.parameters())
    pairs = list(zip(method.student.parameters(), method.average.parameters(), strict=True))
    assert all(torch.equal(a, b) and a.data_ptr() != b.data_ptr() for a, b in pairs)


def test_a_seed_decides_the_student_that_a_run_begins_with(setting):
    first, again = bake_guidance(setting).student, bake_guidance(setting).student
    other = bake_guidance(setting._replace(seed=1)).student
    assert all(torch.equal(a, b) for a, b in zip(first.down, again.down, strict=True))
    assert not torch.equal(first.down[0], other.down[0])

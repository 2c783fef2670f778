import pytest
import torch
from small_network import SHAPE
from small_setting import CFG, RANGE, SIGMAS, disturb, loss_of, predicted_for, small_setting

from fewstep.diffusion.process import FLOW, VE
from fewstep.distill.distribution_methods import Walks, dmd, tdm
from fewstep.distill.network import denoiser
from fewstep.distill.training import Options, Training

STUDENT, FAKE = -1, 0


@pytest.fixture(params=[VE, FLOW], ids=lambda process: process.name)
def setting(request, tmp_path):
    return small_setting(request.param, tmp_path)


def walks(segment, steps=3, seed=0, cfg_scales=(CFG,) * 3):
    generator = torch.Generator().manual_seed(seed)
    count = len(segment)
    return Walks(
        torch.tensor([1, 4, 3][:count]),
        torch.tensor(cfg_scales[:count]),
        torch.tensor(segment),
        torch.randn(count, steps, *SHAPE, generator=generator),
        torch.rand(count, 2, generator=generator),
        torch.randn(count, 2, *SHAPE, generator=generator),
    )


def one(sigma):
    return torch.as_tensor(sigma, dtype=torch.float64).flatten()


def std(setting, sigma):
    return (setting.network.process.alpha(sigma) ** 2 + sigma**2) ** 0.5


def level_at(setting, low, high, share):
    """The share of the way between two levels in angle, but for a fiftieth at either end."""
    process = setting.network.process
    low, high = (torch.as_tensor(x).double() for x in (low, high))
    bottom, top = (torch.atan2(x, process.alpha(x)) for x in (low, high))
    angle = bottom + (0.02 + 0.96 * share.double()) * (top - bottom)
    # FLOW: sigma / (1 - sigma) is the tangent
    ratio = angle.tan()
    return ratio if process is VE else ratio / (1 + ratio)


def walk(setting, batch, i, student):
    """Where sample i is when its segment starts, Euler step by step."""
    sigmas = SIGMAS[setting.network.process.name][::2]
    x = std(setting, sigmas[0]) * batch.noise[i : i + 1, 0].double()
    for sigma, after in list(zip(sigmas, sigmas[1:], strict=False))[: batch.segment[i]]:
        cond, _ = predicted_for(setting, batch.row[i : i + 1], x, one(sigma), student)
        x = cond + after / sigma * (x - cond)
    return x, *sigmas[batch.segment[i] : batch.segment[i] + 2]


def test_tdms_student_is_pulled_from_the_fake_score_to_the_guided_teacher(setting):
    method = tdm(setting, 3)
    disturb(method.student, std=0.2)
    fake = disturb(method.turns[FAKE].learner, seed=9)
    batch = walks([0, 1, 2])
    found = loss_of(method, batch, STUDENT)
    process = setting.network.process
    for i in range(3):
        row = batch.row[i : i + 1]
        x, sigma, landing = walk(setting, batch, i, method.student)
        made, _ = predicted_for(setting, row, x, one(sigma), method.student)
        landed = made + landing / sigma * (x - made)
        level = level_at(setting, landing, sigma, batch.shares[i, 0])
        ratio = process.alpha(level) / process.alpha(landing)
        noise = batch.fresh[i, 0].double()
        raised = ratio * landed + (level**2 - (ratio * landing) ** 2).sqrt() * noise
        cond, uncond = predicted_for(setting, row, raised, one(level))
        real = uncond + CFG * (cond - uncond)
        scored, _ = predicted_for(setting, row, raised, one(level), fake)
        pull = ((real - scored).square() + 1e-6).sqrt() - 1e-3
        wanted = pull.mean() / (made - real).abs().mean()
        torch.testing.assert_close(found[i], wanted, rtol=2e-3, atol=1e-5)


def test_tdms_fake_score_learns_what_the_student_lands_on(setting):
    method = tdm(setting, 3)
    disturb(method.student, std=0.2)
    batch = walks([2])
    found = loss_of(method, batch, FAKE)
    # of the last segment, which lands on clean, it denoises the student's own pictures
    x, sigma, _ = walk(setting, batch, 0, method.student)
    made, _ = predicted_for(setting, batch.row, x, one(sigma), method.student)
    level = level_at(setting, 0.0, sigma, batch.shares[0, 0])
    raised = setting.network.process.mix(made, batch.fresh[:, 0].double(), level)
    scored, _ = predicted_for(setting, batch.row, raised, one(level))
    weight = min((setting.network.process.alpha(level) / level) ** 2, 5.0)
    wanted = weight * (scored - made).square().mean()
    torch.testing.assert_close(found[0], wanted, rtol=1e-3, atol=1e-6)


def test_tdms_fake_score_learns_of_other_segments_what_is_noisy_still(setting):
    method = tdm(setting, 3)
    disturb(method.student, std=0.2)
    batch, process = walks([0, 1]), setting.network.process
    found = loss_of(method, batch, FAKE)
    for i in range(2):
        row = batch.row[i : i + 1]
        x, sigma, landing = walk(setting, batch, i, method.student)
        made, _ = predicted_for(setting, row, x, one(sigma), method.student)
        landed = made + landing / sigma * (x - made)
        level = level_at(setting, landing, sigma, batch.shares[i, 0])
        # raised with fresh noise; E[clean | raised] by Tweedie's formula of the fresh noise alone
        ratio = process.alpha(level) / process.alpha(landing)
        fresh = (level**2 - (ratio * landing) ** 2).sqrt()
        noise = batch.fresh[i : i + 1, 0].double()
        wanted = (landed - ratio * landing**2 / fresh * noise) / process.alpha(landing)
        scored, _ = predicted_for(setting, row, ratio * landed + fresh * noise, one(level))
        weight = min((process.alpha(level) / level) ** 2, 5.0) * (fresh / level) ** 2
        error = weight * (scored - wanted).square().mean()
        torch.testing.assert_close(found[i], error, rtol=1e-3, atol=1e-6)


def renoised(setting, batch, i, student):
    """Where sample i is when its segment starts: estimate, fresh noise, and again."""
    sigmas = SIGMAS[setting.network.process.name][::2]
    x = std(setting, sigmas[0]) * batch.noise[i : i + 1, 0].double()
    for k in range(int(batch.segment[i])):
        cond, _ = predicted_for(setting, batch.row[i : i + 1], x, one(sigmas[k]), student)
        after = sigmas[k + 1]
        alpha = setting.network.process.alpha(after)
        x = alpha * cond + after * batch.noise[i : i + 1, k + 1].double()
    return x, sigmas[batch.segment[i]]


def test_dmd_matches_at_any_level_and_guides_below_that_of_the_student(setting):
    method = dmd(setting, 3)
    disturb(method.student, std=0.2)
    fake = disturb(method.turns[FAKE].learner, seed=9)
    batch, process = walks([0, 1, 2]), setting.network.process
    found, of_fake = (loss_of(method, batch, turn) for turn in (STUDENT, FAKE))
    top = SIGMAS[process.name][0]
    for i in range(3):
        row = batch.row[i : i + 1]
        x, sigma = renoised(setting, batch, i, method.student)
        made, _ = predicted_for(setting, row, x, one(sigma), method.student)
        first, second = batch.fresh[i].double()
        level = level_at(setting, 0.0, top, batch.shares[i, 0])
        lower = level_at(setting, 0.0, sigma, batch.shares[i, 1])
        at, at_lower = process.mix(made, first, level), process.mix(made, second, lower)
        real, _ = predicted_for(setting, row, at, one(level))
        scored, _ = predicted_for(setting, row, at, one(level), fake)
        cond, uncond = predicted_for(setting, row, at_lower, one(lower))
        real = real + (CFG - 1) * (cond - uncond)
        wanted = 0.5 * ((scored - real) / (made - real).abs().mean()).square().mean()
        torch.testing.assert_close(found[i], wanted, rtol=2e-3, atol=1e-5)
        weight = min((process.alpha(level) / level) ** 2, 5.0)
        wanted = weight * (scored - made).square().mean()
        torch.testing.assert_close(of_fake[i], wanted, rtol=1e-3, atol=1e-6)


def test_dmd_has_no_gradient_through_the_run_before_the_step_that_is_trained(setting):
    method, batch, process = dmd(setting, 3), walks([2]), setting.network.process
    student = disturb(method.student, std=0.2)
    method.turns[STUDENT].loss(batch).sum().backward()
    found = [up.grad.clone() for up in student.up]
    student.zero_grad(set_to_none=True)
    x, sigma = renoised(setting, batch, 0, student)
    made = denoiser(setting.network, batch.row, student)(x, one(sigma))
    kept, (first, second) = made.detach(), batch.fresh[0].double()
    level = level_at(setting, 0.0, SIGMAS[process.name][0], batch.shares[0, 0])
    lower = level_at(setting, 0.0, sigma, batch.shares[0, 1])
    # the fake score is the teacher still, so that guidance alone moves the student
    real, _ = predicted_for(setting, batch.row, process.mix(kept, first, level), one(level))
    at_lower = process.mix(kept, second, lower)
    cond, uncond = predicted_for(setting, batch.row, at_lower, one(lower))
    push = (CFG - 1) * (cond - uncond)
    push = push / (kept - real - push).abs().mean()
    (-made * push / made.numel()).sum().backward()
    for gradient, up in zip(found, student.up, strict=True):
        torch.testing.assert_close(
            gradient, up.grad, rtol=1e-2, atol=1e-3 * up.grad.abs().max().item()
        )


@pytest.mark.parametrize("begin", [tdm, dmd])
def test_each_turn_trains_its_own_lora_alone(setting, begin):
    method = begin(setting, 3)
    fake, student = (turn.learner for turn in method.turns)
    assert student is method.student and [turn.name for turn in method.turns][1] == "student"
    disturb(fake, std=0.1)
    for learner, other, turn in ((fake, student, FAKE), (student, fake, STUDENT)):
        method.turns[turn].loss(walks([2, 1])).sum().backward()
        assert all(up.grad.abs().sum() > 0 for up in learner.up)
        assert all(parameter.grad is None for parameter in other.parameters())
        learner.zero_grad(set_to_none=True)


@pytest.mark.parametrize("begin", [tdm, dmd])
def test_student_and_fake_score_of_a_range_are_told_the_guidance_and_the_teacher_is_not(
    tmp_path, begin
):
    setting = small_setting(VE, tmp_path, RANGE)
    method = begin(setting, 2)
    batch = walks([0], steps=2)
    network = setting.network
    # the student and the fake score, and of the student's turn the teacher: guided in one pass, or
    # with the condition at two levels and without it at one
    for turn, told, untold in ((FAKE, 2, 0), (STUDENT, 2, 1 if begin is tdm else 3)):
        network.told.clear()
        loss_of(method, batch, turn)
        of_passes = [None if scales is None else scales.tolist() for scales in network.told]
        assert of_passes.count([CFG]) == told and of_passes.count(None) == untold
        assert len(of_passes) == told + untold


@pytest.mark.parametrize("begin", [tdm, dmd])
def test_what_lies_under_the_student_is_not_under_its_fake_score(setting, begin):
    base = disturb(tdm(setting, 3).student).requires_grad_(False)
    method = begin(setting._replace(base=(base,)), 3)
    seen = []
    using = setting.network.hooks.using
    setting.network.hooks.using = lambda *changes: (seen.append(changes), using(*changes))[1]
    loss_of(method, walks([0]), FAKE), loss_of(method, walks([0]), STUDENT)
    fake = method.turns[FAKE].learner
    assert set(seen) == {(base, method.student), (fake,), ()}


@pytest.mark.parametrize("begin", [tdm, dmd])
def test_draws_reach_every_segment_and_a_training_moves_both(setting, begin):
    method = begin(setting, 3)
    drawn = method.draw(torch.Generator().manual_seed(0), 200)
    assert set(drawn.segment.tolist()) == {0, 1, 2}
    assert (
        drawn.shares.min() >= 0 and drawn.shares.max() > 0.9 and drawn.noise.shape[:2] == (200, 3)
    )
    assert drawn.fresh.shape == (200, 2, *SHAPE) and drawn.shares.shape == (200, 2)
    training = Training(method, Options(iterations=2, batch=4, learning_rate=1e-2, warm_up=1))
    training.step(), training.step()
    assert all(len(losses) == 2 for losses in training.losses.values())
    assert all(up.abs().sum() > 0 for turn in method.turns for up in turn.learner.up)


@pytest.mark.parametrize("begin", [tdm, dmd])
@pytest.mark.parametrize("process", [VE, FLOW], ids=lambda process: process.name)
def test_prompts_without_a_picture_and_those_held_out_are_drawn_too(tmp_path, process, begin):
    # pictures of the first two prompts of five, and the second one's are held out
    setting = small_setting(process, tmp_path, rows=(0, 0, 0, 0, 1, 1, 1, 1), held_out=4)
    drawn = begin(setting, 3).draw(torch.Generator().manual_seed(0), 300)
    assert set(drawn.row.tolist()) == {0, 1, 2, 3, 4}
    assert min(drawn.row.tolist().count(row) for row in range(5)) > 30
    assert set(drawn.cfg_scale.tolist()) == {CFG}


@pytest.mark.parametrize("begin", [tdm, dmd])
def test_the_cfg_of_a_range_is_drawn_from_the_lowest_to_the_highest_of_the_data(tmp_path, begin):
    drawn = begin(small_setting(VE, tmp_path, RANGE), 3).draw(torch.Generator().manual_seed(0), 999)
    low, high = drawn.cfg_scale.min().item(), drawn.cfg_scale.max().item()
    assert 1.0 <= low < 1.1 and 6.9 < high <= 7.0
    # even, and of no prompt more than of another: 5 standard errors
    assert abs(drawn.cfg_scale.mean().item() - 4.0) < 5 * 6 / (12 * 999) ** 0.5
    both = torch.stack([drawn.row.float(), drawn.cfg_scale])
    assert abs(torch.corrcoef(both)[0, 1].item()) < 5 / 999**0.5


@pytest.mark.parametrize("process", [VE, FLOW], ids=lambda process: process.name)
def test_each_sample_of_a_range_has_the_teacher_at_its_own_cfg(tmp_path, process):
    setting = small_setting(process, tmp_path, RANGE)
    scales = (6.5, 1.5, 3.25)
    batch = walks([0, 0, 0], cfg_scales=scales)
    sigma = SIGMAS[process.name][0]
    top = SIGMAS[process.name][2]
    of_tdm, of_dmd = (loss_of(begin(setting, 3), batch, STUDENT) for begin in (tdm, dmd))
    for i in range(3):
        row = batch.row[i : i + 1]
        x = std(setting, sigma) * batch.noise[i : i + 1, 0].double()
        made, _ = predicted_for(setting, row, x, one(sigma))
        landed = made + top / sigma * (x - made)
        level = level_at(setting, top, sigma, batch.shares[i, 0])
        ratio = process.alpha(level) / process.alpha(top)
        raised = (
            ratio * landed + (level**2 - (ratio * top) ** 2).sqrt() * batch.fresh[i, 0].double()
        )
        cond, uncond = predicted_for(setting, row, raised, one(level))
        # the fake score has learned nothing: it is the teacher without guidance
        push = (scales[i] - 1) * (cond - uncond)
        wanted = ((push.square() + 1e-6).sqrt() - 1e-3).mean() / (made - cond - push).abs().mean()
        torch.testing.assert_close(of_tdm[i], wanted, rtol=2e-3, atol=1e-5)
        level, lower = (level_at(setting, 0.0, sigma, share) for share in batch.shares[i])
        first, second = batch.fresh[i].double()
        real, _ = predicted_for(setting, row, process.mix(made, first, level), one(level))
        at_lower = process.mix(made, second, lower)
        cond, uncond = predicted_for(setting, row, at_lower, one(lower))
        push = (scales[i] - 1) * (cond - uncond)
        wanted = 0.5 * (push / (made - real - push).abs().mean()).square().mean()
        torch.testing.assert_close(of_dmd[i], wanted, rtol=2e-3, atol=1e-5)


def test_a_base_without_a_gradient_needs_no_condition_of_its_own(setting):
    # the fake score starts as the teacher under its condition, so there is nothing to match yet
    method = tdm(setting._replace(base=()), 3)
    rows = setting.data.rows[torch.tensor([1])]
    x = torch.randn(1, *SHAPE, generator=torch.Generator().manual_seed(1)).double()
    with torch.no_grad():
        fake = denoiser(setting.network, rows, method.turns[FAKE].learner)(x, 0.5)
        assert torch.equal(fake, denoiser(setting.network, rows)(x, 0.5))


@pytest.mark.parametrize("begin", [tdm, dmd])
def test_a_walk_makes_no_pass_that_nothing_is_made_of(setting, begin):
    method, passes = begin(setting, 3), setting.network.passes
    passes.clear()
    loss_of(method, walks([2]), FAKE)
    # two steps on the way, one that is looked at, and the fake score
    assert len(passes) == 4

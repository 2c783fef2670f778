"""Students of a range of cfg are told theirs, and learn what it does."""

import pytest
import torch
from small_network import EMBEDDING
from small_setting import RANGE, disturb, predicted, small_setting

from fewstep.diffusion.process import FLOW, VE
from fewstep.distill.consistency_methods import lcm, pcm, tcd
from fewstep.distill.methods import States, bake_guidance, match_endpoint, match_segments
from fewstep.distill.network import denoiser
from fewstep.distill.setting import begin
from fewstep.distill.training import Options, Training
from fewstep.guidance.embedded import COND_PROJ


@pytest.fixture(params=[VE, FLOW], ids=lambda process: process.name)
def setting(request, tmp_path):
    return small_setting(request.param, tmp_path, RANGE)


def test_each_trajectory_has_the_teacher_at_its_own_guidance(setting):
    batch = States(torch.arange(8), torch.full((8,), 2))
    x, sigma = setting.data.x(*batch).double(), setting.data.sigma(batch.level).flatten()
    cond, uncond = predicted(setting, batch.index, x, sigma)
    scales = torch.tensor(RANGE, dtype=torch.float64).view(-1, 1, 1, 1)
    wanted = uncond + scales * (cond - uncond)
    found = setting.data.guided_x0(*batch).double()
    torch.testing.assert_close(found, wanted, rtol=1e-3, atol=1e-3)
    live = setting.teacher(batch.index)(x, sigma)
    torch.testing.assert_close(live, wanted, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    "make_method",
    [
        bake_guidance,
        lambda s: match_segments(s, 2),
        lambda s: match_endpoint(s, 2),
        lcm,
        tcd,
        lambda s: pcm(s, 2),
    ],
)
def test_students_and_targets_are_told_and_the_teacher_is_not(setting, make_method):
    method, network = make_method(setting), setting.network
    batch = method.draw(torch.Generator().manual_seed(0), 3)
    network.passes.clear(), network.told.clear()
    method.turns[0].loss(batch)
    mine = [RANGE[i] for i in batch.index.tolist()]
    for (count, _), told in zip(network.passes, network.told, strict=True):
        assert (told is None) == (count == 6)
        assert told is None or told.tolist() == pytest.approx(mine)
    assert any(told is not None for told in network.told)


def test_one_cfg_is_told_to_nobody(tmp_path):
    setting = small_setting(VE, tmp_path)
    method = bake_guidance(setting)
    method.turns[0].loss(method.draw(torch.Generator().manual_seed(0), 3))
    assert set(setting.network.told) == {None} and COND_PROJ not in method.student.paths


def test_a_network_without_the_input_is_refused_for_a_range(tmp_path):
    setting = small_setting(VE, tmp_path, RANGE)
    del setting.network.hooks.layers[COND_PROJ]
    with pytest.raises(ValueError, match="a range of cfg, and this network has no input"):
        begin(setting)


def test_a_student_learns_what_the_number_means(setting):
    method, data = bake_guidance(setting), setting.data
    training = Training(method, Options(iterations=200, batch=32, learning_rate=2e-2, warm_up=5))
    while not training.is_done:
        training.step()
    batch = States(torch.arange(8).repeat(6), torch.arange(6).repeat_interleave(8))
    x, wanted = data.x(*batch).double(), data.guided_x0(*batch).double()

    @torch.no_grad()
    def error(scales):
        told = {"guidance": scales[batch.index]}
        student = denoiser(setting.network, data.rows[batch.index], method.average, **told)
        return (student(x, data.sigma(batch.level)) - wanted).square().mean().item()

    right = torch.tensor(RANGE)
    assert error(right) < 0.8 * error(right.flip(0))
    assert error(right) < 0.8 * error(right.mean().expand(8))


def test_only_the_slow_sinusoids_are_heard_before_and_after_training(setting):
    student, average = begin(setting)
    fast = [i for i in range(EMBEDDING) if i % (EMBEDDING // 2) < 4]
    for lora in (student, average):
        down = lora.down[lora.paths[COND_PROJ]]
        assert torch.equal(down[:, fast], torch.zeros(2, len(fast)))
        assert (down[:, [4, 5, 10, 11]] != 0).all()
    disturb(student)
    layer, optimizer = (
        setting.network.hooks.layers[COND_PROJ],
        torch.optim.AdamW(student.parameters(), lr=0.1),
    )
    student.added(COND_PROJ, layer, torch.randn(3, EMBEDDING)).square().sum().backward()
    optimizer.step()
    down = student.down[student.paths[COND_PROJ]]
    assert torch.equal(down[:, fast], torch.zeros(2, len(fast)))
    assert (down.grad[:, [4, 5, 10, 11]] != 0).all()

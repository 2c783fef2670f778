import pytest
import torch
from small_network import SHAPE
from small_setting import CFG, disturb, loss_of, predicted, small_setting

from fewstep.diffusion.process import FLOW, VE
from fewstep.distill.adversarial_method import Judged, distil_adversarially
from fewstep.distill.features import choose_layers, features_of
from fewstep.distill.training import Options, Training

HEADS, STUDENT = 0, 1


@pytest.fixture(params=[VE, FLOW], ids=lambda process: process.name)
def setting(request, tmp_path):
    return small_setting(request.param, tmp_path)


def judged(count=3):
    generator = torch.Generator().manual_seed(4)
    return Judged(
        torch.tensor([1, 6, 3][:count]),
        torch.tensor([0, 2, 4][:count]),
        torch.rand(count, 2, generator=generator),
        torch.randn(count, 2, *SHAPE, generator=generator),
    )


def level_of(setting, share):
    process, top = setting.network.process, setting.data.request.sigmas[0]
    top = torch.tensor(top, dtype=torch.float64)
    angle = (0.02 + 0.96 * share.double()) * torch.atan2(top, process.alpha(top))
    ratio = angle.tan()
    return (ratio if process is VE else ratio / (1 + ratio)).view(-1, 1, 1, 1)


def logits_of(setting, method, batch, x0):
    """What the heads say of pictures, their features asked one picture at a time."""
    level = level_of(setting, batch.shares[:, 0])
    x = setting.network.process.mix(x0, batch.fresh[:, 0].double(), level)
    heads, layers = method.turns[HEADS].learner, choose_layers(setting)
    rows = setting.data.rows[batch.index]
    said = []
    for i in range(len(x)):
        features = features_of(setting.network, rows[i : i + 1], list(layers))
        said.append(heads(features(x[i : i + 1], level[i : i + 1]), level[i : i + 1]))
    return torch.cat(said).double()


def made_by(setting, method, batch):
    data = setting.data
    x, sigma = data.x(batch.index, batch.level).double(), data.sigma(batch.level).flatten()
    return predicted(setting, batch.index, x, sigma, method.student)[0]


@torch.no_grad()
def test_heads_tell_the_teachers_pictures_from_the_students(setting):
    method, batch = distil_adversarially(setting, 3), judged()
    disturb(method.student)
    real = setting.data.x0(batch.index).double()
    said, of_made = (
        logits_of(setting, method, batch, x0) for x0 in (real, made_by(setting, method, batch))
    )
    step = logits_of(setting, method, batch, real + 0.01 * batch.fresh[:, 1].double()) - said
    wanted = ((1 - said).relu() + (1 + of_made).relu()).mean(1)
    wanted = wanted + 0.01 * (step / 0.01).square().mean(1)
    torch.testing.assert_close(loss_of(method, batch, HEADS), wanted, rtol=1e-3, atol=1e-4)


@torch.no_grad()
def test_the_student_is_to_fool_the_heads_and_stay_near_the_guided_teacher(setting):
    method, batch = distil_adversarially(setting, 3), judged()
    disturb(method.student)
    made = made_by(setting, method, batch)
    fooling = -logits_of(setting, method, batch, made).mean(1)
    level = level_of(setting, batch.shares[:, 1])
    alpha = setting.network.process.alpha(level)
    again = alpha * made + level * batch.fresh[:, 1].double()
    cond, uncond = predicted(setting, batch.index, again, level.flatten())
    teacher = uncond + CFG * (cond - uncond)
    weight = (alpha / (alpha**2 + level**2).sqrt()).flatten()
    near = weight * (made - teacher).square().flatten(1).mean(1)
    found = loss_of(method, batch, STUDENT)
    torch.testing.assert_close(found, fooling + 2.5 * near, rtol=1e-3, atol=1e-4)


def test_each_turn_trains_its_own_and_the_student_hears_the_heads(setting):
    method, batch = distil_adversarially(setting, 3, kind="non-saturating"), judged()
    heads, student = (turn.learner for turn in method.turns)
    method.turns[HEADS].loss(batch).sum().backward()
    assert all(parameter.grad is not None for parameter in heads.parameters())
    assert all(parameter.grad is None for parameter in student.parameters())
    method.turns[STUDENT].loss(batch).sum().backward()
    together = [up.grad.clone() for up in student.up]
    student.zero_grad(set_to_none=True)
    for parameter in heads.parameters():
        parameter.data.zero_()
    method.turns[STUDENT].loss(batch).sum().backward()
    assert not any(torch.equal(a, up.grad) for a, up in zip(together, student.up, strict=True))


def test_a_training_moves_heads_and_student(setting):
    method = distil_adversarially(setting, 3)
    # of hinges that both are open, a bias has no gradient
    weights = [p for p in method.turns[HEADS].learner.parameters() if p.ndim > 1]
    before = [weight.clone() for weight in weights]
    training = Training(method, Options(iterations=2, batch=4, learning_rate=1e-3, warm_up=1))
    training.step(), training.step()
    assert not any(torch.equal(a, b) for a, b in zip(before, weights, strict=True))
    assert all(up.abs().sum() > 0 for up in method.student.up)
    drawn = method.draw(torch.Generator().manual_seed(0), 100)
    assert set(drawn.level.tolist()) == {0, 2, 4}


def test_layers_that_see_no_picture_are_not_looked_at(setting):
    found = choose_layers(setting)
    # the others take the states of the prompt and give no places
    assert found == {f"blocks.{i}.conv": 6 for i in range(3)}


def test_without_a_layer_that_sees_the_picture_there_is_nothing_to_judge_by(tmp_path):
    setting = small_setting(VE, tmp_path, layers="emb")
    with pytest.raises(ValueError, match="none of the layers to train tells pictures apart"):
        distil_adversarially(setting, 3)


def test_features_of_passes_over_parts_are_put_in_the_batchs_order(setting):
    hooks, network = setting.network.hooks, setting.network
    x = torch.randn(3, *SHAPE, generator=torch.Generator().manual_seed(1)).double()
    rows, sigma = torch.tensor([0, 1, 2]), torch.full((3,), 0.5)
    with hooks.watching(["blocks.1.conv"]) as whole:
        network.denoise(x, sigma, rows)
    with hooks.watching(["blocks.1.conv"]) as seen:
        for part in ([2], [0, 1]):
            network.denoise(x[part], sigma[part], rows[part])
        hooks.in_order([[2], [0, 1]])
    assert len(seen["blocks.1.conv"]) == 1
    torch.testing.assert_close(seen["blocks.1.conv"][0], whole["blocks.1.conv"][0])


def test_parts_of_different_sizes_cannot_be_put_together(setting):
    hooks, network = setting.network.hooks, setting.network
    one = torch.zeros(1, dtype=torch.long)
    with hooks.watching(["blocks.1.conv"]):
        for size in (4, 6):
            network.denoise(torch.zeros(1, 2, size, 4).double(), torch.ones(1), one)
        with pytest.raises(ValueError, match="outputs of different sizes, .*Set accumulation"):
            hooks.in_order([[0], [1]])

from types import SimpleNamespace

import pytest
import torch
from small_network import SHAPE
from small_setting import CFG, disturb, loss_of, predicted, small_setting
from torch.nn import Conv2d, Linear

from fewstep.diffusion.process import FLOW, VE
from fewstep.distill.adversarial_method import Judged, distil_adversarially
from fewstep.distill.features import choose_layers, features_of
from fewstep.distill.hooks import Hooks
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
def test_heads_are_held_to_small_slopes_on_the_teachers_pictures(setting):
    method, batch = distil_adversarially(setting, 3), judged()
    # so steep that the slope outweighs all else
    for head in method.turns[HEADS].learner.heads:
        head.outer.weight *= 1e5
    real = setting.data.x0(batch.index).double()
    said, of_made = (
        logits_of(setting, method, batch, x0) for x0 in (real, made_by(setting, method, batch))
    )
    told = ((1 - said).relu() + (1 + of_made).relu()).mean(1)
    found = loss_of(method, batch, HEADS) - told
    step = logits_of(setting, method, batch, real + 0.01 * batch.fresh[:, 1].double()) - said
    slope = (step / 0.01).square().mean(1)
    assert (0.01 * slope > 0.05 * told).all()
    torch.testing.assert_close(found, 0.01 * slope, rtol=1e-2, atol=1e-4 * told.max().item())


def test_the_slope_is_taken_over_a_hundredth_of_the_second_noise(setting):
    method, batch, network = distil_adversarially(setting, 3), judged(), setting.network
    seen, denoise = [], network.denoise
    network.denoise = lambda x, *rest: (seen.append(x), denoise(x, *rest))[1]
    method.turns[HEADS].loss(batch)
    network.denoise = denoise
    # of the student, the real ones, those a step beside them and the student's, in some order
    alpha = setting.network.process.alpha(level_of(setting, batch.shares[:, 0]))
    steps = [b.double() - a.double() for a in seen for b in seen]
    wanted = alpha * 0.01 * batch.fresh[:, 1].double()
    assert any(torch.allclose(step, wanted, rtol=1e-3, atol=1e-5) for step in steps)


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
    assert set(drawn.level.tolist()) == {0, 2, 4} and set(drawn.index.tolist()) == set(range(8))
    assert drawn.fresh.shape == (100, 2, *SHAPE) and drawn.shares.shape == (100, 2)


def test_heads_learn_ten_times_as_fast_as_the_student(setting):
    method = distil_adversarially(setting, 3)
    learners = [turn.learner for turn in method.turns]
    before = [[p.detach().clone() for p in learner.parameters()] for learner in learners]
    Training(method, Options(iterations=9, batch=4, learning_rate=1e-5, warm_up=1)).step()
    # the first step of Adam is as long as its learning rate
    moved = [
        max((p - q).abs().max().item() for p, q in zip(learner.parameters(), old, strict=True))
        for learner, old in zip(learners, before, strict=True)
    ]
    assert moved[0] / moved[1] == pytest.approx(10, rel=0.05)


def test_layers_that_see_no_picture_are_not_looked_at(setting):
    found = choose_layers(setting)
    # the others take the states of the prompt and give no places
    assert found == {f"blocks.{i}.conv": 6 for i in range(3)}


class Deep:
    """A network of 20 layers one after the other; every fifth sees tokens.

    Two more see the picture without its places, and a text that is the same for every picture.
    """

    process, device = VE, torch.device("cpu")

    def __init__(self):
        plain = {"bias": False}
        layers = [
            Linear(3, 3, **plain) if i % 5 == 4 else Conv2d(3, 3, 1, **plain) for i in range(19)
        ]
        layers.append(Conv2d(3, 4, 1, **plain))
        self.besides = {"pooled": Linear(3, 3), "text": Linear(5, 5)}
        named = {f"layer {i}": layer for i, layer in enumerate(layers)}
        self.hooks = Hooks(self.besides | named)
        self.sigmas, self.shown = [], []

    def denoise(self, x, sigma, rows, guidance=None):
        self.sigmas.append(sigma.tolist())
        self.shown.append(x)
        whole = x
        self.besides["pooled"](x.mean((2, 3)))
        self.besides["text"](torch.ones(len(x), 7, 5))
        for name, layer in self.hooks.layers.items():
            if name in self.besides:
                continue
            if isinstance(layer, Linear):
                x = layer(x.flatten(2).mT).mT.reshape_as(whole)
            else:
                x = layer(x)
        return x


def test_eight_layers_are_looked_at_evenly_over_a_deep_network():
    network = Deep()
    data = SimpleNamespace(
        request=SimpleNamespace(sigmas=(9.0, 3.0, 1.0, 0.3, 0.0)),
        shape_of=lambda number: (3, 4, 4),
        rows=torch.tensor([0]),
    )
    generator = torch.Generator().manual_seed(0)
    found = choose_layers(SimpleNamespace(network=network, data=data, generator=generator))
    assert list(found) == [f"layer {i}" for i in (1, 3, 6, 8, 11, 13, 16, 18)]
    assert set(found.values()) == {3} and network.sigmas == [[1.0, 1.0]]
    # noise as strong as a picture made noisy to that level
    noise = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(network.shown[0], 2**0.5 * noise)
    for i in list(network.hooks.layers):
        if i not in ("layer 4", "layer 19"):
            del network.hooks.layers[i]
    generator = torch.Generator().manual_seed(0)
    setting = SimpleNamespace(network=network, data=data, generator=generator)
    # of tokens the last size is the channels, of places the second
    assert choose_layers(setting) == {"layer 4": 3, "layer 19": 4}


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

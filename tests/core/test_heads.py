import math

import pytest
import torch

from fewstep.diffusion.process import FLOW, VE
from fewstep.distill.adversarial import Heads, discriminator_loss, generator_loss

WIDTHS = (6, 10)


def heads(seed=0, process=FLOW, widths=WIDTHS, hidden=8):
    return Heads(widths, hidden, process, torch.Generator().manual_seed(seed))


def randn(seed, *shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def features(seed=0):
    return [randn(seed, 3, 6, 4, 4), randn(seed + 1, 3, 5, 10)]


SIGMA = torch.tensor([0.2, 0.5, 0.9]).view(-1, 1, 1, 1)


def test_a_head_by_hand():
    judge = heads(widths=(2,), hidden=1).double()
    values = {"inner": ([[1.0, 2.0]], [0.25]), "level": ([[3.0, 5.0]], [0.0])}
    values["outer"] = ([[2.0]], [0.5])
    for name, (weight, bias) in values.items():
        layer = getattr(judge.heads[0], name)
        layer.weight.data, layer.bias.data = torch.tensor(weight), torch.tensor(bias)
    judge.double()
    # two places; less their mean and over their deviation (-1, 1) and (1, -1)
    x = torch.tensor([[[1e3, 3e3], [7e3, 2e3]]], dtype=torch.float64)
    # FLOW at 0.75: alpha 0.25, together of length 1
    level = (3 * 0.25 + 5 * 0.75) / math.hypot(0.25, 0.75)
    silu = lambda v: v / (1 + math.exp(-v))
    wanted = 2 * (silu(1.25 + level) + silu(-0.75 + level)) / 2 + 0.5
    logits = judge([x], torch.tensor([[[0.75]]], dtype=torch.float64))
    assert logits.tolist() == [[pytest.approx(wanted, rel=1e-9)]]


def test_maps_and_tokens_are_judged_alike():
    judge, x = heads(), features()
    tokens = [x[0].flatten(2).transpose(1, 2), x[1]]
    video = [x[0].unflatten(2, (2, 2)), x[1]]
    torch.testing.assert_close(judge(tokens, SIGMA), judge(x, SIGMA))
    torch.testing.assert_close(judge(video, SIGMA), judge(x, SIGMA))


def test_each_layer_gives_one_logit_of_its_own():
    judge, x = heads(), features()
    logits = judge(x, SIGMA)
    assert logits.shape == (3, 2)
    changed = judge([x[0], randn(9, 3, 5, 10)], SIGMA)
    assert torch.equal(changed[:, 0], logits[:, 0])
    assert (changed[:, 1] != logits[:, 1]).all()


def test_heads_know_the_level_by_its_ratio_of_signal_to_noise():
    flow, ve, x = heads(process=FLOW), heads(process=VE), features()
    same = SIGMA / (1 - SIGMA)
    torch.testing.assert_close(ve(x, same), flow(x, SIGMA))
    assert ((ve(x, SIGMA) - flow(x, SIGMA)).abs() > 1e-4).all()


def test_heads_do_not_see_how_large_features_are():
    judge, x = heads(), features()
    torch.testing.assert_close(
        judge([1e3 * each for each in x], SIGMA), judge(x, SIGMA), rtol=1e-3, atol=1e-4
    )


def test_equal_seeds_give_equal_heads_and_leave_the_global_generator_alone():
    before = torch.get_rng_state()
    one, same, other = heads(3), heads(3), heads(4)
    assert torch.equal(torch.get_rng_state(), before)
    for a, b, c in zip(one.parameters(), same.parameters(), other.parameters(), strict=True):
        assert torch.equal(a, b) and not torch.equal(a, c)


def test_heads_start_as_linear_layers_do():
    judge = heads(widths=(400,), hidden=300)
    for layer, inputs in zip(judge.heads[0].children(), (400, 2, 300), strict=True):
        bound = inputs**-0.5
        assert layer.weight.abs().max() <= bound
        # uniform in +- bound
        assert layer.weight.std().item() == pytest.approx(bound / 3**0.5, rel=0.1)


def test_features_of_another_number_of_layers_are_refused():
    with pytest.raises(ValueError, match="features come from 1 layers and there are 2 heads"):
        heads()(features()[:1], SIGMA)


def test_features_of_another_width_are_refused():
    with pytest.raises(ValueError, match=r"features are \[3, 5, 10\]; its head is for 6 channels"):
        heads()(features()[::-1], SIGMA)


def teacher():
    """A frozen network of two layers, whose inner results are the features."""
    layers = [torch.nn.Linear(2, 6), torch.nn.Linear(6, 10)]
    for i, layer in enumerate(layers):
        layer.weight.data, layer.bias.data = randn(10 + i, *layer.weight.shape), 0 * layer.bias.data

    def look(x):
        first = torch.tanh(layers[0](x))
        return [first[:, None], torch.tanh(layers[1](first))[:, None]]

    return torch.nn.ModuleList(layers), look


@pytest.mark.parametrize("kind", ["hinge", "non-saturating"])
def test_in_each_turn_only_whose_turn_it_is_learns(kind):
    layers, look = teacher()
    judge, student = heads(), randn(0, 3, 2).requires_grad_()
    with torch.no_grad():
        real, fake = look(randn(1, 3, 2)), look(student)
    discriminator_loss(judge(real, SIGMA), judge(fake, SIGMA), kind).sum().backward()
    assert all(p.grad.abs().max() > 0 for p in judge.parameters() if p.ndim > 1)
    assert student.grad is None and all(p.grad is None for p in layers.parameters())

    judge.requires_grad_(False).zero_grad()
    layers.requires_grad_(False)
    generator_loss(judge(look(student), SIGMA), kind).sum().backward()
    assert student.grad.abs().min() > 0
    assert all(p.grad is None for p in (*judge.parameters(), *layers.parameters()))


@pytest.mark.parametrize("kind", ["hinge", "non-saturating"])
def test_played_in_turns_the_generated_mean_goes_to_the_real_one(kind):
    judge, (_, look) = heads(hidden=16), teacher()
    goal, mean = torch.tensor([1.0, -0.5]), torch.tensor([-1.0, 0.5], requires_grad=True)
    optimizers = [
        torch.optim.Adam(parameters, lr=lr, betas=(0.0, 0.99))
        for parameters, lr in ((judge.parameters(), 1e-2), ([mean], 2e-2))
    ]
    sigma = torch.zeros(128, 1, 1)
    for i in range(150):
        real, fake = goal + 0.5 * randn(2 * i, 128, 2), mean + 0.5 * randn(2 * i + 1, 128, 2)
        told_apart = [judge(look(x), sigma) for x in (real, fake.detach())]
        take_step(optimizers[0], discriminator_loss(*told_apart, kind))
        take_step(optimizers[1], generator_loss(judge(look(fake), sigma), kind))
    assert (mean - goal).norm() < 0.4


def take_step(optimizer, loss):
    optimizer.zero_grad()
    loss.mean().backward()
    optimizer.step()

import torch
from families import STD, drawn, of_each_family

from fewstep.diffusion.process import FLOW, VE
from fewstep.distill.consistency import (
    consistency_distillation_loss,
    consistency_training_loss,
    ict_c,
)
from fewstep.distill.consistency_function import consistency_function, neighbours


@of_each_family
def test_training_without_a_teacher_has_no_loss_where_all_data_is_one_point(family):
    _, noise = drawn(50)
    x0 = torch.full_like(noise, 0.7)
    sigma, sigma_next = neighbours(family.levels(50), torch.arange(50), x0)

    def loss(point):
        f = consistency_function(lambda x, sigma: torch.full_like(x, point), family.table)
        arguments = f, f, x0, noise, sigma, sigma_next, ict_c(6)
        return consistency_training_loss(*arguments, process=family.process)

    # LCM's boundary leaves up to 7e-6 of x
    assert (loss(0.7)[:49] < 1e-6).all()
    # one who denoises to another point agrees with itself, but not with what is clean; LCM's
    # boundary takes timestep 0 for clean, which it is but for noise of 0.03
    assert loss(0.7)[49] < 0.1 < loss(0.9)[49]


@of_each_family
def test_training_without_a_teacher_shows_both_the_same_x0_and_noise(family):
    x0, noise = drawn(3)
    sigma, sigma_next = neighbours(family.levels(50), torch.tensor([0, 20, 49]), x0)

    def shown(level):
        def network(x, sigma):
            assert torch.equal(sigma, level)
            signal = {VE: 1.0, FLOW: 1.0 - level}[family.process]
            torch.testing.assert_close(x, signal * x0 + level * noise)
            return torch.zeros_like(x)

        return network

    arguments = shown(sigma), shown(sigma_next), x0, noise, sigma, sigma_next, 1.0
    consistency_training_loss(*arguments, process=family.process)


@of_each_family
def test_training_without_a_teacher_has_distillations_gradient_in_expectation(family):
    # with an affine target and a squared distance (large c) this holds at any length of step
    count, c = 200_000, 1e4
    generator = torch.Generator().manual_seed(0)
    x0, noise = (torch.randn(count, 1, generator=generator, dtype=torch.float64) for _ in range(2))
    x0 = 0.7 + STD * x0
    sigma, sigma_next = (torch.full_like(x0, level) for level in (0.8, 0.4))
    x = family.process.mix(x0, noise, sigma)
    target = lambda x, sigma: 0.4 * x + 0.3

    def gradients(loss):
        weight, bias = (torch.full_like(x0, v).requires_grad_() for v in (0.3, 0.1))
        loss(lambda x, sigma: weight * x + bias).sum().backward()
        return c * torch.cat([weight.grad, bias.grad], dim=1)

    def distilled(mean):
        denoised = family.gaussian(mean, STD).denoised(x, sigma)
        return gradients(
            lambda f: consistency_distillation_loss(f, target, denoised, x, sigma, sigma_next, c)
        )

    trained = gradients(
        lambda f: consistency_training_loss(
            f, target, x0, noise, sigma, sigma_next, c, process=family.process
        )
    )

    def errors(mean):
        """Standard errors between the two gradients of weight and bias."""
        apart = trained - distilled(mean)
        return apart.mean(dim=0).abs() / (apart.std(dim=0) / count**0.5)

    assert (errors(0.7) < 5).all()
    assert (errors(0.75) > 5).all()


def test_training_without_a_teacher_gives_the_student_alone_a_gradient():
    x0, noise = drawn(2)
    sigma, sigma_next = (torch.full((2, 1, 1), v, dtype=torch.float64) for v in (2.0, 1.0))
    weights = {name: torch.ones((), dtype=torch.float64, requires_grad=True) for name in "st"}
    student, target = (lambda x, sigma, w=weights[name]: w * x for name in "st")
    loss = consistency_training_loss(student, target, x0, noise, sigma, sigma_next, 1.0, process=VE)
    loss.sum().backward()
    assert weights["s"].grad.abs() > 0 and weights["t"].grad is None


def test_training_in_half_precision_is_computed_in_float32():
    x0, noise = (tensor.half() for tensor in drawn(2))
    sigma, sigma_next = (torch.full((2, 1, 1), level) for level in (2.0, 1.0))
    network = lambda x, sigma: (0.9 * x.sin()).half()
    levels = sigma, sigma_next, 0.1
    loss = consistency_training_loss(network, network, x0, noise, *levels, process=VE)
    in_float = lambda x, sigma: network(x, sigma).float()
    wanted = consistency_training_loss(in_float, in_float, x0.float(), noise, *levels, process=VE)
    assert loss.dtype == torch.float32 and torch.equal(loss, wanted)

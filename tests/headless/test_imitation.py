import torch

from fewstep.headless.train_lcm_lora import Batch
from fewstep.headless.train_lcm_unet import imitation_loss


def predicting(eps_of):
    """The (x, sigma) -> x0 estimate of a network that predicts eps."""
    return lambda x, sigma: x - sigma * eps_of(x, sigma)


def test_imitation_compares_both_at_the_same_noisy_latent():
    alpha_bar = torch.linspace(0.99, 0.01, 1000)
    x0, noise = torch.full((2, 1, 2, 2), 3.0), torch.full((2, 1, 2, 2), -1.0)
    seen = []

    def eps_of(x, sigma):
        seen.append((x, sigma))
        return x + 2.0

    # timesteps 999 and 499 of the grid of two
    batch = Batch(x0, noise, torch.tensor([0, 1]))
    student, teacher = predicting(eps_of), predicting(lambda x, sigma: x - 1.0)
    loss = imitation_loss(student, None, teacher, batch, alpha_bar, original_steps=2)
    # off by 3 in eps, whatever that is in x0
    torch.testing.assert_close(loss, torch.tensor([9.0, 9.0]))
    ((x, sigma),) = seen
    # alpha_bar is 0.01, and 0.99 - 0.98 * 499 / 999 = 0.5004905
    torch.testing.assert_close(sigma.flatten(), torch.tensor([9.9498744, 0.9990195]))
    torch.testing.assert_close(x[:, 0, 0, 0], torch.tensor([3 - 9.9498744, 3 - 0.9990195]))


def test_imitation_teaches_the_student_and_not_the_teacher():
    alpha_bar = torch.linspace(0.99, 0.01, 1000)
    weight = torch.ones(2, requires_grad=True)
    batch = Batch(torch.zeros(1, 1, 1, 1), torch.ones(1, 1, 1, 1), torch.tensor([0]))
    student = predicting(lambda x, _: weight[0] * x)
    teacher = predicting(lambda x, _: 2.0 * weight[1] * x)
    imitation_loss(student, None, teacher, batch, alpha_bar).backward()
    assert weight.grad[0] < 0 and weight.grad[1] == 0

import torch

from fewstep.distill.consistency import Batch
from fewstep.headless.train_lcm_unet import imitation_loss


def test_imitation_compares_both_at_the_same_noisy_latent():
    alpha_bar = torch.linspace(0.99, 0.01, 1000)
    x0, noise = torch.full((2, 1, 2, 2), 3.0), torch.full((2, 1, 2, 2), -1.0)
    seen = []

    def student(x, timestep):
        seen.append((x, timestep))
        return x + 2.0

    # timesteps 999 and 499 of the grid of two
    batch = Batch(x0, noise, torch.tensor([0, 1]))
    loss = imitation_loss(student, None, lambda x, _: x - 1.0, batch, alpha_bar, original_steps=2)
    torch.testing.assert_close(loss, torch.tensor([9.0, 9.0]))
    ((x, timestep),) = seen
    assert timestep.tolist() == [999, 499]
    # 0.1 * 3 - sqrt(0.99), and with alpha_bar 0.99 - 0.98 * 499 / 999 = 0.5004905
    wanted = torch.tensor([0.3 - 0.9949874, 0.7074535 * 3 - 0.7067599])
    torch.testing.assert_close(x[:, 0, 0, 0], wanted)


def test_imitation_teaches_the_student_and_not_the_teacher():
    alpha_bar = torch.linspace(0.99, 0.01, 1000)
    weight = torch.ones(2, requires_grad=True)
    batch = Batch(torch.zeros(1, 1, 1, 1), torch.ones(1, 1, 1, 1), torch.tensor([0]))
    imitation_loss(
        lambda x, _: weight[0] * x, None, lambda x, _: 2.0 * weight[1] * x, batch, alpha_bar
    ).backward()
    assert weight.grad[0] < 0 and weight.grad[1] == 0

from types import SimpleNamespace

import torch
from torch import nn

from fewstep.demo.architecture import new_unet
from fewstep.diffusion.sigmas import sigma_table
from fewstep.headless.train_lcm_lora import (
    Batch,
    Settings,
    consistency_loss,
    distil,
    train_lcm_lora,
)

ALPHA_BAR = (1 / (1 + torch.tensor(sigma_table()) ** 2)).float()


def train(**changed):
    torch.manual_seed(0)
    unet = new_unet().eval()
    before = {k: v.clone() for k, v in unet.state_dict().items()}
    latents = torch.randn(6, 4, 8, 8)
    states = torch.randn(6, 5, 128)
    losses = []
    settings = Settings(iterations=4, batch=3, rank=2, lora_alpha=2.0)._replace(**changed)
    lora = train_lcm_lora(
        unet,
        latents,
        lambda rows: states[rows],
        torch.zeros(1, 5, 128),
        ALPHA_BAR,
        settings,
        on_iteration=lambda i, loss, average: losses.append(loss),
    )
    same = all(torch.equal(before[k], v) for k, v in unet.state_dict().items())
    return lora, losses, same


def test_training_never_changes_the_network_it_trains_for():
    assert train()[2]


def test_equal_seeds_give_equal_loras_and_other_seeds_others():
    first, again, other = (train(seed=seed)[0].kohya() for seed in (5, 5, 6))
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert any(not torch.equal(first[key], other[key]) for key in first)


def test_the_average_follows_the_student_away_from_the_teacher():
    # the loss tells little of progress (its target moves); that the LoRA changes is certain
    few, many = (train(iterations=n)[0] for n in (2, 8))
    far = [sum(up.abs().sum() for up in lora.up) for lora in (few, many)]
    assert 0 < far[0] < far[1]


def test_the_average_lags_behind_what_is_trained_by_its_decay():
    still, _, _ = train(ema_decay=1.0)
    moved, _, _ = train(ema_decay=0.0)
    assert all(torch.all(up == 0) for up in still.up)
    assert any(torch.any(up != 0) for up in moved.up)


def test_the_average_moves_after_the_optimizer():
    # an average without a memory is the student, who has moved after the first iteration
    moved, _, _ = train(iterations=1, ema_decay=0.0)
    assert any(torch.any(up != 0) for up in moved.up)


class Shift(nn.Module):
    """A UNet whose eps is that of data at one point, moved by its weight and by the text."""

    def __init__(self, point):
        super().__init__()
        self.point, self.shift, self.asked = point, nn.Parameter(torch.zeros(1)), []

    def forward(self, x, timestep, states, timestep_cond=None):
        self.asked.append(timestep.tolist())
        alpha_bar = ALPHA_BAR[timestep].view(-1, 1, 1, 1)
        eps = (x - alpha_bar.sqrt() * self.point) / (1 - alpha_bar).sqrt()
        return SimpleNamespace(sample=eps + self.shift + states.mean(dim=(1, 2)).view(-1, 1, 1, 1))


class Weight(nn.Module):
    """A change of a Shift."""

    def __init__(self, value):
        super().__init__()
        self.value = nn.Parameter(torch.tensor([value]))

    def weights(self):
        return {"shift": self.value}


def test_losses_are_given_x0_estimates_of_the_latent_in_ve_scaling():
    unet, estimates = Shift(0.6), []
    # the network sees x / sqrt(1 + sigma^2) at the timesteps of these levels
    sigma = (1 / ALPHA_BAR[[999, 499, 0]] - 1).sqrt().view(-1, 1, 1, 1)

    def loss_of(student, target, teacher, batch, alpha_bar, original_steps):
        x = 0.6 + sigma * batch.noise
        networks = student, target, teacher
        estimates.extend((network(x, sigma) - 0.6).detach() for network in networks)
        return consistency_loss(*networks, batch, alpha_bar, original_steps=original_steps)

    distil(
        unet,
        lambda generator: Weight(0.25),
        torch.full((4, 1, 2, 2), 0.6),
        lambda rows: torch.full((3, 2, 2), 0.5),
        torch.full((1, 2, 2), -0.5),
        ALPHA_BAR,
        Settings(iterations=1, batch=3, guidance_w=2.0),
        loss_of=loss_of,
    )
    assert unet.asked[:2] == [[999, 499, 0]] * 2 and unet.asked[2] == [999, 499, 0] * 2
    # eps is off by weight and text; the teacher by 0.5 + 2 * (0.5 + 0.5) and no weight
    for estimate, off in zip(estimates, (0.75, 0.75, 2.5), strict=True):
        wanted = (-off * sigma).expand_as(estimate)
        torch.testing.assert_close(estimate, wanted, rtol=1e-5, atol=1e-5)


def test_the_loss_of_a_grid_of_two_is_on_its_levels():
    seen = {}

    def spy(name, x0=0.0):
        def network(x, sigma):
            seen[name] = sigma.flatten()
            return torch.full_like(x, x0)

        return network

    batch = Batch(torch.zeros(2, 1, 2, 2), torch.ones(2, 1, 2, 2), torch.tensor([0, 1]))
    networks = spy("student"), spy("target", 1e3), spy("teacher")
    loss = consistency_loss(*networks, batch, ALPHA_BAR, original_steps=2)
    levels = (1 / ALPHA_BAR - 1).sqrt()
    for name, timesteps in (("student", [999, 499]), ("teacher", [999, 499]), ("target", [499, 0])):
        torch.testing.assert_close(seen[name], levels[timesteps])
    # at timestep 0 the target is its input, which the teacher brought to 0.03
    torch.testing.assert_close(loss, torch.tensor([999.999, 0.0281718]))

import torch

from fewstep.demo.architecture import new_unet
from fewstep.diffusion.sigmas import sigma_table
from fewstep.headless.train_lcm_lora import Settings, train_lcm_lora

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

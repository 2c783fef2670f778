import pytest
import torch
from small_network import SHAPE, SmallNetwork

from fewstep.distill.network import NEGATIVE, denoiser, guided_denoiser

X = torch.randn(3, *SHAPE, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
SIGMA = torch.tensor([9.0, 1.0, 0.1])
ROWS = torch.tensor([4, 0, 2])


def alone(network, i, row):
    return denoiser(network, torch.tensor([row]))(X[i : i + 1], SIGMA[i : i + 1])


@pytest.mark.parametrize("cfg_scales", [(0.0, 0.0, 0.0), (2.5, 1.0, 7.0)])
def test_guidance_takes_each_sample_at_its_own_level_prompt_and_scale(cfg_scales):
    network = SmallNetwork()
    made = guided_denoiser(network, ROWS, torch.tensor(cfg_scales))(X, SIGMA.view(-1, 1, 1, 1))
    for i, row in enumerate(ROWS.tolist()):
        cond, uncond = alone(network, i, row), alone(network, i, NEGATIVE)
        torch.testing.assert_close(made[i : i + 1], uncond + cfg_scales[i] * (cond - uncond))


def test_without_guidance_the_negative_is_not_asked_for():
    network = SmallNetwork()
    made = guided_denoiser(network, ROWS, torch.ones(3))(X, SIGMA)
    assert network.passes == [(3, [4, 0, 2])]
    assert torch.equal(made, denoiser(network, ROWS)(X, SIGMA))


def test_one_level_for_all_may_be_a_number_as_samplers_have_it():
    network = SmallNetwork()
    number = denoiser(network, ROWS)(X, 0.7)
    torch.testing.assert_close(number, denoiser(network, ROWS)(X, torch.full((3,), 0.7)))

"""Tiny networks of diffusers in training, and a LoRA of them that changes something."""

import torch
from tiny_models import conditions, tiny_flux
from tiny_unet import tiny_unet

from fewstep.diffusion.prediction import EPS, FLOW_VELOCITY
from fewstep.diffusion.sigmas import sigma_table
from fewstep.distill.lora import Lora
from fewstep.headless.network import DiffusersNetwork

TABLE = sigma_table()
ROWS = torch.tensor([2, 0])
TIMESTEPS = (700, 20)


def drawn(*shape, seed=7):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def levels():
    return torch.tensor([TABLE[t] for t in TIMESTEPS])


def unet_network(model=None, prediction=EPS, **options):
    model = model or tiny_unet().eval()
    return DiffusersNetwork(model, prediction, conditions("states"), table=TABLE, **options)


def flux_network(model=None, **options):
    return DiffusersNetwork(
        model or tiny_flux(), FLOW_VELOCITY, conditions("states", "pooled"), **options
    )


def filled(network, rank=2, seed=1, scale=0.05):
    """A LoRA that changes something, with numbers that a float16 file can hold."""
    generator = torch.Generator().manual_seed(seed)
    lora = Lora(network.hooks.layers, rank, 2.0 * rank, generator)
    for up in lora.up:
        up.data.normal_(generator=generator).mul_(scale)
    for parameter in lora.parameters():
        parameter.data = parameter.data.half().float()
    return lora

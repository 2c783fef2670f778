"""What a method works on, made of the small network: five conditions, eight trajectories."""

import torch
from small_network import SHAPE, SmallNetwork

from fewstep.distill.joined_data import join
from fewstep.distill.network import NEGATIVE, denoiser
from fewstep.distill.setting import Setting
from fewstep.distill.trajectories import Request, make

SIGMAS = {"VE": (14.6, 5.0, 2.0, 1.0, 0.3, 0.05, 0.0), "FLOW": (1.0, 0.9, 0.7, 0.5, 0.3, 0.1, 0.0)}
CFG = 2.5
# of data whose students are told their guidance
RANGE = (1.0, 4.0, 2.0, 6.5, 3.0, 5.0, 1.5, 7.0)


def small_setting(
    process, folder, cfg_scales=(CFG,) * 8, layers="", rows=(0, 1, 2, 3, 4, 0, 1, 2), held_out=0
):
    network = SmallNetwork(process, layers, is_told=len(set(cfg_scales)) > 1)
    wanted = Request(
        teacher=network.fingerprint,
        process=process.name,
        sigmas=SIGMAS[process.name],
        cfg_scales=cfg_scales,
        shape=SHAPE,
        rows=rows,
        seeds=tuple(range(8)),
        dtype="float32",
    )
    setting = Setting(network, make(network, wanted, folder), 2, 2.0, seed=0)
    return setting._replace(held_out=held_out) if held_out else setting


# of a second size
WIDE = (2, 4, 6)


def joined_setting(process, folder, counts=(6, 3), cfg_scales=None, held_out=0):
    """The same of two sizes of picture, SHAPE and WIDE, with so many trajectories of each."""
    told = len(set(cfg_scales or (CFG,))) > 1
    network = SmallNetwork(process, is_told=told)
    sets = []
    for shape, count in zip((SHAPE, WIDE), counts, strict=True):
        wanted = Request(
            teacher=network.fingerprint,
            process=process.name,
            sigmas=SIGMAS[process.name],
            cfg_scales=(cfg_scales or (CFG,) * count)[:count],
            shape=shape,
            rows=tuple(k % network.rows for k in range(count)),
            seeds=tuple(range(count)),
            dtype="float32",
        )
        sets.append(make(network, wanted, folder / str(shape[-1])))
    return Setting(network, join(sets), 2, 2.0, seed=0, held_out=held_out), sets


def predicted(setting, index, x, sigma, *changes):
    """x0 estimates with and without the condition, asked one after the other."""
    return predicted_for(setting, setting.data.rows[index], x, sigma, *changes)


@torch.no_grad()
def predicted_for(setting, rows, x, sigma, *changes):
    """The same for rows of conditions."""
    cond = denoiser(setting.network, rows, *changes)(x, sigma)
    uncond = denoiser(setting.network, torch.full_like(rows, NEGATIVE), *changes)(x, sigma)
    return cond, uncond


@torch.no_grad()
def disturb(lora, seed=5, std=0.5):
    """Have a LoRA change something."""
    generator = torch.Generator().manual_seed(seed)
    for up in lora.up:
        up.normal_(std=std, generator=generator)
    return lora


def loss_of(method, batch, turn=-1):
    return method.turns[turn].loss(batch).detach().double()

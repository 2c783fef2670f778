"""diffusers' schedulers, run with injected noise in float32 or float64.

The schedulers write their precision into the code (`torch.float32` for betas and in Euler's step,
`np.float32` for sigmas, the default dtype where a timestep meets a Python float). To run one in
float64 those two names are rebound inside the scheduler's own module, with the default dtype, for
the length of a run; nothing else of it changes.
"""

import types
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from diffusers.schedulers import (
    scheduling_ddim,
    scheduling_euler_discrete,
    scheduling_lcm,
    scheduling_tcd,
)

from .network import eps_of, randn

SD = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}


@dataclass
class Run:
    timesteps: list[int]
    # x before every step, then the result, in the scheduler's own scale
    xs: list


def lcm(steps, dtype, noise, **timestep_options):
    with precision(scheduling_lcm, dtype, noise) as module:
        scheduler = module.LCMScheduler(**SD)
        scheduler.set_timesteps(steps, **timestep_options)
        return _run(scheduler, dtype)


def tcd(steps, dtype, noise, eta):
    with precision(scheduling_tcd, dtype, noise) as module:
        scheduler = module.TCDScheduler(**SD)
        scheduler.set_timesteps(steps)
        return _run(scheduler, dtype, eta=eta)


def euler_trailing(steps, dtype, network=eps_of, x=None, predicts="epsilon"):
    with precision(scheduling_euler_discrete, dtype, None) as module:
        scheduler = module.EulerDiscreteScheduler(
            **SD, timestep_spacing="trailing", prediction_type=predicts
        )
        scheduler.set_timesteps(steps)
        return _run(scheduler, dtype, network=network, x=x)


def ddim_trailing(steps, dtype, network, x):
    with precision(scheduling_ddim, dtype, None) as module:
        scheduler = module.DDIMScheduler(**SD, timestep_spacing="trailing", clip_sample=False)
        scheduler.set_timesteps(steps)
        return _run(scheduler, dtype, network=network, x=x)


@contextmanager
def precision(module, dtype, noise):
    names = {"torch": _with(torch, float32=dtype)}
    names["np"] = _with(np, float32=np.float64 if dtype == torch.float64 else np.float32)
    if noise is not None:
        names["randn_tensor"] = lambda *args, **kwargs: noise()
    kept, default = {name: getattr(module, name) for name in names}, torch.get_default_dtype()
    vars(module).update(names)
    torch.set_default_dtype(dtype)
    try:
        yield module
    finally:
        torch.set_default_dtype(default)
        vars(module).update(kept)


def _with(library, **names):
    twin = types.ModuleType(library.__name__)
    vars(twin).update(vars(library), **names)
    return twin


def _run(scheduler, dtype, network=eps_of, x=None, **step_options):
    if x is None:
        x = randn(0, dtype) * scheduler.init_noise_sigma
    xs = [x]
    for timestep in scheduler.timesteps:
        output = network(scheduler.scale_model_input(x, timestep), timestep)
        x = scheduler.step(output, timestep, x, **step_options).prev_sample
        xs.append(x)
    return Run([int(timestep) for timestep in scheduler.timesteps], xs)

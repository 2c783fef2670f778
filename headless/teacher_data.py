"""The teacher's trajectories of a run: made by all processes, written by the main one."""

import math
import shutil

import torch
from tqdm import tqdm

from ..distill.guidance import draw_scales
from ..distill.plan import GB, Disk, Plan, at_least, check
from ..distill.trajectories import Request, Trajectories, make, missing
from .config import Data
from .processes import Processes
from .split_network import split


def request_of(network, wanted: Data, sigmas, shape) -> Request:
    """The trajectories that a file asks for: so many seeds of each prompt.

    Args:
        network: a `distill.network.Network`.
        sigmas: N + 1 falling levels.
        shape: [C, h, w] of a latent.
    """
    rows = tuple(row for row in range(network.rows) for _ in range(wanted.seeds))
    generator = torch.Generator().manual_seed(wanted.seed)
    return Request(
        teacher=network.fingerprint,
        process=network.process.name,
        sigmas=tuple(sigmas),
        cfg_scales=tuple(draw_scales(*wanted.cfg, len(rows), generator).tolist()),
        shape=tuple(shape),
        rows=rows,
        seeds=tuple((wanted.seed + k) % 2**64 for k in range(len(rows))),
    )


def check_disk(wanted: Data, prompts: int, shapes) -> None:
    """Refuse what the budget or the disk has no room for.

    Args:
        shapes: [C, h, w] of the latents of each size.

    Raises:
        ValueError: says what is needed and there, and what would fit.
    """
    folders = [part.folder for part in wanted.parts]
    there = next(path for path in (folders[0], *folders[0].parents) if path.exists())
    made = sum(path.stat().st_size for folder in folders for path in folder.glob("*"))
    free = shutil.disk_usage(there).free + made
    # of each prompt and seed there is one of every size
    shape = (sum(map(math.prod, shapes)),)
    budget = round(wanted.budget_gb * GB)
    what = "[prompts] count"
    disk = Disk(free, budget, 0, prompts, wanted.seeds, wanted.steps, shape, what=what)
    check(Plan(prompts * wanted.seeds, 0.0, None, disk))


def made(network, request: Request, wanted: Data, processes: Processes) -> Trajectories:
    """Make a set of trajectories, or what is missing of it.

    Raises:
        ValueError, OSError: as of `distill.trajectories.make`.
    """
    batch = wanted.batch * processes.of
    processes.say(_planned(network, request, wanted.folder))
    if processes.of == 1:
        return _made(network, request, wanted, batch)
    with split(network, processes, request.shape) as asking:
        if asking is not None:
            _made(asking, request, wanted, batch)
    # whole by now, so that this reads it
    return make(network, request, wanted.folder, batch=batch)


def _planned(network, request, folder):
    left, whole, steps = missing(request, folder), len(request.rows), len(request.sigmas) - 1
    return (
        f"teacher's data: {left} of {whole} trajectories to make, {steps} steps for "
        f"{network.rows} prompts, {at_least(request.bytes_on_disk())} GB in {folder}"
    )


def _made(network, request, wanted, batch):
    total = missing(request, wanted.folder) * wanted.steps
    with tqdm(total=total, desc="teacher", unit="step", disable=not total) as bar:
        return make(network, request, wanted.folder, batch=batch, on_step=bar.update)

"""Pictures of a student in training, as its users' samplers make them, beside its teacher's."""

import math

import torch

from ..distill.lora import Lora
from ..distill.meters import Meters, measure, over_sizes
from ..distill.setting import Setting, looked_at
from ..distill.trajectories import noise_of
from ..distill.ways import Stage, Way
from ..recipes.students import ETA
from ..samplers import landings
from ..samplers.noise import seeded_noise
from ..samplers.ode import sample_euler
from ..samplers.start import start
from ..samplers.trajectory import sample_trajectory
from .levels import levels_of
from .processes import Processes

# pictures at a time
BATCH = 8


class Validation:
    """(stage, student) -> Meters over the last trajectories of each size, their mean.

    Args:
        way: that the student is made by.
        shift: of a flow model.
        pictures: how many to make of each size.

    Raises:
        ValueError: the teacher's pictures cannot be measured.
    """

    def __init__(
        self, setting: Setting, way: Way, shift: float | None, pictures: int, processes: Processes
    ):
        self._setting, self._way, self._shift = setting, way, shift
        self._processes = processes
        self._sizes = looked_at(setting.data, pictures)
        for index in self._sizes:
            self._measured(index, setting.data.x0(index))

    def __call__(self, stage: Stage, lora: Lora) -> Meters:
        several = []
        for index in self._sizes:
            parts = [self.pictures(stage, lora, some) for some in index.split(BATCH)]
            several.append(self._measured(index, torch.cat(parts)))
        found = over_sizes(several)
        # every process must come to the same end
        return _read(self._processes.of_main(_written(found)), len(found.mean_shift))

    def _measured(self, index, made):
        data = self._setting.data
        return measure(made, data.x0(index), data.rows[index].tolist())

    @torch.no_grad()
    def pictures(self, stage: Stage, lora: Lora, index) -> torch.Tensor:
        """Clean latents [B, C, ...] of the prompts and seeds of these trajectories of one size."""
        setting, way = self._setting, self._way
        network, request = setting.network, setting.data.request
        table, process = network.table, network.process
        sigmas = levels_of(stage.steps, table, self._shift or 1.0, on_lcm_grid=way.is_on_lcm_grid)
        seeds = [request.seeds[i] for i in index]
        shape = setting.data.shape_of(int(index[0]))
        noise = torch.stack([noise_of(seed, shape) for seed in seeds]).to(network.device)
        x = start(noise, torch.zeros_like(noise), sigmas[0], process=process)
        denoise = setting.student(lora, index)
        if way.sampler == "euler":
            return sample_euler(denoise, x, sigmas, process=process).cpu()
        landed = landings.lcm(sigmas)
        if way.sampler == "tcd":
            landed = landings.tcd(sigmas, ETA, table)
        fresh = seeded_noise(x, [seed + 1 for seed in seeds])
        return sample_trajectory(denoise, x, sigmas, landed, process=process, noise=fresh).cpu()


def _written(meters):
    """Meters as numbers."""
    *channels, detail, diversity, error = meters
    values = [*channels[0], *channels[1], detail, diversity, error]
    return [math.nan if value is None else value for value in values]


def _read(values, channels):
    values = [None if math.isnan(value) else value for value in values]
    detail, diversity, error = values[2 * channels :]
    of_channels = tuple(values[:channels]), tuple(values[channels : 2 * channels])
    return Meters(*of_channels, detail, diversity, error)

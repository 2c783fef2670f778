"""What a student is judged by in ComfyUI: pictures of held out prompts and seeds, of each size."""

from functools import cached_property

import torch

from ..distill.lora import Lora
from ..distill.meters import Meters, measure, over_sizes
from ..distill.setting import looked_at
from ..distill.ways import WAYS, Stage, Way
from ..recipes.recipe import Recipe
from ..recipes.students import student_recipe
from .host import applied, patching, pictures, runs
from .host.sampling import sampling_of
from .plan import Plan, plan
from .samplers import fewstep_euler


class Validation:
    """(stage, student) -> Meters, the mean of those of each size.

    Args:
        order: a `baking.Order`.
        words: Prompts of the data.
        count: how many pictures of each size to make.

    Raises:
        ValueError: the teacher's pictures cannot be measured.
    """

    def __init__(self, network, setting, order, words, count: int):
        self.order, self.network, self.setting = order, network, setting
        parts = looked_at(setting.data, max(1, count))
        self._parts = [_Part(network, setting, words, index) for index in parts]

    @property
    def teacher(self) -> list[torch.Tensor]:
        """Latents [B, C, ...] of each size that the teacher makes."""
        return [part.teacher for part in self._parts]

    def student(self, stage: Stage, lora: Lora) -> list[torch.Tensor]:
        """Latents of each size that the student's users would get."""
        recipe = self.recipe(stage)
        return [part.student(recipe, lora) for part in self._parts]

    def recipe(self, stage: Stage) -> Recipe:
        told = self.setting.data.request.cfg_range
        title = f"{self.order.title} ({self.order.name})"
        way = WAYS[self.order.way]
        return _recipe_of(self.network.model, way, stage, title, told)

    def __call__(self, stage: Stage, lora: Lora) -> Meters:
        pairs = zip(self.student(stage, lora), self._parts, strict=True)
        return over_sizes([measure(made, part.teacher, part.groups) for made, part in pairs])


class _Part:
    """The pictures of one size, teacher's and student's."""

    def __init__(self, network, setting, words, index):
        self.network, self.setting, self.index = network, setting, index
        data = setting.data
        self.shape = data.shape_of(int(index[0]))
        self.groups = data.rows[index].tolist()
        self.positive = [words.positive[row] for row in self.groups]
        self.negative = words.negative
        self.seeds = [data.request.seeds[i] for i in index]
        # what cannot be measured is refused before a pass
        measure(data.x0(index), data.x0(index), self.groups)

    @cached_property
    def teacher(self):
        """Latents that the teacher makes; of pictures the data holds none, so it is run."""
        data = self.setting.data
        if data.request.has_paths:
            return data.x0(self.index)
        euler, sigmas = runs.as_sampler(fewstep_euler), list(data.request.sigmas)
        scales = data.cfg_scales[self.index].tolist()
        return self._sampled([Plan(self.network.model, euler, sigmas, s) for s in scales])

    def student(self, recipe, lora):
        told = self.setting.told(self.index)
        guidance = [0.0] * len(self.index) if told is None else told.tolist()
        plans = [plan(self.network.model, recipe, guidance=scale) for scale in guidance]
        with self.network.hooks.using(*self.setting.base, lora):
            return self._sampled(plans)

    def _sampled(self, plans):
        words = self.positive, self.negative, self.seeds
        return pictures.sampled(plans, *words, self.shape, self.network)


def _recipe_of(model, way: Way, stage: Stage, title: str, told=None) -> Recipe:
    """The recipe of what a stage makes of a MODEL; told as of `student_recipe`."""
    sampling = sampling_of(model)
    prediction = patching.prediction_of(sampling)
    is_flow = prediction == "flow"
    return student_recipe(
        title,
        way.family,
        applied.base_of(model) or "unknown",
        prediction,
        steps=stage.steps,
        counts=stage.counts,
        sampler=way.sampler,
        shift=patching.shift_of(sampling) if is_flow else None,
        told=told,
        on_lcm_grid=way.is_on_lcm_grid and not is_flow,
    )

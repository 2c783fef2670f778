"""The models of an evaluation's file as ways to make one picture that are timed by turns."""

from functools import partial
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

import torch

from .demo import machine
from .demo_ways import Make, Way
from .diffusers_contenders import Plan, loaded, maker_of, plans_of
from .evaluation_config import EvaluationConfig
from .evaluation_file import read_evaluation
from .model_evaluation import on_device
from .pass_count import PassCount
from .precision import dtype_of
from .processes import processes


class Turns:
    """The pipelines that are timed, of which one at a time is on the device.

    So models can be timed beside each other that do not fit there together.
    """

    def __init__(self, device: torch.device):
        self.device = device
        # a way that is left out takes its pipeline with it
        self._pipelines: WeakValueDictionary[str, Any] = WeakValueDictionary()

    def add(self, name: str, pipeline: Any) -> None:
        """Take in a pipeline, which is on the CPU."""
        self._pipelines[name] = pipeline

    def prepare(self, name: str) -> None:
        """Give the device to a pipeline; the others leave it first."""
        for other, pipeline in self._pipelines.items():
            if other != name:
                pipeline.to("cpu")
        self._pipelines[name].to(self.device)


def read_models(path: Path) -> tuple[EvaluationConfig, torch.device]:
    """What a file asks for, and the device that it names or that is here.

    Raises:
        ValueError, OSError: as of `read_evaluation` and `on_device`.
    """
    config = read_evaluation(path)
    return config, on_device(processes(), config.pictures.device).device


def model_ways(path: Path, config: EvaluationConfig, turns: Turns) -> list[Way]:
    """Each model making the picture of the first row: text encoding, sampling and decoding.

    Args:
        path: of the file that names them.
        turns: takes in each pipeline that is loaded.

    Raises:
        ValueError, OSError: as of `contenders_of`.
    """
    try:
        plans = plans_of(config)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    golden, dtype = config.golden_set[0], dtype_of(config.pictures.dtype, turns.device)
    return [
        Way(
            plan.model.name,
            partial(_load, plan, golden, dtype, turns),
            is_usual=not (plan.model.fp8 or plan.model.compile),
        )
        for plan in plans
    ]


def _load(plan: Plan, golden, dtype, turns) -> Make:
    pipeline = loaded(plan, dtype)
    turns.add(plan.model.name, pipeline)
    maker = maker_of(plan, pipeline, [golden])
    count = PassCount(getattr(pipeline, plan.part), plan.model.cache is not None)

    def make():
        before = count.passes
        maker([golden])
        return count.passes - before

    return make


def picked(ways: list[Way], only: list[str] | None, path: Path) -> list[Way]:
    """Those of a file that are asked for; all where none is.

    Raises:
        ValueError: one is not in the file.
    """
    names = [way.name for way in ways]
    for name in only or []:
        if name not in names:
            raise ValueError(f"--only is {name!r}; allowed in {path} is {'; '.join(names)}.")
    return [way for way in ways if not only or way.name in only]


def device_name(device: torch.device) -> str:
    """What pictures are made on, as far as the system tells it."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else machine()

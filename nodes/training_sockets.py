"""What travels between the nodes that train: prompts, the teacher's data, options."""

from pathlib import Path
from typing import Any, NamedTuple

from comfy_api.latest import io

from ..distill.training import Options

PromptsSocket = io.Custom("FEWSTEP_PROMPTS")
DataSocket = io.Custom("FEWSTEP_DATA")
OptionsSocket = io.Custom("FEWSTEP_OPTIONS")
LoraSocket = io.Custom("LORA_MODEL")
LossSocket = io.Custom("LOSS_MAP")


class Prompts(NamedTuple):
    """Encoded prompts: a CONDITIONING for each, and the one that guidance leads away from."""

    texts: tuple[str, ...]
    positive: list[Any]
    negative: Any


class TeacherData(NamedTuple):
    """Where a teacher's trajectories lie, and the prompts that their rows mean."""

    folder: Path
    prompts: Prompts
    # of the teacher
    steps: int


class TrainOptions(NamedTuple):
    """What FewStepTrainOptions sets."""

    run: Options
    rank: int = 64
    lora_alpha: float = 64.0
    # patterns, see distill.targets.choose
    layers: str = ""
    is_checkpointed: bool = True
    # pictures made at every validation
    pictures: int = 4

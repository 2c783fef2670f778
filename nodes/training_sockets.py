"""What travels between the nodes that train: prompts, the teacher's data, options."""

from pathlib import Path
from typing import Any, NamedTuple

from comfy_api.latest import io

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
    """Where a teacher's trajectories lie, and the prompts that their rows mean.

    Attributes:
        steps: of the teacher.
        others: where those of other sizes lie that are joined with them, of the same prompts.
    """

    folder: Path
    prompts: Prompts
    steps: int
    others: tuple[Path, ...] = ()

    @property
    def folders(self) -> tuple[Path, ...]:
        """Where all of it lies."""
        return self.folder, *self.others

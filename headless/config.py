"""What a training without ComfyUI is asked for: teacher, prompts, data, options, method, output."""

from pathlib import Path
from typing import NamedTuple

from ..distill.train_options import TrainOptions

# what [model] path calls the models that come with FewStep
DEMO, DEMO_FLOW = "demo", "demo flow"
SOURCES = SHIPPED, TEXT, FILE, DEMO_CAPTIONS = "shipped", "text", "file", "demo"
DTYPES = AUTO, FLOAT32, BFLOAT16 = "auto", "float32", "bfloat16"
STOP, WARN = "stop", "warn"


class Model(NamedTuple):
    """Which teacher.

    Attributes:
        path: DEMO, DEMO_FLOW, a diffusers folder, or a .safetensors file.
        config: diffusers folder whose configs, and text encoders where it has them, belong to such
            a file.
        guidance: what a model like FLUX.1-dev is told.
        shift: of a flow model's levels; None for what its scheduler says.
        base: what recipes call its architecture; None for what its shape tells.
        is_sharded: whether its weights are spread over the processes.
    """

    path: str | Path
    config: Path | None = None
    dtype: str = AUTO
    guidance: float | None = None
    shift: float | None = None
    base: str | None = None
    if_distilled: str = STOP
    is_sharded: bool = False


class Prompts(NamedTuple):
    source: str = SHIPPED
    text: str | None = None
    file: Path | None = None
    # 0 takes all
    count: int = 0
    negative: str = ""


class Data(NamedTuple):
    """The teacher's trajectories.

    Attributes:
        cfg: lowest and highest cfg_scale; the same twice for one.
        sizes: width and height in pixels of each size of picture.
        batch: trajectories at a time.
    """

    folder: Path
    steps: int
    cfg: tuple[float, float]
    sizes: tuple[tuple[int, int], ...]
    seeds: int = 1
    seed: int = 0
    budget_gb: float = 5.0
    batch: int = 8

    @property
    def parts(self) -> list["Data"]:
        """The same of each size alone; of several each has a folder in the folder."""
        if len(self.sizes) == 1:
            return [self]
        named = [(f"{width}x{height}", (width, height)) for width, height in self.sizes]
        return [self._replace(folder=self.folder / name, sizes=(size,)) for name, size in named]


class Method(NamedTuple):
    name: str
    # of the student; None where the method has no say in it
    steps: int | None = None
    base_lora: Path | None = None


class Output(NamedTuple):
    """Where the LoRA goes.

    Attributes:
        rank: the highest of any layer in the file; None for what base_lora and student have
            together.
        energy: share of each layer's squared Frobenius norm to keep, with as low a rank as does it,
            of what rank has left.
    """

    folder: Path
    name: str
    rank: int | None = None
    energy: float | None = None

    @property
    def lora(self) -> Path:
        return self.folder / f"{self.name}.safetensors"

    @property
    def report(self) -> Path:
        return self.folder / f"{self.name}.txt"

    @property
    def losses(self) -> Path:
        return self.folder / f"{self.name}.csv"

    def stage(self, name: str) -> Path:
        """The LoRA of a stage on the way, by its name."""
        return self.folder / f"{self.name} {name}.safetensors"


class Config(NamedTuple):
    model: Model
    prompts: Prompts
    data: Data
    train: TrainOptions
    method: Method
    output: Output

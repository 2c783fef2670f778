"""What an evaluation of any models is asked for: golden set, pictures, models, features."""

from pathlib import Path
from typing import Any, NamedTuple

from ..evaluate.golden_set import Golden, Size
from .config import AUTO


class GoldenChoice(NamedTuple):
    """Which rows of which golden set.

    Attributes:
        source: one of golden_set.SHIPPED, or a file.
        size: of rows without one, and the scale of all.
        seeds: pictures of each row.
    """

    source: str | Path
    size: Size
    tag: str = ""
    count: int = 0
    seeds: int = 1


class Pictures(NamedTuple):
    """How pictures are made.

    Attributes:
        folder: of the results, and of the pictures in it.
        device: as torch names it; AUTO is each process's own.
    """

    folder: Path
    batch: int = 8
    dtype: str = AUTO
    device: str = AUTO


class Model(NamedTuple):
    """One way to make pictures; what is None follows from the recipe.

    Attributes:
        path: a diffusers folder, or a .safetensors file.
        config: diffusers folder whose configs, and weights of other parts, belong to such a file.
        guidance: what a network like FLUX.1-dev or a full LCM UNet is told.
        negative: of rows that have none of their own.
        scheduler: "class" and its options; None is the folder's own.
        recipe: AUTO, or the id of one.
        fp8: the network's weights are kept in 8 bits, and each layer is widened while it runs.
        cache: relative change of the first block up to which a step is reused; None is no cache.
        compile: the network is compiled by torch.
    """

    name: str
    path: Path
    config: Path | None = None
    lora: Path | None = None
    lora_strength: float | None = None
    steps: int | None = None
    cfg: float | None = None
    guidance: float | None = None
    negative: str = ""
    scheduler: dict[str, Any] | None = None
    recipe: str | None = None
    fp8: bool = False
    cache: float | None = None
    compile: bool = False

    @property
    def speed_ups(self) -> dict[str, Any]:
        """Those that are asked for, by their keys in the file."""
        values = {"fp8": self.fp8, "cache": self.cache, "compile": self.compile}
        return {name: value for name, value in values.items() if value}

    @property
    def folder(self) -> Path:
        """The diffusers folder, which has a model_index.json."""
        return self.config or self.path


class Features(NamedTuple):
    """Networks that look at pictures; None is left out.

    Attributes:
        clip: folder of a CLIPModel with its processor and tokenizer.
        inception: torch-fidelity's file.
        lpips: one of lpips.NETWORKS.
        lpips_weights: torchvision's file of that network; None is torch's cache of downloads.
        is_download_allowed: of that file, where the cache has it not.
    """

    clip: Path | None = None
    inception: Path | None = None
    lpips: str | None = None
    lpips_weights: Path | None = None
    is_download_allowed: bool = False


class EvaluationConfig(NamedTuple):
    golden_set: list[Golden]
    choice: GoldenChoice
    pictures: Pictures
    models: list[Model]
    features: Features

"""The TOML file of an evaluation, read and checked as a whole before anything is loaded.

Paths in it are relative to the file.
"""

from pathlib import Path

from ..evaluate.golden_set import SHIPPED, Size, chosen, read_golden_set, shipped, with_seeds
from ..evaluate.lpips import NETWORKS
from ..recipes.values import LARGEST, Wrong, number, one_of, parts, text, truth, whole
from .config import DTYPES
from .diffusers_files import check_model_files
from .evaluation_config import (
    EvaluationConfig,
    Features,
    GoldenChoice,
    Model,
    Pictures,
)
from .golden_pictures import folder_name
from .toml_file import any_text, read_toml, section

# of a section, and of one [[model]]
MODEL = "model"
LEAST_MODELS = 2
SIDE = whole(64, 16384)
CFG = number(1.0, 100.0)


def read_evaluation(path: Path | str) -> EvaluationConfig:
    """Read and check a file; the golden set is read with it.

    Raises:
        ValueError: the file is not there or no TOML; a section or key is unknown or missing, a
            value is of a wrong kind or out of range, or values do not go together; a file that it
            names is not there, or the golden set is refused.
        OSError: the golden set may not be read.
    """
    path = Path(path)
    default = path.parent / path.stem
    build = lambda read, folder: _config(read, folder, default)
    return read_toml(path, build, REQUIRED, OPTIONAL, says="which models to evaluate")


def _scheduler(value):
    """A table of a class and its options; which there are, only diffusers knows."""
    if not isinstance(value, dict) or not isinstance(value.get("class"), str):
        raise Wrong('a table such as { class = "EulerDiscreteScheduler" }', value)
    return value


def _models(value):
    """The tables, each read; what is wrong is told by the number of its table, from 1 on."""
    if not isinstance(value, list):
        raise Wrong(f"{LEAST_MODELS} or more sections that begin with [[{MODEL}]]", value)
    found = []
    for i, item in enumerate(value, 1):
        try:
            found.append(parts(item, MODEL_REQUIRED, MODEL_OPTIONAL))
        except Wrong as wrong:
            raise Wrong(wrong.allowed, wrong.value, (f"number {i}", *wrong.path)) from None
    return found


MODEL_REQUIRED = {"name": text, "path": text}
MODEL_OPTIONAL = {
    "config": text,
    "lora": text,
    "lora_strength": number(-100.0, 100.0),
    "steps": whole(1, 1000),
    "cfg": CFG,
    "guidance": number(0.0, 100.0),
    "negative": any_text,
    "scheduler": _scheduler,
    "recipe": text,
    "fp8": truth,
    "cache": number(above=0.0, high=10.0),
    "compile": truth,
}
REQUIRED = {
    "golden_set": section(
        {"source": text},
        {
            "tag": any_text,
            "count": whole(0, int(LARGEST)),
            "seeds": whole(1, 64),
            "width": SIDE,
            "height": SIDE,
            "scale": number(0.05, 4.0),
        },
    ),
    MODEL: _models,
}
OPTIONAL = {
    "pictures": section(
        {}, {"folder": text, "batch": whole(1, 4096), "dtype": one_of(*DTYPES), "device": text}
    ),
    "features": section(
        {},
        {
            "clip": text,
            "inception": text,
            "lpips": one_of(*NETWORKS),
            "lpips_weights": text,
            "download": truth,
        },
    ),
}
# keys of a [[model]] and of [features] that are paths
MODEL_PATHS = ("path", "config", "lora")
FEATURE_PATHS = ("clip", "inception", "lpips_weights")


def _config(read, folder, default):
    choice = _choice(read["golden_set"], folder)
    pictures = read.get("pictures", {})
    pictures["folder"] = folder / pictures["folder"] if "folder" in pictures else default
    features = _with_paths(read.get("features", {}), FEATURE_PATHS, folder)
    is_allowed = features.pop("download", False)
    models = [Model(**_with_paths(one, MODEL_PATHS, folder)) for one in read[MODEL]]
    _check_models(models)
    return EvaluationConfig(
        _golden_set(choice),
        choice,
        Pictures(**pictures),
        models,
        Features(is_download_allowed=is_allowed, **features),
    )


def _with_paths(section, keys, folder):
    return section | {key: folder / section[key] for key in keys if key in section}


def _choice(section, folder):
    size = Size(*(section.pop(key, None) for key in ("width", "height")), section.pop("scale", 1.0))
    source = section.pop("source")
    return GoldenChoice(source if source in SHIPPED else folder / source, size, **section)


def _golden_set(choice):
    is_shipped = choice.source in SHIPPED
    # a fault in a file is told with its name and line, which are place enough
    rows = shipped(choice.source) if is_shipped else read_golden_set(choice.source)
    try:
        rows = chosen(rows, tag=choice.tag.strip(), count=choice.count, size=choice.size)
    except ValueError as error:
        raise ValueError(f"[golden_set] {error}") from None
    if len({golden.prompt for golden in rows}) < 2:
        raise ValueError(
            "[golden_set] all rows are of one prompt; a comparison needs 2 prompts or more."
        )
    return with_seeds(rows, choice.seeds)


def _check_models(models):
    if len(models) < LEAST_MODELS:
        raise ValueError(
            f"there is {len(models)} [[{MODEL}]]; a comparison needs {LEAST_MODELS} or more, the "
            "reference first."
        )
    first = {}
    for i, model in enumerate(models, 1):
        place = f"[{MODEL}] number {i}"
        if (before := first.setdefault(folder_name(model.name), i)) != i:
            raise ValueError(
                f"{place} name is {model.name!r}, which gives its pictures the folder of number "
                f"{before}, {folder_name(model.name)}. Choose another name."
            )
        check_model_files(model.path, model.config, place)
        _check_one(model, place)


def _check_one(model, place):
    if model.recipe is not None and model.scheduler is not None:
        raise ValueError(
            f"{place} has a recipe, from which the scheduler follows, and a scheduler. Leave one "
            "out."
        )
    if model.recipe is None and model.steps is None:
        raise ValueError(f"{place} has no steps and no recipe from which they follow. Set steps.")
    if model.lora is not None and not model.lora.is_file():
        raise ValueError(f"{place} lora is {str(model.lora)!r}, which is not there.")
    if model.lora_strength is not None and model.lora is None:
        raise ValueError(
            f"{place} lora_strength is {model.lora_strength:g}, and there is no lora. Set lora, or "
            "leave lora_strength out."
        )

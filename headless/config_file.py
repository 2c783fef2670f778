"""The TOML file of a training, read and checked as a whole before anything is loaded.

Paths in it are relative to the file.
"""

from pathlib import Path

from ..distill.names import GUIDANCE
from ..distill.optimizer import OPTIMIZERS
from ..distill.train_options import TrainOptions
from ..distill.training import Options, check
from ..recipes.values import (
    Wrong,
    interval,
    list_of,
    matching,
    number,
    one_of,
    text,
    truth,
    whole,
)
from .config import (
    DEMO,
    DEMO_CAPTIONS,
    DEMO_FLOW,
    DTYPES,
    FILE,
    SOURCES,
    STOP,
    TEXT,
    WARN,
    Config,
    Data,
    Method,
    Model,
    Output,
    Prompts,
)
from .diffusers_files import check_model_files
from .toml_file import any_text, read_toml, section

# of a file in every file system
NAME = r"[\w-][\w .-]*"
MOST = 1_000_000
MOST_SEED = 2**63 - 1


def read_config(path: Path | str, methods: tuple[str, ...]) -> Config:
    """Read and check a file.

    Args:
        methods: the names that [method] name may have.

    Raises:
        ValueError: the file is not there or no TOML; a section or key is unknown or missing, a
            value is of a wrong kind or out of range, or values do not go together. Says the key,
            its value and what is allowed.
    """

    def build(read, folder):
        config = _config(read, folder)
        _check(config, methods)
        return config

    return read_toml(path, build, REQUIRED, OPTIONAL, says="what to train")


def _cfg(value):
    if isinstance(value, list):
        return interval(CFG)(value)
    return (CFG(value),) * 2


def _sizes(value):
    """One pair, or a list of pairs."""
    if not isinstance(value, list) or not value or not isinstance(value[0], list):
        return (_size(value),)
    found = list_of(_size)(value)
    if len(set(found)) < len(found):
        raise Wrong("each [width, height] once", value)
    return found


def _size(value):
    found = list_of(whole(16, 16384))(value)
    if len(found) != 2:
        raise Wrong("[width, height] in pixels, or a list of such pairs", value)
    return found


CFG = number(1.0, 100.0)
COUNT = whole(1, MOST)
SEED = whole(0, MOST_SEED)
ABOVE_0 = number(above=0.0)
RANK = whole(1, 1024)
RUN = {
    "iterations": COUNT,
    "batch": COUNT,
    "accumulation": COUNT,
    "learning_rate": ABOVE_0,
    "warm_up": COUNT,
    "clip": ABOVE_0,
    "ema_decay": number(0.0, 0.9999),
    "optimizer": one_of(*OPTIMIZERS),
    "seed": SEED,
    "checkpoint_every": whole(0, MOST),
    "validate_every": whole(0, MOST),
}
REQUIRED = {
    "model": section(
        {"path": text},
        {
            "config": text,
            "dtype": one_of(*DTYPES),
            "guidance": number(0.0, 100.0),
            "shift": ABOVE_0,
            "base": text,
            "if_distilled": one_of(STOP, WARN),
            "shard": truth,
        },
    ),
    "data": section(
        {"folder": text, "steps": whole(2, 1000), "cfg": _cfg, "size": _sizes},
        {"seeds": whole(1, 1000), "seed": SEED, "budget_gb": ABOVE_0, "batch": whole(1, 4096)},
    ),
    "method": section({"name": text}, {"steps": whole(1, 1000), "base_lora": text}),
    "output": section(
        {"folder": text, "name": matching(NAME, "letters, digits, - _ .")},
        {"rank": RANK, "energy": number(0.5, 1.0)},
    ),
}
OPTIONAL = {
    "prompts": section(
        {},
        {
            "source": one_of(*SOURCES),
            "text": any_text,
            "file": text,
            "count": whole(0, 100_000),
            "negative": any_text,
        },
    ),
    "train": section(
        {},
        {
            **RUN,
            "rank": RANK,
            "lora_alpha": ABOVE_0,
            "layers": any_text,
            "checkpointing": truth,
            "pictures": whole(1, 64),
        },
    ),
}
# keys that are paths, by section
PATHS = {
    "model": ("config",),
    "prompts": ("file",),
    "data": ("folder",),
    "method": ("base_lora",),
    "output": ("folder",),
}


def _config(read, folder):
    for name, keys in PATHS.items():
        part = read.setdefault(name, {})
        part.update({key: folder / part[key] for key in keys if key in part})
    model, data, train = read["model"], read["data"], read.get("train", {})
    if model["path"] not in (DEMO, DEMO_FLOW):
        model["path"] = folder / model["path"]
    run = Options(validate_every=250)._replace(**{k: train.pop(k) for k in RUN if k in train})
    return Config(
        Model(is_sharded=model.pop("shard", False), **model),
        Prompts(**read["prompts"]),
        Data(sizes=data.pop("size"), **data),
        TrainOptions(run, is_checkpointed=train.pop("checkpointing", True), **train),
        Method(**read["method"]),
        Output(**read["output"]),
    )


def _check(config, methods):
    """What depends on more than one key."""
    _check_method(config, methods)
    _check_prompts(config)
    if config.model.path not in (DEMO, DEMO_FLOW):
        check_model_files(config.model.path, config.model.config, "[model]", (DEMO, DEMO_FLOW))
    if config.output.lora.exists():
        raise ValueError(
            f"[output] name is {config.output.name!r}, and {config.output.lora} is there already. "
            "Choose another name, or move the file."
        )
    check(config.train.run)


def _check_method(config, methods):
    method, data = config.method, config.data
    if method.name not in methods:
        raise Wrong("one of " + ", ".join(methods), method.name, ("method", "name"))
    if (method.steps is None) != (method.name == GUIDANCE):
        raise ValueError(
            f"[method] steps is {method.steps or 'missing'}, and name is {method.name!r}. "
            f"Set steps for every method but {GUIDANCE!r}, which leaves them to the sampler."
        )
    if method.name == GUIDANCE and data.cfg == (1.0, 1.0):
        raise ValueError(
            "[data] cfg is 1, which is no guidance, so there is nothing to bake. Set the cfg you "
            "like best."
        )
    if method.steps is not None and data.steps % method.steps:
        allowed = [str(n) for n in range(1, data.steps + 1) if data.steps % n == 0]
        raise ValueError(
            f"[method] steps is {method.steps}, and [data] steps is {data.steps}; allowed are its "
            f"divisors {', '.join(allowed)}."
        )


def _check_prompts(config):
    prompts, path = config.prompts, config.model.path
    for source, value in ((TEXT, prompts.text), (FILE, prompts.file)):
        if (prompts.source == source) != (value is not None):
            raise ValueError(
                f"[prompts] source is {prompts.source!r}, and {source} is "
                f"{'missing' if value is None else 'there'}. Set {source} for source = "
                f"{source!r}, and for no other."
            )
    is_demo = path in (DEMO, DEMO_FLOW)
    if is_demo != (prompts.source == DEMO_CAPTIONS) and prompts.source != TEXT:
        raise ValueError(
            f"[prompts] source is {prompts.source!r}, and [model] path is {str(path)!r}. The demo "
            f"models know captions of their own alone: source = {DEMO_CAPTIONS!r} is for them, "
            "and shipped prompts and files are for others."
        )
    if prompts.source == DEMO_CAPTIONS and not prompts.count:
        raise Wrong("1 or more for captions of the demo model", 0, ("prompts", "count"))

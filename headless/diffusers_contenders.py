"""The models of an evaluation's file as contenders that make pictures of its golden set.

All that can be wrong with a model is said before any is loaded, but for its weights.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import diffusers
import numpy as np
import torch

from ..evaluate.golden_set import Golden
from .diffusers_files import INDEX, network_part, read_json, read_scheduler
from .diffusers_pipeline import load_pipeline
from .diffusers_speed_ups import check_speed_ups, explained
from .evaluation_config import EvaluationConfig, Model
from .golden_pictures import Contender, Maker
from .model_sampling import chosen
from .pipeline_guidance import Guided, guided, words_of
from .precision import dtype_of
from .recipe_schedulers import Sampling
from .stamp import stamp_of

# what AutoencoderTiny calls block_out_channels
TINY = "decoder_block_out_channels"
# levels of a VAE whose config does not list them
VAE_LEVELS = 4
# characters of a prompt in a message
SHOWN = 40


class Plan(NamedTuple):
    """How a model makes its pictures.

    Attributes:
        part: "unet" or "transformer".
        pipeline: class of it.
        multiple: pixels; sides are multiples of it.
    """

    model: Model
    part: str
    pipeline: str
    multiple: int
    sampling: Sampling
    guided: Guided
    recipe_id: str | None
    lora_strength: float

    @property
    def passes(self) -> int:
        return self.sampling.passes * (2 if self.guided.cfg > 1.0 else 1)


def contenders_of(config: EvaluationConfig, device: torch.device) -> list[Contender]:
    """The models in their order, the reference first.

    Raises:
        ValueError: a model cannot be sampled as it is asked for, or cannot make these pictures.
        OSError: a file cannot be read.
    """
    dtype = dtype_of(config.pictures.dtype, device)
    return [_contender(plan, config.golden_set, device, dtype) for plan in plans_of(config)]


def plans_of(config: EvaluationConfig) -> list[Plan]:
    """How each of the models makes its pictures; errors as of `contenders_of`."""
    return [
        _placed(f"[model] number {i}", model, config.golden_set)
        for i, model in enumerate(config.models, 1)
    ]


def _placed(place, model, golden_set):
    try:
        plan = plan_of(model)
        _check_rows(plan, golden_set)
    except ValueError as error:
        raise ValueError(f"{place}: {error}") from None
    return plan


def plan_of(model: Model) -> Plan:
    """How a model makes its pictures, as far as its configs tell.

    Raises:
        ValueError: as of `contenders_of`.
    """
    index, scheduler = read_json(model.folder / INDEX), read_scheduler(model.folder)
    part, pipeline = network_part(index), str(index.get("_class_name"))
    words_of(pipeline)
    if part is None or not hasattr(diffusers, pipeline):
        raise ValueError(f"{model.folder / INDEX} names no network that diffusers has.")
    picked = chosen(model, scheduler, pipeline)
    check_speed_ups(model, pipeline, picked.sampling.passes)
    network = read_json(model.folder / part / "config.json")
    return Plan(
        model,
        part,
        pipeline,
        _multiple(model.folder, part),
        picked.sampling,
        guided(pipeline, network, picked.cfg, picked.guidance),
        picked.recipe and picked.recipe.id,
        picked.lora_strength,
    )


def _multiple(folder, part):
    vae = read_json(folder / "vae" / "config.json")
    factor = 2 ** (len(vae.get("block_out_channels") or vae.get(TINY) or [0] * VAE_LEVELS) - 1)
    # a transformer sees 2 x 2 of the latent at once
    return factor * (2 if part == "transformer" else 1)


def _check_rows(plan, golden_set):
    does_negative = plan.guided.cfg > 1.0
    takes_negative = words_of(plan.pipeline).negative
    if plan.model.negative and not (does_negative and takes_negative):
        why = f"{plan.pipeline} takes none" if does_negative else "at cfg 1 it does nothing"
        raise ValueError(f"negative is {plan.model.negative[:SHOWN]!r}, and {why}. Leave it out.")
    for row, golden in enumerate(golden_set, 1):
        if golden.width % plan.multiple or golden.height % plan.multiple:
            raise ValueError(
                f"it makes pictures whose sides are multiples of {plan.multiple} pixels, and row "
                f"{row} is {golden.width} x {golden.height}. Set [golden_set] scale, or write "
                "another size."
            )
        if golden.negative and does_negative and not takes_negative:
            raise ValueError(
                f"row {row} has a negative prompt, and {plan.pipeline} takes none. Set cfg to 1, "
                "or leave the negative prompts of the golden set out."
            )


def _contender(plan, golden_set, device, dtype):
    load = lambda: maker_of(plan, loaded(plan, dtype).to(device), golden_set)
    return Contender(plan.model.name, plan.passes, request_of(plan, dtype), load)


def request_of(plan: Plan, dtype: torch.dtype) -> dict:
    """All that a model's pictures depend on besides the golden set."""
    model, scheduler = plan.model, plan.sampling.scheduler
    weights = [path for path in (model.folder, model.path) if path is not None]
    return {
        "pipeline": plan.pipeline,
        "weights": stamp_of(dict.fromkeys(weights)),
        "lora": None if model.lora is None else stamp_of([model.lora]),
        "lora_strength": plan.lora_strength,
        "recipe": plan.recipe_id,
        "scheduler": type(scheduler).__name__,
        "scheduler_config": {k: v for k, v in scheduler.config.items() if not k.startswith("_")},
        "call": plan.sampling.call | plan.guided.call,
        "negative": model.negative,
        "dtype": str(dtype).removeprefix("torch."),
        **model.speed_ups,
    }


def loaded(plan: Plan, dtype: torch.dtype) -> Any:
    """A model's pipeline, on the CPU; errors as of `load_pipeline`."""
    pipeline = load_pipeline(
        plan.model, plan.part, plan.sampling.scheduler, plan.lora_strength, dtype
    )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def maker_of(plan: Plan, pipeline: Any, golden_set: Sequence[Golden]) -> Maker:
    """What makes pictures with a pipeline, on the device that it is on.

    Raises:
        ValueError, by the maker: the machine cannot run it in fp8 or compiled, or what it makes is
            no picture.
    """

    def make(rows: Sequence[Golden]) -> np.ndarray:
        with explained(plan.model):
            pictures = pipeline(**_arguments(plan, rows)).images
        _check_pictures(plan, pictures, rows, golden_set)
        return (pictures * 255.0).round().astype(np.uint8)

    return make


def _arguments(plan, rows) -> dict[str, Any]:
    # on the CPU, so that a seed is the same noise on every device
    generators = [torch.Generator("cpu").manual_seed(golden.seed) for golden in rows]
    said = {}
    if plan.guided.cfg > 1.0 and words_of(plan.pipeline).negative:
        said["negative_prompt"] = [
            plan.model.negative if golden.negative is None else golden.negative for golden in rows
        ]
    return {
        "prompt": [golden.prompt for golden in rows],
        "width": rows[0].width,
        "height": rows[0].height,
        "generator": generators,
        "output_type": "np",
        **said,
        **plan.sampling.call,
        **plan.guided.call,
    }


def _check_pictures(plan, pictures, rows, golden_set):
    wanted = (len(rows), rows[0].height, rows[0].width, 3)
    if pictures.shape != wanted:
        raise ValueError(
            f"{plan.model.name} made pictures of the shape {list(pictures.shape)} where "
            f"{list(wanted)} was asked for. Choose sizes that {plan.pipeline} makes."
        )
    for golden, picture in zip(rows, pictures, strict=True):
        if not np.isfinite(picture).all():
            raise ValueError(
                f"{plan.model.name}: the picture of row {golden_set.index(golden) + 1} has values "
                "that are NaN or infinite: a weight of the model or of a LoRA is no number, or the "
                'number format is too narrow. Set [pictures] dtype to "float32" to see which.'
            )

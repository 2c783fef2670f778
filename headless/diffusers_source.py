"""A diffusers folder, or a single file beside a folder of configs, as a teacher.

Everything is read from disk; nothing is ever downloaded.
"""

import logging
from collections.abc import Sequence

import diffusers
import torch

from ..diffusion.process import FLOW
from ..recipes.identify import identify
from .config import STOP, Model
from .diffusers_files import (
    INDEX,
    LOCAL,
    NETWORKS,
    from_file,
    network_part,
    read_json,
    read_scheduler,
    variant_of,
)
from .diffusers_texts import conditions_of
from .families import family_of, prediction_of
from .levels import shift_of, table_of
from .source import PIXELS, Source, Teacher
from .stamp import stamp_of

# texts encoded at a time
BATCH = 8
# how names of parts begin that encode texts
ENCODERS = ("text_encoder", "tokenizer", "scheduler")
# architectures by the width of the text that a UNet is told
UNETS = {768: "sd15", 1024: "sd21", 2048: "sdxl"}
TRANSFORMERS = {"FluxTransformer2DModel": "flux", "SD3Transformer2DModel": "sd3"}


def diffusers_source(model: Model, sizes: Sequence[tuple[int, int]]) -> Source:
    """The model that [model] names.

    Args:
        sizes: of pictures, width and height in pixels; the shift of FLUX depends on them.

    Raises:
        ValueError: the folder has no network, or one that is distilled already; or the sizes have
            several shifts.
    """
    folder = model.config or model.path
    index = read_json(folder / INDEX)
    part = network_part(index)
    if part is None:
        raise ValueError(
            f"{folder / INDEX} names no {' and no '.join(NETWORKS)}; training knows "
            "Stable Diffusion, SDXL, Stable Diffusion 3 and FLUX.1."
        )
    texts_of = _texts_of(model, folder, index)
    encoders = [path for path in sorted(folder.iterdir()) if path.name.startswith(ENCODERS)]

    @torch.no_grad()
    def encode(texts, size, device, dtype):
        pipeline = texts_of(dtype).to(device)
        batches = [texts[i : i + BATCH] for i in range(0, len(texts), BATCH)]
        read = [conditions_of(pipeline, some, size, device) for some in batches]
        return {name: torch.cat([one[name] for one in read]).to("cpu", dtype) for name in read[0]}

    def load(dtype):
        network = _network(model, folder, part, index[part][1], dtype).eval()
        return _teacher(model, network, read_scheduler(folder), shift)

    shift = _shift(model, read_scheduler(folder), sizes)
    _check_undistilled(model, read_json(folder / part / "config.json"), read_scheduler(folder))
    return Source(stamp_of([*encoders, *_single_file(model)]), encode, load)


def _texts_of(model, folder, index):
    """dtype -> a pipeline with text encoders, and as little else as can be."""
    components = [name for name, value in index.items() if isinstance(value, list)]
    left_out = {name: None for name in components if not name.startswith(ENCODERS)}
    if _single_file(model) and not list((folder / "text_encoder").glob("*.safetensors")):
        kind = getattr(diffusers, index["_class_name"])
        return lambda dtype: from_file(kind, model.path, folder, torch_dtype=dtype, **left_out)
    variant = variant_of(folder / "text_encoder")
    return lambda dtype: diffusers.DiffusionPipeline.from_pretrained(
        folder, torch_dtype=dtype, variant=variant, **left_out, **LOCAL
    )


def _network(model, folder, part, kind, dtype):
    kind = getattr(diffusers, kind)
    if _single_file(model):
        return from_file(kind, model.path, folder, subfolder=part, torch_dtype=dtype)
    variant = variant_of(folder / part)
    return kind.from_pretrained(folder, subfolder=part, torch_dtype=dtype, variant=variant, **LOCAL)


def _shift(model, scheduler, sizes):
    """Of a flow model, for all sizes; a student has one."""
    found = {
        size: model.shift or shift_of(scheduler, size[0] * size[1] // (2 * PIXELS) ** 2)
        for size in sizes
    }
    if len(set(found.values())) > 1:
        told = ", ".join(f"{shift:.3f} for {w} x {h}" for (w, h), shift in found.items())
        raise ValueError(
            f"[data] size has {len(found)} sizes, for which the shift of this model is {told}; a "
            "student has one. Set [model] shift to a number between them."
        )
    return found[sizes[0]]


def _teacher(model, network, scheduler, shift):
    family = family_of(network)
    prediction = prediction_of(family, scheduler.get("prediction_type", "epsilon"))
    is_flow = family.process is FLOW
    return Teacher(
        model=network,
        prediction=prediction,
        base=model.base or _base(network),
        title=model.path.stem,
        table=None if is_flow else table_of(scheduler),
        shift=shift if is_flow else None,
        guidance=model.guidance,
    )


def _base(network):
    known = TRANSFORMERS.get(type(network).__name__)
    return known or UNETS.get(network.config.cross_attention_dim, "unknown")


def _check_undistilled(model, network, scheduler):
    """Make sure that nobody has distilled it already, as far as it tells."""
    found = identify(model.path).recipe if _single_file(model) else None
    title = found.title if found is not None and found.is_distilled else None
    if network.get("time_cond_proj_dim") is not None:
        title = title or "a full LCM UNet"
    is_flux = network.get("_class_name") == "FluxTransformer2DModel"
    is_shifted = scheduler.get("use_dynamic_shifting") or scheduler.get("shift") != 1.0
    if is_flux and not network.get("guidance_embeds") and not is_shifted:
        title = title or "FLUX.1 schnell"
    if title is None:
        return
    reason = (
        f"[model] path is {str(model.path)!r}, which is distilled already ({title}): it has no "
        "guidance to bake, makes no picture in many steps, and a student of it only gets worse."
    )
    if model.if_distilled == STOP:
        raise ValueError(
            f'{reason} Give the undistilled base model, or set if_distilled = "warn" to go on.'
        )
    logging.warning("FewStep: %s", reason)


def _single_file(model):
    """The file, in a list, where there is one."""
    return [model.path] if model.config is not None else []

"""Which models are no teachers: those distilled already, and those that other nodes guide."""

import logging
from pathlib import Path

from ..lora.header import read_header
from .host import applied, networks
from .known import STOP, WARN, identified
from .schema import check_choice

# what other nodes give a MODEL to change its sampling from outside the network
OUTSIDE = (
    "sampler_cfg_function",
    "sampler_pre_cfg_function",
    "sampler_post_cfg_function",
    "sampler_calc_cond_batch_function",
    "model_function_wrapper",
)


def check_teacher(model, if_distilled: str) -> None:
    """Make sure that a MODEL is undistilled, as far as it tells, and guided by nothing but cfg.

    Args:
        if_distilled: "stop" or "warn".

    Raises:
        ValueError: it is distilled and the user wants to stop; or if_distilled is neither; or
            another node changes how it is sampled.
    """
    check_choice("if_distilled", if_distilled, (STOP, WARN))
    if found := [name for name in OUTSIDE if model.model_options.get(name)]:
        raise ValueError(
            f"model is sampled in a way of another node's ({found[0]}; RescaleCFG and PAG set such "
            "ones), and a student would learn what the model draws without it. Connect the model "
            "from before that node, and put the node behind the student where it is still wanted."
        )
    title = _distilled_as(model)
    if title is None:
        return
    reason = (
        f"model is distilled already ({title}): it has no guidance to bake, makes no picture in "
        "many steps, and a student of it only gets worse."
    )
    if if_distilled == STOP:
        raise ValueError(
            f"{reason} Connect the undistilled base model, or set if_distilled to warn to go on."
        )
    logging.warning("FewStep: %s", reason)


def _distilled_as(model):
    for file in applied.trace_of(model).files:
        if file.recipe is not None and file.recipe.is_distilled:
            return file.recipe.title
    path = networks.file_of(model)
    if path is not None and path.suffix == ".safetensors" and path.is_file():
        found = identified(read_header(path), Path(path))
        if found.recipe is not None and found.recipe.is_distilled:
            return found.recipe.title
    return networks.distilled_class(model)

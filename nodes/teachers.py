"""Which models are no teachers: those that somebody has distilled already."""

import logging
from pathlib import Path

from ..lora.header import read_header
from .host import applied, networks
from .known import STOP, WARN, identified
from .schema import check_choice


def check_teacher(model, if_distilled: str) -> None:
    """Make sure that a MODEL is undistilled, as far as it tells.

    Args:
        if_distilled: "stop" or "warn".

    Raises:
        ValueError: it is distilled and the user wants to stop; or if_distilled is neither.
    """
    check_choice("if_distilled", if_distilled, (STOP, WARN))
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
        found = identified(read_header(path), Path(path).name)
        if found.recipe is not None and found.recipe.is_distilled:
            return found.recipe.title
    return networks.distilled_class(model)

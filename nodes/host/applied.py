"""What FewStep has put on a MODEL, remembered by the MODEL through every copy."""

from typing import NamedTuple

from ...lora.header import Header, TensorInfo
from ...recipes.pieces import Applied
from ...recipes.structure import structure_of

KEY = "fewstep.applied"


class Trace(NamedTuple):
    """The files in the order they were applied, and how many weight changes they made."""

    files: tuple[Applied, ...] = ()
    patches: int = 0


def trace_of(model) -> Trace:
    """What FewStep has put on a MODEL."""
    return model.get_attachment(KEY) or Trace()


def note(model, file: Applied, patches: int = 0) -> None:
    """Add a file to the trace of a MODEL of one's own."""
    files, before = trace_of(model)
    model.set_attachments(KEY, Trace((*files, file), before + patches))


def other_patches(model) -> int:
    """How many changes of a MODEL's weights FewStep has not made: other loaders', merges."""
    return count_patches(model) - trace_of(model).patches


def count_patches(model) -> int:
    """How many changes of its weights a MODEL has."""
    return sum(len(changes) for changes in model.patches.values())


def weight_type(model) -> tuple[str, bool]:
    """Number type of a MODEL's weights as torch calls it, and whether each has a scale besides."""
    config = model.model.model_config
    # the name before ComfyUI 0.4 and since; the config logs a fault when asked for the other one
    known = [name for name in ("scaled_fp8", "quant_config") if name in dir(config)]
    scaled = any(getattr(config, name) is not None for name in known)
    return str(model.model_dtype()).removeprefix("torch."), scaled


def base_of(model) -> str | None:
    """The architecture of a MODEL's network as recipes call it; None where it is not known."""
    shapes = {
        name: TensorInfo("F32", tuple(weight.shape), 0, 0)
        for name, weight in model.model.named_parameters()
    }
    return structure_of(Header(shapes, {}, 0)).base

"""The teacher that a file asks for, as a network under the file's prompts."""

from contextlib import contextmanager

from .conditions import encoded
from .config import DEMO, DEMO_FLOW, Config
from .demo_source import demo_source
from .diffusers_source import diffusers_source
from .diffusers_texts import time_ids_of
from .network import DiffusersNetwork
from .precision import dtype_of
from .processes import Processes
from .sharding import shard
from .source import PIXELS, Source, Teacher
from .told_unet import add_guidance_input


def teacher_of(config: Config, texts: list[str], here: Processes):
    """(Teacher on the CPU, conditions of the texts by name); one process encodes them for all.

    Raises:
        ValueError: as of `demo_source` and `diffusers_source`.
        OSError: a file cannot be read or written.
    """
    source, dtype = _source(config), dtype_of(config.model.dtype, here.device)
    place = config.data.sizes[0], config.data.folder / "texts", here.device, dtype
    if here.is_main:
        encoded(source, texts, *place)
    here.wait()
    return source.load(dtype), encoded(source, texts, *place)


@contextmanager
def network_of(teacher: Teacher, conditions, config: Config, here: Processes):
    """The teacher's network on this process's device; its hooks are closed afterwards.

    Raises:
        ValueError: as of `DiffusersNetwork` and `shard`; or a range of cfg is asked for, and the
            network can have no input for it.
    """
    low, high = config.data.cfg
    if low < high:
        _check_unet(teacher, config)
        add_guidance_input(teacher.model)
    if config.model.is_sharded:
        shard(teacher.model, here)
    else:
        teacher.model.to(here.device)
    network = DiffusersNetwork(
        teacher.model,
        teacher.prediction,
        *by_size(conditions, config.data.sizes),
        table=teacher.table,
        guidance=teacher.guidance,
        layers=config.train.layers,
        is_checkpointed=config.train.is_checkpointed,
    )
    try:
        yield network
    finally:
        network.hooks.close()


def by_size(conditions, sizes):
    """What a prompt says whatever the size, and what each size of several has besides.

    Args:
        conditions: by name, of the first size.
        sizes: width and height in pixels.

    Returns:
        conditions by name, and those of each latent's (height, width) by name; of one size the
        second is empty.
    """
    if len(sizes) == 1 or "time_ids" not in conditions:
        return conditions, {}
    first = conditions["time_ids"]
    told = {
        (height // PIXELS, width // PIXELS): {
            "time_ids": time_ids_of((width, height)).to(first).expand_as(first)
        }
        for width, height in sizes
    }
    return {name: values for name, values in conditions.items() if name != "time_ids"}, told


def _source(config) -> Source:
    if config.model.path in (DEMO, DEMO_FLOW):
        return demo_source(config.model)
    return diffusers_source(config.model, config.data.sizes)


def _check_unet(teacher, config):
    if teacher.table is None:
        raise ValueError(
            f"[data] cfg is {list(config.data.cfg)}, a range, and {teacher.title} can be given no "
            "input for guidance. Set one cfg, or take a UNet as SD 1.5 and SDXL have."
        )

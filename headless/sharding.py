"""A frozen network spread over the processes: each holds a part of every block's weights.

Fully sharded data parallel, Zhao et al., arXiv:2304.11277, as torch.distributed.fsdp has it for
each parameter. A block's weights are whole only while it computes; the LoRA stays whole everywhere.
"""

from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard

from .blocks import blocks
from .processes import Processes


def shard(model: nn.Module, processes: Processes) -> nn.Module:
    """Spread a network, in place; returns it.

    Args:
        model: whole in every process, on the CPU.

    Raises:
        ValueError: there is one process alone.
    """
    if processes.of == 1:
        raise ValueError(
            "[model] shard is true, and there is one process. Start several with accelerate "
            "launch, or leave shard out."
        )
    mesh = init_device_mesh(processes.device.type, (processes.of,))
    model.requires_grad_(False)
    for block in blocks(model):
        fully_shard(block, mesh=mesh)
    return fully_shard(model, mesh=mesh)

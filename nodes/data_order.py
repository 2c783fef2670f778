"""What data to train on is to be: noise levels and guidance of the teacher, seeds, a place."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import torch

from ..distill.guidance import draw_scales
from ..distill.plan import GB, Disk, Plan, check
from ..distill.trajectories import Request
from .host import files
from .host.sampling import sampling_of
from .schedules import sigmas_of


@dataclass(frozen=True)
class DataOrder:
    """What the user has asked for, as the inputs of the nodes are called.

    Raises:
        ValueError: cfg_max is neither 0 nor above cfg.
    """

    steps: int
    cfg: float
    seed: int
    name: str
    budget_gb: float
    cfg_max: float = 0.0

    def __post_init__(self):
        if self.cfg_max and self.cfg_max <= self.cfg:
            raise ValueError(
                f"cfg_max is {self.cfg_max:g} and cfg {self.cfg:g}; allowed is 0 for one cfg, or a "
                "number above cfg: then students are told their guidance and know the range."
            )

    @property
    def folder(self) -> Path:
        """Raises ValueError where the name is no plain one."""
        return files.run_folder("data", self.name)

    def request(self, model, network, shape, rows, **others) -> Request:
        """What trajectories are made of.

        Args:
            model, network: a MODEL, and the HostNetwork of it.
            shape: [C, ...] of a latent.
            rows: of each trajectory.
            others: fields of a Request that are not as usual.
        """
        return Request(
            teacher=network.fingerprint,
            process=network.process.name,
            sigmas=tuple(sigmas_of(sampling_of(model), "trailing", self.steps)),
            cfg_scales=self._scales(len(rows)),
            shape=shape,
            rows=tuple(rows),
            seeds=tuple((self.seed + k) % 2**64 for k in range(len(rows))),
            **others,
        )

    def described(self, request: Request) -> str:
        """How it was made, how large it is and where it lies."""
        size = request.bytes_on_disk() / GB
        guidance = f"{self.cfg:g} to {self.cfg_max:g}" if self.cfg_max else f"{self.cfg:g}"
        return f"{self.steps} steps at cfg {guidance}, {size:.3f} GB\nin {self.folder}\n"

    def _scales(self, count):
        """The cfg of each trajectory: one, or each its own from a range."""
        if not self.cfg_max:
            return (self.cfg,) * count
        generator = torch.Generator().manual_seed(self.seed % 2**63)
        return tuple(draw_scales(self.cfg, self.cfg_max, count, generator).tolist())


def check_disk(order: DataOrder, what: str, count: int, each: int, shape) -> None:
    """Refuse what the budget or the disk has no room for.

    Args:
        what: there are so many of, and `each` trajectories of each.

    Raises:
        ValueError: says what is needed and there, and what would fit.
    """
    folder = order.folder
    there = next(parent for parent in (folder, *folder.parents) if parent.exists())
    free = shutil.disk_usage(there).free + _size_of(folder)
    size = {"prompts": count, "seeds": each, "steps": order.steps, "shape": shape, "what": what}
    disk = Disk(free, round(order.budget_gb * GB), **size)
    check(Plan(count * each, 0.0, None, disk))


def _size_of(folder):
    return sum(path.stat().st_size for path in folder.glob("*")) if folder.exists() else 0

"""What a method works on: a network, its teacher's data, and the student that begins."""

import copy
from collections.abc import Sequence
from itertools import accumulate
from typing import NamedTuple

import torch

from ..guidance.embedded import COND_PROJ
from .joined_data import JoinedData
from .lora import Lora
from .network import Network, denoiser, guided_denoiser
from .told import keep_slow
from .trajectories import Trajectories


class Setting(NamedTuple):
    """What a method works on.

    Attributes:
        data: of one size of picture, or of several.
        held_out: of each size the last trajectories, which are left for validation.
        base: LoRAs that are on for good under the student, such as a baked guidance.
    """

    network: Network
    data: Trajectories | JoinedData
    rank: int
    lora_alpha: float
    seed: int
    held_out: int = 0
    base: tuple[Lora, ...] = ()

    @property
    def generator(self) -> torch.Generator:
        """Of what a method begins with; the same at every call."""
        return torch.Generator().manual_seed(self.seed)

    def student(self, lora: Lora, index):
        """(x, sigma) -> x0 estimate of a student for samples of these trajectories [B]."""
        return self.student_of(lora, self.data.rows[index], self.data.cfg_scales[index])

    def teacher(self, index):
        """(x, sigma) -> guided x0 estimate of the teacher for samples of these trajectories."""
        return self.teacher_of(self.data.rows[index], self.data.cfg_scales[index])

    def student_of(self, lora: Lora, rows, cfg_scales):
        """The same of a student for any conditions [B] and cfg_scales [B]."""
        told = self.told_of(cfg_scales)
        return denoiser(self.network, rows, *self.base, lora, guidance=told)

    def teacher_of(self, rows, cfg_scales):
        """The same of the teacher for any conditions [B] and cfg_scales [B]."""
        return guided_denoiser(self.network, rows, cfg_scales.to(self.network.device))

    def told(self, index):
        """The cfg_scales [B] that the student is told; None where the data has but one."""
        return self.told_of(self.data.cfg_scales[index])

    def told_of(self, cfg_scales):
        """These where students are told theirs, else None."""
        return None if self.data.request.is_of_one_cfg else cfg_scales

    def on_device(self, *tensors):
        """These tensors where the network is."""
        return tuple(tensor.to(self.network.device) for tensor in tensors)


def begin(setting: Setting, before: Lora | None = None) -> tuple[Lora, Lora]:
    """A student, and the average that will follow it.

    Args:
        before: the student to go on from; None for one that changes nothing yet.

    Raises:
        ValueError: the data has a range of cfg, and the network no input for guidance.
    """
    layers = setting.network.hooks.layers
    student = Lora(layers, setting.rank, setting.lora_alpha, setting.generator)
    is_told = not setting.data.request.is_of_one_cfg
    if is_told and COND_PROJ not in layers:
        raise ValueError(
            "the teacher's data was made with a range of cfg, and this network has no input for "
            "guidance. Make data with one cfg, or take a UNet as SD 1.5 and SDXL have."
        )
    if before is not None:
        student.load_state_dict(before.state_dict())
    student.to(setting.network.device)
    average = copy.deepcopy(student).requires_grad_(False)
    if is_told:
        keep_slow(student, average)
    return student, average


def anchor_levels(data: Trajectories | JoinedData, steps: int) -> torch.Tensor:
    """The numbers [steps + 1] of the data's levels that a student of so many steps is used at.

    Raises:
        ValueError: the teacher's steps are no multiple of the student's.
    """
    passes = len(data.request.sigmas) - 1
    if not 1 <= steps <= passes or passes % steps:
        allowed = [str(n) for n in range(1, passes + 1) if passes % n == 0]
        raise ValueError(
            f"steps is {steps}, and the teacher's data has {passes} steps; allowed are its "
            f"divisors {', '.join(allowed)}. Choose one, or make data with {steps * 12} steps."
        )
    return torch.arange(0, passes + 1, passes // steps)


def anchor_sigmas(data: Trajectories | JoinedData, steps: int) -> list[float]:
    """The levels [steps + 1] themselves; errors as of `anchor_levels`."""
    return [data.request.sigmas[level] for level in anchor_levels(data, steps)]


def trained_on(setting: Setting) -> list[range]:
    """The numbers of the trajectories of each size that are trained on.

    Raises:
        ValueError: none is left of a size.
    """
    held_out, spans = setting.held_out, setting.data.spans
    if few := [len(span) for span in spans if len(span) <= held_out]:
        of_size = " of one size" if len(spans) > 1 else ""
        raise ValueError(
            f"the teacher's data has {few[0]} trajectories{of_size}, and {held_out} of them are "
            "held out for validation; none is left. Make more, or validate fewer."
        )
    return [span[: len(span) - held_out] for span in spans]


def looked_at(data: Trajectories | JoinedData, count: int) -> list[torch.Tensor]:
    """Numbers of the trajectories of each size whose pictures a student is judged by: its last."""
    return [torch.tensor(span[-count:]) for span in data.spans]


def choose_from(count: int, size: int, generator) -> torch.Tensor:
    """Numbers [size] below count, each as likely."""
    return torch.randint(count, (size,), generator=generator)


def choose_span(spans: Sequence[range], generator) -> range:
    """The numbers of one size, each as likely as it has many; of a single one nothing is drawn."""
    if len(spans) == 1:
        return spans[0]
    place = int(choose_from(sum(map(len, spans)), 1, generator))
    ends = accumulate(map(len, spans))
    return next(span for span, end in zip(spans, ends, strict=True) if place < end)


def choose_trajectories(spans: Sequence[range], size: int, generator) -> torch.Tensor:
    """Numbers [size] of trajectories of one size, so that all in all each is as likely.

    Args:
        spans: numbers of each size to choose from.
    """
    span = choose_span(spans, generator)
    return span.start + choose_from(len(span), size, generator)


def noise_for(setting: Setting, index, generator) -> torch.Tensor:
    """Standard normal noise [B, C, ...] on the CPU, for latents of these trajectories [B]."""
    shape = setting.data.shape_of(int(index[0]))
    return torch.randn(len(index), *shape, generator=generator)

"""What a method works on: a network, its teacher's data, and the student that begins."""

import copy
from typing import NamedTuple

import torch

from ..guidance.embedded import COND_PROJ
from .lora import Lora
from .network import Network, denoiser, guided_denoiser
from .told import keep_slow
from .trajectories import Trajectories


class Setting(NamedTuple):
    """What a method works on.

    Attributes:
        held_out: the last trajectories, which are left for validation.
        base: LoRAs that are on for good under the student, such as a baked guidance.
    """

    network: Network
    data: Trajectories
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


def anchor_levels(data: Trajectories, steps: int) -> torch.Tensor:
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


def anchor_sigmas(data: Trajectories, steps: int) -> list[float]:
    """The levels [steps + 1] themselves; errors as of `anchor_levels`."""
    return [data.request.sigmas[level] for level in anchor_levels(data, steps)]


def trained_on(setting: Setting) -> int:
    """How many trajectories are trained on.

    Raises:
        ValueError: none is left.
    """
    count = len(setting.data) - setting.held_out
    if count < 1:
        raise ValueError(
            f"the teacher's data has {len(setting.data)} trajectories, and {setting.held_out} of "
            "them are held out for validation; none is left. Make more, or validate fewer."
        )
    return count


def choose_from(count: int, size: int, generator) -> torch.Tensor:
    """Numbers [size] below count, each as likely."""
    return torch.randint(count, (size,), generator=generator)


def noise_for(setting: Setting, size: int, generator) -> torch.Tensor:
    """Standard normal noise [size, C, ...] on the CPU, for latents of the data."""
    return torch.randn(size, *setting.data.request.shape, generator=generator)

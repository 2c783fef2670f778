"""The input through which a student is told its guidance, as a layer of its LoRA.

Meng et al., "On Distillation of Guided Diffusion Models", arXiv:2210.03142, stage one; the layer is
that of Luo et al., "Latent Consistency Models", arXiv:2310.04378: zeros in the teacher, which
thereby ignores what it is told.
"""

import torch

from ..guidance.embedded import COND_PROJ
from .lora import Lora


def keep_slow(student: Lora, average: Lora) -> None:
    """Have the student hear the slow sinusoids of its guidance alone.

    Those that turn once while the cfg_scale grows by less than 3 are as good as random where it is
    drawn from a range, and their weights would wander: after 300 iterations a cfg_scale of 0.05
    more moved what was told half as far as one of 9 more.

    Args:
        student, average: with the layer COND_PROJ; both are changed.
    """
    down = student.down[student.paths[COND_PROJ]]
    half = down.shape[1] // 2
    slow = (torch.arange(2 * half, device=down.device) % half >= 2 * half // 3).to(down.dtype)
    with torch.no_grad():
        for lora in (student, average):
            lora.down[lora.paths[COND_PROJ]].mul_(slow)
    down.register_hook(lambda gradient: gradient * slow)

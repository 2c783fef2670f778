"""Distil an SD-type UNet into a full LCM UNet, which is told its guidance.

Luo et al., "Latent Consistency Models", arXiv:2310.04378, algorithm 1: w is drawn for each sample,
guides the teacher, and reaches the student through its time embedding. As in LCM-LoRA the weights
change by low-rank products; these are added up at the end, so that the result is one network.

Before that the student learns what w does, by imitating the guided teacher at the same x: the first
stage of Meng et al., "On Distillation of Guided Diffusion Models", arXiv:2210.03142. From the
consistency loss alone it learns that last of all.
"""

import copy
import math

import torch
from torch import nn

from ..diffusion.prediction import EPS
from ..diffusion.process import VE
from ..distill.consistency_function import lcm_levels, neighbours
from ..guidance.embedded import COND_PROJ, WIDTH
from .lora import Lora
from .told_unet import with_guidance_input
from .train_lcm_lora import Settings, distil, ignore, level_table

IMITATION = 0.3  # share of the iterations


class ToldChange(nn.Module):
    """A LoRA and the layer through which guidance enters; changes nothing at first.

    Args:
        network: what `with_guidance_input` returns.
        settings: rank and lora_alpha are used.
        generator: draws the down matrices of the LoRA.
    """

    def __init__(self, network, settings: Settings, generator):
        super().__init__()
        self.lora = Lora(network, settings.rank, settings.lora_alpha, generator)
        self.cond_proj = copy.deepcopy(network.get_submodule(COND_PROJ))
        # Sinusoids that turn once while w grows by less than 3 are as good as random where w is
        # drawn from a range, and their weights would wander: after 300 iterations w + 0.05 moved
        # what was told half as far as w + 9.
        half = WIDTH // 2
        self.register_buffer("slow", (torch.arange(WIDTH) % half >= 2 * half // 3).float())

    def weights(self) -> dict[str, torch.Tensor]:
        """The changed weights by their names in the network, for torch.func.functional_call."""
        told = self.cond_proj.weight * self.slow
        return self.lora.weights() | {f"{COND_PROJ}.weight": told}


def train_lcm_unet(
    unet, latents, conditions, uncond, alpha_bar, settings: Settings, on_iteration=ignore
):
    """Train a student of the network; the network itself is never changed.

    Args:
        unet, latents, conditions, uncond, alpha_bar: as for `train_lcm_lora`.
        settings: guidance_w is the lowest and the highest w that the student shall know.
        on_iteration: (i, loss, average), called after every step of the optimizer.

    Returns:
        a UNet2DConditionModel with `time_embedding.cond_proj`, to be called with
        timestep_cond=guidance_embedding(w + 1), without guidance from outside.

    Raises:
        ValueError: guidance_w is not such a range, or the network has a cond_proj already.
    """
    _check_range(settings.guidance_w)
    student = with_guidance_input(unet)

    def begin(generator):
        return ToldChange(student, settings, generator)

    data = latents, conditions, uncond, alpha_bar
    first = round(IMITATION * settings.iterations)
    leg = settings._replace(iterations=first, original_steps=(50,))
    average = distil(student, begin, *data, leg, on_iteration, imitation_loss)
    leg = settings._replace(iterations=settings.iterations - first, seed=settings.seed + 1)
    later = lambda i, loss, average: on_iteration(first + i, loss, average)
    average = distil(student, lambda _: average, *data, leg, later)
    student.load_state_dict(student.state_dict() | average.weights())
    return student


def imitation_loss(student, target, teacher, batch, alpha_bar, *, original_steps=50):
    """Mean square distance of the student to the guided teacher, in eps and at the same x; [B].

    Takes what `consistency_loss` takes; the target is not used.
    """
    levels = lcm_levels(level_table(alpha_bar).tolist(), original_steps)
    sigma, _ = neighbours(levels, batch.point, batch.x0)
    x = VE.mix(batch.x0, batch.noise, sigma)
    with torch.no_grad():
        wanted = EPS.from_denoised(x, teacher(x, sigma), sigma)
    eps = EPS.from_denoised(x, student(x, sigma), sigma)
    return (eps - wanted).square().flatten(1).mean(dim=1)


def _check_range(guidance_w):
    match guidance_w:
        case tuple((lowest, highest)) if 0 <= lowest <= highest < math.inf:
            return
    raise ValueError(
        f"guidance_w is {guidance_w}; allowed is a pair of lowest and highest, 0 or more and "
        "finite, such as (0.0, 9.0) for a cfg_scale of 1 to 10. The student is told numbers "
        "between them, and knows no others."
    )

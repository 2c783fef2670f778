"""Distribution matching: samples move to where the teacher would have more and the student fewer.

Yin et al., "One-step Diffusion with Distribution Matching Distillation", arXiv:2311.18828, and
"Improved Distribution Matching Distillation", arXiv:2405.14867. Of samples that are made noisy
again, the teacher's guided x0 estimate is called real, and fake that of a second network, the fake
score, which learns to denoise what the student makes. The difference of the two is the gradient of
a divergence between the two distributions. Experimental: the look changes by design, and guidance
pushes outwards for as long as one trains; stop early.
"""

from typing import NamedTuple

import torch

from .precision import exact

# share of a range of levels that is left out at either end: T_min = 0.02 T and T_max = 0.98 T in
# arXiv:2311.18828, section 3.2
EDGE = 0.02
# smallest mean |generated - real| divided by; where the teacher gives back the sample, as it does
# at levels near 0, it would be 0 / 0
SMALLEST_SCALE = 1e-6


class Draw(NamedTuple):
    """How samples are made noisy again before they are judged."""

    noise: torch.Tensor  # [B, C, ...] standard normal
    sigma: torch.Tensor  # [B, 1, ...] levels, in the process's unit


def decoupled_matching_loss(
    generated, fake_score, cond, uncond, cfg_scale, matching, augmentation, *, process
):
    """0.5 |generated - wanted|^2, whose gradient is (fake - real) / mean |generated - real|.

    Equation 7 of arXiv:2311.18828 with the weight of its algorithm 2, which leaves out the alpha
    of equation 8; guidance, a part of real, is looked at in a noise and at a level of its own: Liu
    et al., "Decoupled DMD", arXiv:2511.22677, equation 8. The paper found best, for a student that
    starts from level sigma, guidance at levels below sigma and matching at all levels. Equal draws
    make this plain matching with the guided teacher.

    Args:
        generated: [B, C, ...] x0 estimate of the student; it alone is given a gradient.
        fake_score: (x, sigma) -> x0 estimate, for what the student makes.
        process: VE or FLOW.
        cond, uncond: (x, sigma) -> the teacher's x0 estimates with and without the condition.
        cfg_scale: of the teacher; 1 is no guidance.
        matching: noise and level at which cond is compared with fake_score.
        augmentation: noise and level at which cond is compared with uncond.

    Returns:
        [B] loss of each sample, the mean over its elements, whose number the gradient is therefore
        divided by. Its value says nothing of progress.
    """
    with torch.no_grad():
        x = process.mix(generated, matching.noise, matching.sigma)
        real, fake = cond(x, matching.sigma), fake_score(x, matching.sigma)
    # one scale for the sum, so that no term needs a pass of its own for it
    real = real + guidance_push(generated, cond, uncond, cfg_scale, augmentation, process=process)
    return _pull(generated, real, fake)


@torch.no_grad()
def guidance_push(generated, cond, uncond, cfg_scale, draw, *, process):
    """(cfg_scale - 1) (cond - uncond), what guidance adds to real: CFG augmentation.

    It does not depend on where the student is, so alone it has no fixed point.
    Arguments as `decoupled_matching_loss`.

    Returns:
        [B, C, ...] direction in which the samples are moved.
    """
    x = process.mix(generated, draw.noise, draw.sigma)
    return (cfg_scale - 1) * (exact(cond(x, draw.sigma)) - exact(uncond(x, draw.sigma)))


def level_between(low, high, share, process):
    """A level between two, the given share of the way up, and never quite at either end.

    The way is measured in the angle atan(sigma / alpha), the same in VE and FLOW for one ratio of
    signal to noise; in the timesteps of SD it is about even.

    Args:
        low, high: levels, floats or [B, 1, ...].
        share: [B, 1, ...] in [0, 1].

    Returns:
        [B, 1, ...]
    """
    bottom, top = _angle(low, share, process), _angle(high, share, process)
    angle = bottom + (EDGE + (1 - 2 * EDGE) * share) * (top - bottom)
    # sigma = alpha tan(angle), and alpha is linear in sigma
    return angle.sin() / (angle.cos() - process.alpha_slope * angle.sin())


def scale(generated, real):
    """mean |generated - real| of each sample, [B, 1, ...]: how far the teacher would move it."""
    apart = (generated - real).abs().flatten(1).mean(dim=1).clamp(min=SMALLEST_SCALE)
    return apart.view(-1, *[1] * (generated.ndim - 1))


def _pull(generated, real, fake):
    with torch.no_grad():
        wanted = generated - (fake - real) / scale(generated, real)
    return 0.5 * (generated - wanted).square().flatten(1).mean(dim=1)


def _angle(level, like, process):
    level = torch.as_tensor(level, dtype=like.dtype, device=like.device)
    return torch.atan2(level, process.alpha(level))

"""Trajectory distribution matching: each of the student's few steps lands where the teacher would.

Luo et al., "Learning Few-Step Diffusion Models by Trajectory Distribution Matching",
arXiv:2503.06674. The student walks down its levels, the anchors, without a gradient; of one segment
of the way, its step is trained by distribution matching at levels inside that segment.
"""

from typing import NamedTuple

import torch

from ..samplers.levels import check_run
from ..samplers.ode import sample_euler
from .consistency import pseudo_huber
from .fake_score import raising
from .knowledge import hop
from .matching import scale
from .precision import exact


class Segment(NamedTuple):
    """One step of the student, of each sample its own."""

    x: torch.Tensor  # [B, C, ...] where the step starts
    sigma: torch.Tensor  # [B, 1, ...] level of x
    landing: torch.Tensor  # [B, 1, ...] level the step leads to

    def landed(self, generated):
        """[B, C, ...] where the step ends, if `generated` is the x0 estimate at its start."""
        return hop(self.x, generated, self.sigma, self.landing)


def roll_out(student, x, anchors, segment, *, process):
    """Walk the student's few steps, with no gradient, to where each sample's segment starts.

    Args:
        student: (x, sigma) -> x0 estimate.
        x: [B, C, ...] starts, at level anchors[0].
        anchors: N + 1 falling levels, the last 0.
        segment: [B] whole numbers 0 to N - 1, 0 the noisiest.
        process: VE or FLOW.

    Returns:
        the Segment.

    Raises:
        ValueError: there is no such segment, or the anchors or x cannot be sampled.
    """
    levels = check_run(x, anchors, process)
    first, last = int(segment.min()), int(segment.max())
    if first < 0 or last > len(levels) - 2:
        raise ValueError(
            f"segment is {first} to {last}; {len(levels)} anchors allow 0 to {len(levels) - 2}. "
            "Draw it below the number of steps."
        )
    states = []
    keep = lambda i, x, denoised: states.append(x)
    with torch.no_grad():
        end = sample_euler(student, x, levels[: last + 1], process=process, on_step=keep)
    of_each = torch.arange(len(x), device=x.device)
    state = torch.stack([*states, end])[segment, of_each]
    sigmas = torch.tensor(levels, dtype=torch.promote_types(x.dtype, torch.float32))
    sigmas = sigmas.to(x.device).view(-1, *[1] * (x.ndim - 1))
    return Segment(state, sigmas[segment], sigmas[segment + 1])


def trajectory_matching_loss(generated, segment, fake_score, teacher, draw, *, process):
    """Pseudo-Huber distance to generated + (real - fake), over mean |generated - real|.

    Args:
        generated: [B, C, ...] the student's x0 estimate at segment.x; it alone is given a gradient.
        segment: the step that is trained.
        fake_score: (x, sigma) -> x0 estimate, for what the student makes at levels inside segments;
            `fake_score_loss` of segment.landed(generated) trains it.
        teacher: (x, sigma) -> guided x0 estimate.
        draw: noise, and levels from segment.landing to segment.sigma.
        process: VE or FLOW.

    Returns:
        [B] loss of each sample, the mean over its elements.
    """
    with torch.no_grad():
        ratio, fresh = raising(segment.landing, draw.sigma, process)
        x = ratio * segment.landed(generated) + fresh * draw.noise
        real, fake = exact(teacher(x, draw.sigma)), exact(fake_score(x, draw.sigma))
        wanted = generated + real - fake
        apart = scale(generated, real).flatten()
    return pseudo_huber(generated - wanted) / apart

"""CFG of which the unconditional pass is left out at some steps."""

from typing import NamedTuple

import torch
from comfy.patcher_extension import WrappersMP

from ...guidance.reuse import BOOST, weighted
from .wrapping import wrap_run


class GuidanceTally(NamedTuple):
    """Steps with guidance."""

    computed: int = 0
    reused: int = 0


class GuidanceReuse:
    """The guidance of one sampling run."""

    def __init__(self, interval: int, start: float, end: float, middle: float):
        """Compute every interval-th step within the noise levels start to end.

        Args:
            middle: level above which a run is early.
        """
        self.interval, self.start, self.end, self.middle = interval, start, end, middle
        self.tally = GuidanceTally()
        self._sigma, self._since, self._kept = float("inf"), 0, None
        self._acting = None

    def put_up(self, guider, key: str) -> None:
        """Work in the run that has just begun."""
        wrap_run(guider, WrappersMP.CALC_COND_BATCH, key, self._calculate)

    def _calculate(self, executor, model, conds, x, timestep, options):
        if len(conds) != 2 or any(cond is None for cond in conds):
            return executor(model, conds, x, timestep, options)
        sigma = timestep.flatten()[0].item()
        acting = [_acting(cond, sigma) for cond in conds]
        # a difference of other prompts, or of another run's steps, says nothing here
        if sigma > self._sigma or acting != self._acting:
            self._kept = None
        self._sigma, self._acting = sigma, acting
        if self._may_reuse(x, sigma):
            positive = executor(model, [conds[0], None], x, timestep, options)[0]
            self._since += 1
            self.tally = self.tally._replace(reused=self.tally.reused + 1)
            # only pictures have frequencies of two axes
            boost = BOOST if x.ndim > 3 else 0.0
            difference = weighted(self._kept, sigma > self.middle, boost)
            return [positive, positive + sigma * difference]
        made = executor(model, conds, x, timestep, options)
        self._kept, self._since = (made[1] - made[0]) / sigma, 1
        self.tally = self.tally._replace(computed=self.tally.computed + 1)
        return made

    def _may_reuse(self, x: torch.Tensor, sigma):
        fits = self._kept is not None and self._kept.shape == x.shape
        return fits and self._since < self.interval and self.end <= sigma <= self.start


def _acting(conditions, sigma):
    """Which of the conditions of a prompt hold at a noise level."""
    return [
        condition["uuid"]
        for condition in conditions
        if condition.get("timestep_end", 0.0) <= sigma <= condition.get("timestep_start", sigma)
    ]

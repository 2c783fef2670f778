"""A GUIDER whose cfg is another inside an interval of noise levels."""

from typing import NamedTuple

import comfy.samplers

from .sampling import sampling_of


class Inside(NamedTuple):
    """cfg in a part of the noise levels.

    0 is the top level and 1 is clean, as ComfyUI's nodes count them: by timesteps of the
    undistilled run, or a flow's time before its shift.
    """

    cfg: float
    start_percent: float
    end_percent: float


class IntervalGuider(comfy.samplers.CFGGuider):
    """ComfyUI's CFGGuider with a cfg of its own inside an interval.

    Kynkäänniemi et al., "Applying Guidance in a Limited Interval Improves Sample and Distribution
    Quality in Diffusion Models", arXiv:2404.07724.

    A step counts by the level at which the network is asked, both ends of the interval included, as
    in ComfyUI's CFGOverride. Of several nodes that set cfg, the one nearest the sampler holds, and
    that is this one inside its interval; outside, a CFGOverride on the model holds.
    """

    def __init__(self, model, positive, negative, cfg: float, inside: Inside | None):
        """
        Args:
            negative: CONDITIONING, or None where cfg is 1 at every level.
            cfg: outside of the interval; without one, everywhere.
        """
        super().__init__(model)
        words = {"positive": positive, "negative": negative}
        self.inner_set_conds({name: word for name, word in words.items() if word is not None})
        self.set_cfg(cfg)
        self.inside = inside
        # lowest and highest level inside, in the model's own unit
        self.span = inside and _levels(model, inside)

    def predict_noise(self, x, timestep, model_options=None, seed=None):
        """The network's estimate with guidance; timestep is the noise level of every row, [B]."""
        return comfy.samplers.sampling_function(
            self.inner_model,
            x,
            timestep,
            self.conds.get("negative"),
            self.conds.get("positive"),
            self.cfg_at(timestep),
            model_options=model_options or {},
            seed=seed,
        )

    def cfg_at(self, sigma) -> float:
        """cfg at a noise level, [B] of one value; only an interval has to look at it."""
        if self.inside is None:
            return self.cfg
        low, high = self.span
        return self.inside.cfg if low <= sigma.flatten()[0].item() <= high else self.cfg


def _levels(model, inside):
    level_at = sampling_of(model).percent_to_sigma
    return float(level_at(inside.end_percent)), float(level_at(inside.start_percent))

"""A network that may be left out of a step as a whole; for those whose blocks cannot be reached."""

from comfy.patcher_extension import WrappersMP

from ...cache.rate import Rate
from .wrapping import wrap_run

SLOPE = "slope"


class WholeStep:
    """The network of one sampling run.

    What is reused is the slope (x - denoised) / sigma of the sampling path: the predicted noise of
    eps models, the velocity of flow models.
    """

    can_skip = True

    def __init__(self, reuse):
        self.reuse, self.rate = reuse, Rate()

    def put_up(self, guider, key: str) -> None:
        """Work in the run that has just begun."""
        wrap_run(guider, WrappersMP.APPLY_MODEL, key, self._apply_model)

    def _apply_model(self, executor, x, t, concat, context, control, options, **conditions):
        keys = self.reuse.keys(options["uuids"], x)
        sigma = t.reshape(-1, *[1] * (x.ndim - 1))
        seen = executor.class_obj.model_sampling.calculate_input(sigma, x)
        reuses = self.reuse.decide(keys, self.rate.change(keys, seen))
        self.reuse.count(keys, reuses, 0 if reuses else 1, 1)
        if reuses:
            return x - sigma * self.reuse.recall(keys, SLOPE)
        denoised = executor(x, t, concat, context, control, options, **conditions)
        slope = (x - denoised) / sigma
        self.reuse.keep(keys, **{SLOPE: slope})
        self.rate.computed(keys, slope)
        return denoised

"""A network that may be left out of a step as a whole; for those whose blocks cannot be reached."""

from comfy.patcher_extension import WrappersMP

from ...cache.whole_step import WholeStep
from .wrapping import wrap_run


class WholeNetwork:
    """The network of one sampling run."""

    can_skip = True

    def __init__(self, reuse):
        self.reuse, self.step = reuse, WholeStep(reuse)

    def put_up(self, guider, key: str) -> None:
        """Work in the run that has just begun."""
        wrap_run(guider, WrappersMP.APPLY_MODEL, key, self._apply_model)

    def _apply_model(self, executor, x, t, concat, context, control, options, **conditions):
        sigma = t.reshape(-1, *[1] * (x.ndim - 1))
        return self.step.denoised(
            lambda: executor(x, t, concat, context, control, options, **conditions),
            x,
            sigma,
            seen=executor.class_obj.model_sampling.calculate_input(sigma, x),
            conditions=options["uuids"],
        )

"""How far a long node is: the bar, a line under it, a plot, and the Cancel button."""

import time

import comfy.model_management
import comfy.utils

from ...distill.plan import duration
from . import texts
from .plot import plot

# seconds between two lines or plots
PAUSE = 1.0


class Progress:
    """The progress of one node.

    Args:
        node: the class that ComfyUI executes.
        total: units of work; done: those done in an earlier run.
    """

    def __init__(self, node, total: int, done: int = 0):
        self.node, self.total, self.done = node, total, done
        self.bar = comfy.utils.ProgressBar(total)
        self.began, self.began_at, self.shown = time.monotonic(), done, 0.0

    def advance(self, units: int, line: str = "", curves=None) -> None:
        """Count units that are done; raises ComfyUI's interrupt where the user has cancelled.

        Args:
            line: what to say besides how long it will take.
            curves: () -> curves by name, drawn where the time has come.
        """
        comfy.model_management.throw_exception_if_processing_interrupted()
        self.done += units
        now = time.monotonic()
        if now - self.shown < PAUSE and self.done < self.total:
            return
        self.shown = now
        left = (now - self.began) / (self.done - self.began_at) * (self.total - self.done)
        preview = ("JPEG", plot(curves()), 512) if curves else None
        self.bar.update_absolute(self.done, self.total, preview)
        texts.show(self.node, f"{self.done} of {self.total}, {duration(left)} left\n{line}".strip())

"""FewStep's samplers and schedules in KSampler's own drop-downs, for those who ask for it.

Off unless the setting is on: a workflow that names them does not run where the pack is missing.
"""

import torch

from .host import files, lists
from .samplers import fewstep_lcm, fewstep_tcd
from .schedules import sigmas_of

SETTING = "FewStep.KSamplerDropDowns"
SAMPLERS = {"fewstep_lcm": fewstep_lcm, "fewstep_tcd": fewstep_tcd}
SPACINGS = {"fewstep_trailing": "trailing", "fewstep_lcm": "lcm"}


def add_if_wanted() -> None:
    """Add the names if the user switched the setting on; safe to call again."""
    if files.setting(SETTING) is True:
        add()


def add() -> None:
    """Add the names to the host's lists; names that are there already are left alone."""
    for name, function in SAMPLERS.items():
        lists.add_sampler(name, function)
    for name, spacing in SPACINGS.items():
        lists.add_scheduler(name, _scheduler(spacing))


def _scheduler(spacing):
    def schedule(sampling, steps):
        return torch.tensor(sigmas_of(sampling, spacing, steps), dtype=torch.float32)

    return schedule

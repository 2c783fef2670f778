"""What a training without ComfyUI takes, measured before it begins."""

import shutil

from ..distill import checkpoint
from ..distill import plan as plans
from ..distill.stages import Chain
from ..distill.training import Training
from .trial import measured


def planned(chain: Chain, left: int) -> str:
    """One line on time, memory and disk for the iterations that are left.

    Raises:
        ValueError: memory or disk will not do; says what would.
    """
    trials = _trials(chain)
    found = [measured(training, chain.setting.network.device) for training in trials]
    seconds, memories = zip(*found, strict=True)
    count = len(chain.stages)
    # all stages but the first are alike
    pace = (seconds[0] + seconds[-1] * (count - 1)) / count
    memory = max(memories, key=lambda memory: memory.needed) if memories[0] else None
    there = next(path for path in (chain.folder, *chain.folder.parents) if path.exists())
    free = shutil.disk_usage(there).free
    # a checkpoint is replaced by a whole one
    disk = plans.Disk(free, free, other=(count + 1) * max(map(checkpoint.size, trials)))
    plan = plans.Plan(left, pace, memory, disk)
    plans.check(plan)
    return plans.as_text(plan)


def _trials(chain):
    """Trainings to throw away: of the first stage and of the second."""
    trials, before = [], None
    for stage in chain.stages[:2]:
        method = stage.begin(chain.setting, before)
        trials.append(Training(method, chain.options, chain.share))
        before = method.average
    return trials

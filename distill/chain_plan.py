"""The plan of a chain of stages, from iterations of it that are thrown away."""

import shutil

from . import checkpoint
from .plan import Disk, Plan, check
from .setting import begin
from .stages import Chain
from .training import Method, Training, Turn


def refuse(chain: Chain) -> None:
    """Refuse what no training can have, before any pass; a method may need one to begin.

    Raises:
        ValueError: an option is out of range, or a layer cannot have such a rank.
    """
    student, average = begin(chain.setting)
    turn = Turn("student", student, loss=None)
    Training(Method(student, average, (turn,), draw=None), chain.options, chain.share)


def trials(chain: Chain) -> list[Training]:
    """Trainings to throw away: of the first stage, and of the second, which all others are like.

    Of several sizes of picture they train on the largest, so that what fits there fits.

    Raises:
        ValueError: as of the stages' methods.
    """
    found, before = [], None
    setting = chain.setting._replace(data=chain.setting.data.largest)
    for stage in chain.stages[:2]:
        found.append(Training(stage.begin(setting, before), chain.options, chain.share))
        before = found[-1].method.average
    return found


def plan_of(chain: Chain, trials: list[Training], left: int, measured) -> Plan:
    """Time, memory and disk of the iterations that are left.

    Args:
        trials: of this chain.
        measured: (training, device) -> seconds of an iteration and Memory, or None for that.

    Raises:
        ValueError: memory or disk will not do; says what would.
    """
    device, count = chain.setting.network.device, len(chain.stages)
    found = [measured(training, device) for training in trials]
    seconds, memories = zip(*found, strict=True)
    pace = (seconds[0] + seconds[-1] * (count - 1)) / count
    memory = max(memories, key=lambda memory: memory.needed) if memories[0] else None
    there = next(path for path in (chain.folder, *chain.folder.parents) if path.exists())
    free = shutil.disk_usage(there).free
    # a checkpoint is replaced by a whole one
    disk = Disk(free, free, other=(count + 1) * max(map(checkpoint.size, trials)))
    plan = Plan(left, pace, memory, disk)
    check(plan)
    return plan

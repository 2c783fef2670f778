"""The plan of a run before it starts: its time, memory and disk, and what would make it fit."""

from collections.abc import Sequence
from typing import NamedTuple

from .sizes import trajectory_bytes

# bytes, as disks are sold
GB = 10**9


class Memory(NamedTuple):
    """Bytes on the device: fixed + per_sample for each of the samples at a time.

    Attributes:
        there: free for the run.
        fixed: whatever the batch, a LoRA of this rank with all it needs included.
        per_sample: of one sample's activations.
        batch: samples of one step.
        accumulation: parts that a batch is computed in; None where a run has no such setting.
        rank, per_rank: of the LoRA, and bytes for each rank; 0 where none is trained.
        can_checkpoint: whether there is checkpointing of activations, and it is off.
    """

    there: int
    fixed: int
    per_sample: int
    batch: int
    accumulation: int | None = None
    rank: int = 0
    per_rank: int = 0
    can_checkpoint: bool = False

    @property
    def needed(self) -> int:
        return self.fixed + self.per_sample * (self.batch // (self.accumulation or 1))


class Disk(NamedTuple):
    """Bytes on the disk: the teacher's data that is still to be made, and what else is written.

    Attributes:
        free, budget: what is there, and what the run may take of it.
        other: of checkpoints and the like.
        prompts, seeds, steps, shape, bytes_per_number: as of `sizes.trajectory_bytes`; 0 prompts
            where no data is to be made.
        what: the user calls prompts.
    """

    free: int
    budget: int
    other: int = 0
    prompts: int = 0
    seeds: int = 1
    steps: int = 0
    shape: Sequence[int] = ()
    bytes_per_number: int = 2
    what: str = "prompts"

    @property
    def there(self) -> int:
        return min(self.free, self.budget)

    @property
    def needed(self) -> int:
        return self.other + self.data(self.prompts, self.steps)

    def data(self, prompts: int, steps: int) -> int:
        """Bytes of the teacher's data with these instead."""
        return trajectory_bytes(prompts, self.seeds, steps, self.shape, self.bytes_per_number)


class Plan(NamedTuple):
    """What a run takes.

    Attributes:
        seconds_per_iteration: measured in trials.
        memory: None on a device that does not tell.
    """

    iterations: int
    seconds_per_iteration: float
    memory: Memory | None
    disk: Disk

    @property
    def seconds(self) -> float:
        return self.iterations * self.seconds_per_iteration


def check(plan: Plan) -> None:
    """Refuse a run for which memory or disk will not do.

    Raises:
        ValueError: says what is needed and there, and the ways to make it fit, each by itself.
    """
    found = []
    if plan.memory and plan.memory.needed > plan.memory.there:
        found.append(_lack("memory", plan.memory, _memory_ways(plan.memory)))
    if plan.disk.needed > plan.disk.there:
        found.append(_lack("disk", plan.disk, _disk_ways(plan.disk)))
    if found:
        raise ValueError(" ".join(found))


def as_text(plan: Plan) -> str:
    """One line for a report.

    Such as "2,000 iterations at 0.71 s: about 24 min; memory 11.2 of 16.0 GB; disk 0.33 of 120 GB".
    """
    each = plan.seconds_per_iteration
    pace = f"{each:.2g}" if each < 10 else f"{each:.0f}"
    parts = [f"{plan.iterations:,} iterations at {pace} s: about {duration(plan.seconds)}"]
    for what, part in (("memory", plan.memory), ("disk", plan.disk)):
        if part:
            parts.append(f"{what} {at_least(part.needed)} of {at_most(part.there)} GB")
    return "; ".join(parts)


def duration(seconds: float) -> str:
    """Seconds in words, rounded: "45 s", "24 min", "3 h 10 min"."""
    whole = max(1, int(seconds + 0.5))
    if whole < 60:
        return f"{whole} s"
    hours, minutes = divmod(int(whole / 60 + 0.5), 60)
    if not hours:
        return f"{minutes} min"
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"


def at_least(size: int) -> str:
    """Bytes in GB, rounded up, so that so much does."""
    digits = _digits(size)
    return f"{-(-size * 10**digits // GB) / 10**digits:.{digits}f}"


def at_most(size: int) -> str:
    """Bytes in GB, rounded down, so that so much is there."""
    digits = _digits(size)
    return f"{size * 10**digits // GB / 10**digits:.{digits}f}"


def _digits(size):
    return 2 if size < GB else 1 if size < 100 * GB else 0


def _lack(what, part, ways):
    text = ", or ".join(ways)
    return (
        f"the run needs {at_least(part.needed)} GB of {what} and {at_most(part.there)} GB is "
        f"there. {text[0].upper()}{text[1:]}."
    )


def _memory_ways(memory):
    room = memory.there - memory.fixed
    if room >= memory.per_sample:
        return _fewer_samples(memory, room // memory.per_sample)
    one = "batch to 1" if memory.accumulation is None else f"accumulation to {memory.batch}"
    ways = []
    if memory.can_checkpoint:
        ways.append("turn checkpointing on and plan again")
    if memory.per_rank:
        rank = memory.rank - -(-(memory.per_sample - room) // memory.per_rank)
        if rank > 0:
            ways.append(f"set {one} and rank to {rank}")
    # attention grows faster than pixels, so this share fits all the more
    if room > 0 and (share := 100 * room // memory.per_sample):
        ways.append(f"set {one} and the size to {share} % of the pixels")
    return ways or ["choose a smaller or quantised model, or have its weights offloaded"]


def _fewer_samples(memory, most):
    """Ways to compute at most so many at a time."""
    if memory.accumulation is None:
        return [f"set batch to {most}"]
    divisors = (n for n in range(1, memory.batch + 1) if memory.batch % n == 0)
    parts = next(n for n in divisors if memory.batch // n <= most)
    return [
        f"set accumulation to {parts}, which trains the same",
        f"set batch to {most * memory.accumulation}",
    ]


def _disk_ways(disk):
    room = disk.there - disk.other
    ways = []
    if disk.prompts:
        prompts = room // disk.data(1, disk.steps)
        steps = (room // disk.data(disk.prompts, 0) - 1) // 2
        ways += [f"set {disk.what} to {prompts}"] if prompts > 0 else []
        ways += [f"set steps to {steps}"] if steps > 0 else []
    budget = f"set the disk budget to {at_least(disk.needed)} GB"
    if disk.needed <= disk.free:
        return [*ways, budget]
    free = f"free {at_least(disk.needed - disk.free)} GB of the disk"
    return [*ways, f"{free} and {budget}" if disk.budget < disk.needed else free]

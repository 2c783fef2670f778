"""What a refused plan is told to do then fits, and is the least that does."""

import re

from hypothesis import given, settings
from hypothesis import strategies as st

from fewstep.distill.plan import GB, Disk, Memory, Plan, check

quick = settings(derandomize=True, deadline=None, max_examples=200)
ROOMY_MEMORY = Memory(there=GB, fixed=0, per_sample=0, batch=1)
ROOMY_DISK = Disk(free=GB, budget=GB)


def refusal(memory=ROOMY_MEMORY, disk=ROOMY_DISK):
    """What a plan is refused with, or None."""
    try:
        check(Plan(100, 0.5, memory, disk))
    except ValueError as error:
        return str(error)


def fits(memory=ROOMY_MEMORY, disk=ROOMY_DISK):
    return refusal(memory, disk) is None


def told(pattern, text):
    """The number that a refusal tells, or None."""
    found = re.search(pattern, text)
    return found and float(found[1])


@st.composite
def memories(draw, one_sample_fits):
    """Memory that does not do."""
    parts = draw(st.integers(1, 3))
    memory = Memory(
        there=0,
        fixed=draw(st.integers(1, 40 * GB)),
        per_sample=draw(st.integers(1 if one_sample_fits else 0, 8 * GB)),
        batch=parts * draw(st.integers(2, 8)),
        accumulation=draw(st.sampled_from([None, parts])),
        rank=draw(st.integers(1, 128)),
        per_rank=draw(st.sampled_from([0, 1, GB // 100, GB])),
        can_checkpoint=draw(st.booleans()),
    )
    one = memory.fixed + memory.per_sample
    low, high = (one, memory.needed - 1) if one_sample_fits else (0, one - 1)
    return memory._replace(there=draw(st.integers(low, high)))


@st.composite
def disks(draw):
    """A disk that does not do."""
    disk = Disk(
        free=0,
        budget=0,
        other=draw(st.integers(1, 4 * GB)),
        prompts=draw(st.integers(0, 3000)),
        seeds=draw(st.integers(1, 4)),
        steps=draw(st.integers(1, 50)),
        shape=draw(st.sampled_from([(4, 64, 64), (16, 128, 128)])),
        bytes_per_number=draw(st.sampled_from([2, 4])),
    )
    # the one that lacks mostly has room for a part of the data
    low = disk.other if disk.prompts else 0
    short = low + (disk.needed - 1 - low) * draw(st.integers(0, 100)) // 100
    other = disk.needed * draw(st.integers(0, 200)) // 100
    free, budget = draw(st.permutations([short, other]))
    return disk._replace(free=free, budget=budget)


@quick
@given(memories(one_sample_fits=True))
def test_the_batch_and_accumulation_that_are_told_fit_and_are_the_largest(memory):
    text = refusal(memory)
    assert "rank" not in text and "size" not in text and "checkpointing" not in text
    batch = told(r"[Ss]et batch to (\d+)", text)
    parts = memory.accumulation or 1
    assert batch % parts == 0 and fits(memory._replace(batch=int(batch)))
    assert not fits(memory._replace(batch=int(batch) + parts))
    more = told(r"accumulation to (\d+)", text)
    assert (more is None) == (memory.accumulation is None)
    if more:
        assert memory.batch % more == 0 and fits(memory._replace(accumulation=int(more)))
        fewer = [n for n in range(1, int(more)) if memory.batch % n == 0]
        assert not any(fits(memory._replace(accumulation=n)) for n in fewer)


def one_at_a_time(memory, rank, share=1.0):
    fixed = memory.fixed - (memory.rank - rank) * memory.per_rank
    per_sample = round(memory.per_sample * share)
    return memory._replace(fixed=fixed, per_sample=per_sample, batch=1, accumulation=None)


@quick
@given(memories(one_sample_fits=False))
def test_the_rank_that_is_told_fits_and_is_the_highest(memory):
    rank = told(r"and rank to (\d+)", refusal(memory))
    if rank is None:
        assert memory.per_rank == 0 or not fits(one_at_a_time(memory, rank=1))
    else:
        assert rank >= 1 and fits(one_at_a_time(memory, int(rank)))
        assert not fits(one_at_a_time(memory, int(rank) + 1))


@quick
@given(memories(one_sample_fits=False))
def test_the_size_that_is_told_fits_and_is_the_largest(memory):
    text = refusal(memory)
    share = told(r"size to (\d+) % of", text) or 0
    assert "size to 0" not in text
    # to a byte, which rounding can take
    more, less = (memory._replace(there=memory.there + byte) for byte in (1, -1))
    assert share == 0 or fits(one_at_a_time(more, memory.rank, share / 100))
    assert not fits(one_at_a_time(less, memory.rank, (share + 1) / 100))


@quick
@given(disks())
def test_the_prompts_and_steps_that_are_told_fit_and_are_the_most(disk):
    text = refusal(disk=disk)
    for setting in ("prompts", "steps"):
        most = told(rf"[Ss]et {setting} to (\d+)", text)
        if most is None:
            assert not disk.prompts or not fits(disk=disk._replace(**{setting: 1}))
        else:
            assert most > 0 and fits(disk=disk._replace(**{setting: int(most)}))
            assert not fits(disk=disk._replace(**{setting: int(most) + 1}))


@quick
@given(memories(one_sample_fits=False))
def test_a_smaller_model_is_asked_for_only_where_nothing_else_is_told(memory):
    text = refusal(memory)
    others = [way for way in ("checkpointing", "rank", "pixels") if way in text]
    assert ("choose a smaller" in text.lower()) is not bool(others)


@quick
@given(disks())
def test_the_budget_and_the_space_that_are_told_fit(disk):
    text = refusal(disk=disk)
    budget = told(r"the disk budget to ([\d.]+) GB", text)
    space = told(r"ree ([\d.]+) GB of the disk", text)
    changed = disk._replace(
        budget=max(disk.budget, round((budget or 0) * GB)),
        free=disk.free + round((space or 0) * GB),
    )
    assert fits(disk=changed)
    # neither is asked for where the other is all that lacks
    assert (space is None) == (disk.free >= disk.needed)
    assert (budget is None) == (disk.budget >= disk.needed)


@quick
@given(memories(one_sample_fits=True), disks())
def test_a_need_is_told_as_more_than_what_is_there(memory, disk):
    told_of = re.findall(r"needs ([\d.]+) GB of \w+ and ([\d.]+)", refusal(memory, disk))
    assert len(told_of) == 2
    assert all(float(needed) > float(there) for needed, there in told_of)

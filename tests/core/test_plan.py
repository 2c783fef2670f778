"""A run is told in time, memory and disk, and refused with the arithmetic done by hand."""

import pytest

from fewstep.distill.plan import GB, Disk, Memory, Plan, as_text, at_least, at_most, check, duration

LATENT = (4, 128, 128)  # 131,072 bytes in float16
ROOMY = Disk(free=120 * GB, budget=120 * GB)
# 8 samples at a time: 6 + 8 = 14 GB
MEMORY = Memory(there=16 * GB, fixed=6 * GB, per_sample=GB, batch=8, accumulation=1)


def plan(memory=MEMORY, disk=ROOMY):
    return Plan(iterations=2000, seconds_per_iteration=0.71, memory=memory, disk=disk)


def refusal(memory=MEMORY, disk=ROOMY):
    with pytest.raises(ValueError, match="the run needs") as error:
        check(plan(memory, disk))
    return str(error.value)


def fits(memory=MEMORY, disk=ROOMY):
    try:
        check(plan(memory, disk))
    except ValueError:
        return False
    return True


def test_a_report_by_hand():
    memory = Memory(there=16 * GB, fixed=10 * GB, per_sample=GB // 10 * 3, batch=4)
    # 500 prompts of 2 states and 1 prediction: 500 x 3 x 131,072 = 0.1966 GB
    disk = Disk(120 * GB, 200 * GB, other=GB // 8, prompts=500, steps=1, shape=LATENT)
    assert as_text(plan(memory, disk)) == (
        "2,000 iterations at 0.71 s: about 24 min; memory 11.2 of 16.0 GB; disk 0.33 of 120 GB"
    )


def test_a_device_that_does_not_tell_is_left_out_of_report_and_check():
    assert as_text(plan(memory=None)) == (
        "2,000 iterations at 0.71 s: about 24 min; disk 0.00 of 120 GB"
    )
    assert fits(memory=None)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.714, "0.71 s"), (0.0342, "0.034 s"), (3.46, "3.5 s"), (99.6, "100 s")],
)
def test_seconds_of_an_iteration_are_told_to_two_digits_or_whole(seconds, words):
    text = as_text(plan()._replace(seconds_per_iteration=seconds))
    assert text.startswith(f"2,000 iterations at {words}: about")


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.0, "1 s"),
        (0.2, "1 s"),
        (45.4, "45 s"),
        (59.4, "59 s"),
        (59.6, "1 min"),
        (89.0, "1 min"),
        (91.0, "2 min"),
        (24 * 60 + 10, "24 min"),
        (59 * 60 + 29, "59 min"),
        (59 * 60 + 31, "1 h"),
        (2 * 3600, "2 h"),
        (3 * 3600 + 10 * 60, "3 h 10 min"),
        (30 * 3600 + 60, "30 h 1 min"),
    ],
)
def test_durations_in_words(seconds, words):
    assert duration(seconds) == words


@pytest.mark.parametrize(
    ("size", "least", "most"),
    [
        (0, "0.00", "0.00"),
        (1, "0.01", "0.00"),
        (327_680_000, "0.33", "0.32"),
        (11_200_000_000, "11.2", "11.2"),
        (11_210_000_000, "11.3", "11.2"),
        (99_999_999_999, "100.0", "99.9"),
        (120 * GB, "120", "120"),
        (120 * GB + 1, "121", "120"),
    ],
)
def test_sizes_round_to_the_safe_side(size, least, most):
    assert (at_least(size), at_most(size)) == (least, most)


def test_what_just_fits_is_let_through_and_a_byte_less_is_not():
    assert fits(MEMORY._replace(there=14 * GB))
    assert not fits(MEMORY._replace(there=14 * GB - 1))
    disk = Disk(free=GB, budget=GB, other=GB)
    assert fits(disk=disk)
    assert not fits(disk=disk._replace(free=GB - 1))
    assert not fits(disk=disk._replace(budget=GB - 1))


def test_too_large_a_batch_by_hand():
    # 6 + 8 of 10 GB: 4 at a time fit
    assert refusal(MEMORY._replace(there=10 * GB)) == (
        "the run needs 14.0 GB of memory and 10.0 GB is there. Set accumulation to 2, which "
        "trains the same, or set batch to 4."
    )
    # in 2 parts already, 3 at a time fit of 4, and 2 divide the batch: 4 parts, or 2 parts of 3
    assert refusal(MEMORY._replace(there=9 * GB, accumulation=2)).endswith(
        "Set accumulation to 4, which trains the same, or set batch to 6."
    )
    assert refusal(MEMORY._replace(there=9 * GB, accumulation=None)).endswith("Set batch to 3.")


def test_too_high_a_rank_by_hand():
    # one sample leaves 0.5 GB too little, which 32 ranks of 1/64 GB give back
    memory = MEMORY._replace(there=6 * GB + GB // 2, rank=64, per_rank=GB // 64)
    text = refusal(memory)
    assert "set accumulation to 8 and rank to 32" in text.lower()
    assert "and the size to 50 % of the pixels" in text
    assert "checkpointing" not in text


def test_checkpointing_that_is_off_is_offered_first_where_no_sample_fits():
    text = refusal(MEMORY._replace(there=6 * GB + GB // 2, can_checkpoint=True))
    assert "there. Turn checkpointing on and plan again, or set" in text
    assert "checkpointing" not in refusal(MEMORY._replace(there=10 * GB, can_checkpoint=True))


def test_a_model_that_does_not_fit_by_itself_is_to_be_smaller_or_offloaded():
    text = refusal(MEMORY._replace(there=5 * GB))
    assert text.endswith(
        "there. Choose a smaller or quantised model, or have its weights offloaded."
    )


def test_too_much_teachers_data_by_hand():
    # 9 x 131,072 bytes of each of 500 prompts: 0.59 GB; 0.2 GB have room for 169 prompts or 1 step
    disk = Disk(free=GB, budget=GB // 5, prompts=500, steps=4, shape=LATENT)
    assert refusal(disk=disk) == (
        "the run needs 0.59 GB of disk and 0.20 GB is there. Set prompts to 169, or set steps to "
        "1, or set the disk budget to 0.59 GB."
    )
    # half of them with 2 seeds each
    assert "prompts to 84," in refusal(disk=disk._replace(prompts=250, seeds=2))


def test_a_full_disk_by_hand():
    disk = Disk(free=GB // 2, budget=2 * GB, other=GB)
    assert refusal(disk=disk).endswith("0.50 GB is there. Free 0.50 GB of the disk.")
    disk = disk._replace(budget=GB // 4)
    assert refusal(disk=disk).endswith(
        "0.25 GB is there. Free 0.50 GB of the disk and set the disk budget to 1.0 GB."
    )


def test_memory_and_disk_are_told_together():
    text = refusal(MEMORY._replace(there=10 * GB), Disk(free=0, budget=0, other=GB))
    assert "GB of memory and" in text and "GB of disk and" in text

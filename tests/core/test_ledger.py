"""A ledger keeps every entry that was acknowledged, and tells what is damaged by its line."""

import errno
import json
import multiprocessing
import os
import random
import re
import signal
import time

import pytest
from full_disk import on_a_full_disk
from hypothesis import given
from hypothesis import strategies as st
from killing import needs_fork
from ledger_lines import FP8, FP8_LINE, line_with, quick

from fewstep.evaluate import ledger
from fewstep.evaluate.bootstrap import Estimate
from fewstep.evaluate.ledger import HIGHER_IS_BETTER, Entry, append, read


def numbered(i, size=0):
    return FP8._replace(name=f"step {i}", change={"note": "x" * size})


# printable characters, without blanks
letters = st.characters(exclude_categories=["C", "Z"])
words = st.text(letters, min_size=1, max_size=12)
numbers = st.floats(allow_nan=False, allow_infinity=False)
scalars = st.none() | st.booleans() | st.integers() | numbers | st.text(max_size=12)
limits = st.tuples(numbers, numbers).map(sorted) | st.just((None, None))
estimates = st.builds(
    lambda value, pair, count: Estimate(value, *pair, count), numbers, limits, st.integers(1, 10**9)
)
entries = st.builds(
    Entry,
    name=words,
    change=st.dictionaries(words, scalars, max_size=4),
    figures=st.dictionaries(words, estimates, min_size=1, max_size=3),
    golden_set=words,
    when=st.datetimes().map(lambda when: f"{when.isoformat(timespec='microseconds')}+00:00"),
)


@quick
@given(written=st.lists(entries, max_size=3))
def test_what_was_appended_is_read_in_its_order(tmp_path_factory, written):
    path = tmp_path_factory.mktemp("ledger") / "mine.jsonl"
    path.touch()
    for entry in written:
        append(path, entry)
    assert read(path) == written


def test_a_line_is_the_documented_json(tmp_path):
    path = tmp_path / "mine.jsonl"
    append(str(path), FP8)
    text = path.read_text(encoding="utf-8")
    assert json.loads(text) == FP8_LINE and text.count("\n") == 1 and text.endswith("}\n")
    assert read(str(path)) == [FP8]


def test_a_plain_tuple_is_a_figure_and_a_whole_number_a_value(tmp_path):
    append(tmp_path / "mine.jsonl", FP8._replace(figures={"memory": (12, 12, 12, 1)}))
    (entry,) = read(tmp_path / "mine.jsonl")
    assert entry.figures == {"memory": Estimate(12.0, 12.0, 12.0, 1)}


def test_other_alphabets_are_readable_in_the_file_and_half_a_surrogate_pair_is_kept(tmp_path):
    path = tmp_path / "mine.jsonl"
    entry = FP8._replace(name="量子化", change={"note": "\ud83d \u2028"})
    append(path, entry)
    assert read(path) == [entry] and "量子化" in path.read_bytes().decode("utf-8")


def test_a_value_may_lie_outside_its_limits(tmp_path):
    entry = FP8._replace(figures={"FID": Estimate(15.0, 11.0, 14.0, 200)})
    append(tmp_path / "mine.jsonl", entry)
    assert read(tmp_path / "mine.jsonl") == [entry]


def test_every_metric_has_its_direction():
    better = {name for name, is_higher in HIGHER_IS_BETTER.items() if is_higher}
    assert better == {"accuracy", "CLIP score", "PSNR (dB)", "SSIM", "diversity", "win rate"}
    worse = set(HIGHER_IS_BETTER) - better
    assert worse == {"FID", "KID x 1000", "CMMD", "LPIPS", "milliseconds", "passes", "memory"}


# a crash


def test_a_line_cut_off_anywhere_is_left_out_with_a_warning_and_appended_after(
    tmp_path, caplog, monkeypatch
):
    # hundreds of appends, in which the disk itself plays no part
    monkeypatch.setattr(ledger.os, "fsync", lambda file: None)
    path = tmp_path / "mine.jsonl"
    whole = FP8._replace(name="é")
    append(path, whole)
    line = path.read_bytes()
    for cut in [1, 2, 3, *range(4, len(line) - 2, 3), len(line) - 2]:
        path.write_bytes(line + line[:cut])
        caplog.clear()
        assert read(path) == [whole]
        (warning,) = caplog.messages
        assert warning.startswith("mine.jsonl, line 2: was cut off and is left out. ")
        append(path, FP8)
        assert path.read_bytes().startswith(line + line[:cut])
        assert read(path) == [whole, FP8]
        # and the append after a crash may be cut off as well
        path.write_bytes(path.read_bytes()[: 2 * len(line) + 20])
        append(path, FP8)
        assert read(path)[0] == whole and read(path)[-1] == FP8


@pytest.mark.parametrize("kept", range(1, 12))
def test_a_mark_that_is_itself_cut_off_is_marked_again(tmp_path, kept):
    path = tmp_path / "mine.jsonl"
    torn = b'{"version": 1, "na'
    path.write_bytes(torn)
    append(path, FP8)
    path.write_bytes(path.read_bytes()[: len(torn) + kept])
    append(path, FP8)
    assert read(path) == [FP8]


def test_a_line_that_lacks_only_its_end_counts(tmp_path, caplog):
    path = tmp_path / "mine.jsonl"
    path.write_text(line_with(), encoding="utf-8")
    assert read(path) == [FP8]
    append(path, numbered(1))
    assert read(path) == [FP8, numbered(1)] and not caplog.messages


def append_until_killed(path, told):
    i = 0
    while True:
        # several pages, so that a kill may come within the write
        append(path, numbered(i, size=20_000))
        os.write(told, i.to_bytes(4, "big"))
        i += 1


@needs_fork
def test_every_acknowledged_entry_outlives_five_kills(tmp_path):
    path, dice = tmp_path / "mine.jsonl", random.Random(5)
    expected = 0
    for _ in range(5):
        heard, told = os.pipe()
        forked = multiprocessing.get_context("fork")
        killed = forked.Process(target=append_until_killed, args=(path, told))
        killed.start()
        os.close(told)
        # waits for the first, so that each kill has something to lose
        acknowledged = os.read(heard, 4)
        killed.join(dice.uniform(0.0, 0.15))
        os.kill(killed.pid, signal.SIGKILL)
        killed.join()
        while piece := os.read(heard, 1 << 16):
            acknowledged += piece
        os.close(heard)
        expected += len(acknowledged) // 4
        last = int.from_bytes(acknowledged[-4:], "big")
        # the kill may also come between the write and its acknowledgement
        assert read(path)[-1].name in (f"step {last}", f"step {last + 1}")
        assert expected <= len(read(path)) <= expected + 5
    names = [entry.name for entry in read(path)]
    assert names.count("step 0") == 5


def append_each(path, names, is_ready):
    is_ready.wait(30)
    for i in names:
        append(path, numbered(i, size=5000))


@needs_fork
def test_two_processes_that_append_at_once_lose_nothing(tmp_path):
    path = tmp_path / "mine.jsonl"
    forked = multiprocessing.get_context("fork")
    is_ready = forked.Barrier(2)
    both = [
        forked.Process(target=append_each, args=(path, range(first, 200, 2), is_ready))
        for first in range(2)
    ]
    for one in both:
        one.start()
    for one in both:
        one.join(60)
        assert one.exitcode == 0
    steps = [int(entry.name.split()[1]) for entry in read(path)]
    assert sorted(steps) == list(range(200))
    # each in its own order
    assert [i for i in steps if i % 2] == list(range(1, 200, 2))


@needs_fork
def test_an_append_waits_for_one_that_is_under_way(tmp_path):
    fcntl = pytest.importorskip("fcntl")
    path = tmp_path / "mine.jsonl"
    forked = multiprocessing.get_context("fork")
    with path.open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        waiting = forked.Process(target=append, args=(path, FP8))
        waiting.start()
        waiting.join(0.3)
        assert waiting.is_alive() and read(path) == []
        # the other process has this file too since the fork, so closing it is not enough
        fcntl.flock(file, fcntl.LOCK_UN)
    waiting.join(30)
    assert read(path) == [FP8]


@needs_fork
def test_a_process_forked_during_an_append_holds_nobody_up(tmp_path, monkeypatch):
    fcntl = pytest.importorskip("fcntl")
    path = tmp_path / "mine.jsonl"
    sleeping = multiprocessing.get_context("fork").Process(target=time.sleep, args=(60,))
    with monkeypatch.context() as patch:
        patch.setattr(ledger.os, "fsync", lambda file: sleeping.start())
        append(path, FP8)
    try:
        with path.open("ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    finally:
        sleeping.kill()
        sleeping.join()


# a disk that takes nothing


REFUSED = (
    "OSError: {} could not be written: {}. Free some of the disk, allow writing there, or keep "
    "the ledger elsewhere; what stood there before is still there."
)


@needs_fork
@pytest.mark.parametrize("torn", [b"", b'{"version": 1, "na'])
def test_a_full_disk_is_an_error_and_leaves_every_byte(tmp_path, torn):
    path = tmp_path / "mine.jsonl"
    append(path, FP8)
    path.write_bytes(path.read_bytes() + torn)
    before = path.read_bytes()
    for room in (0, 1, 20):
        told = on_a_full_disk(len(before) + room, append, path, FP8)
        assert re.fullmatch(re.escape(REFUSED).replace(r"\{\}", ".+"), told)
        assert "File too large" in told if room == 0 else f"only {room} of " in told
        assert path.read_bytes() == before
    append(path, numbered(1))
    assert read(path) == [FP8, numbered(1)]


@needs_fork
def test_a_disk_with_room_for_the_line_takes_it(tmp_path):
    assert on_a_full_disk(10_000, append, tmp_path / "mine.jsonl", FP8) == "fine"
    assert read(tmp_path / "mine.jsonl") == [FP8]


def test_a_line_that_never_reached_the_disk_is_taken_back(tmp_path, monkeypatch):
    path = tmp_path / "mine.jsonl"
    append(path, FP8)
    before = path.read_bytes()

    def broken(file):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(ledger.os, "fsync", broken)
    with pytest.raises(OSError, match="could not be written: Input/output error. Free some"):
        append(path, numbered(1))
    assert path.read_bytes() == before


def test_a_line_is_on_the_disk_before_it_is_acknowledged(tmp_path, monkeypatch):
    path, seen = tmp_path / "mine.jsonl", []
    monkeypatch.setattr(ledger.os, "fsync", lambda file: seen.append(os.fstat(file).st_size))
    append(path, FP8)
    assert seen == [path.stat().st_size]


def test_a_read_only_disk_is_told(tmp_path, monkeypatch):
    def refused(*_):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(ledger.os, "open", refused)
    with pytest.raises(OSError, match="written: Read-only file system. .*, allow writing there"):
        append(tmp_path / "mine.jsonl", FP8)


@pytest.mark.parametrize("place", ["missing/mine.jsonl", "."])
def test_a_missing_folder_and_a_folder_are_no_ledger(tmp_path, place):
    with pytest.raises(OSError, match="could not be written: .*keep the ledger elsewhere"):
        append(tmp_path / place, FP8)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ValueError, match="is no file. Check the folder and the name"):
        read(tmp_path / place)

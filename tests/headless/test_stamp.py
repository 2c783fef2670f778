"""A stamp tells files apart by what can be read of them at once."""

from fewstep.headless.stamp import BLOCK, stamp_of


def test_equal_files_have_equal_stamps_wherever_they_lie(tmp_path):
    for place in ("one", "other"):
        (tmp_path / place / "part").mkdir(parents=True)
        (tmp_path / place / "part" / "a.bin").write_bytes(b"abc")
    stamps = {stamp_of([tmp_path / place]) for place in ("one", "other")}
    assert len(stamps) == 1
    assert stamp_of([tmp_path / "one" / "part" / "a.bin"]) in stamps


def test_name_size_beginning_and_end_count(tmp_path):
    middle = bytes(3 * BLOCK)
    contents = {
        "plain": b"a" + middle + b"z",
        "begins otherwise": b"b" + middle + b"z",
        "ends otherwise": b"a" + middle + b"y",
        # what is read of it is the same
        "longer": b"a" + middle + bytes(5) + b"z",
    }
    stamps = []
    for place, content in contents.items():
        folder = tmp_path / place / "part"
        folder.mkdir(parents=True)
        (folder / "a.bin").write_bytes(content)
        stamps.append(stamp_of([folder]))
    (folder / "a.bin").rename(folder / "b.bin")
    stamps.append(stamp_of([folder]))
    assert len(set(stamps)) == 5

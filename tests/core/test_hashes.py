"""A hash is computed once for as long as a file stays as it is, and never while identifying."""

import hashlib
import json
import os

import pytest

from fewstep.recipes import hashes
from fewstep.recipes.hashes import AT_ONCE, sha256_of

# published test vector of SHA-256 (FIPS 180-2, B.1)
ABC = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"abc")
    os.utime(path, ns=(10**18, 10**18))
    return path


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "caches" / "fewstep"


def change_unseen(path, content):
    """Other bytes under the same size and time: only who reads the file can tell."""
    before = path.stat()
    path.write_bytes(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def test_the_hash_is_sha_256(file, folder):
    assert sha256_of(file, folder) == ABC


def test_a_large_file_is_hashed_whole(file, folder):
    file.write_bytes(bytes(range(256)) * 8192 + b"rest")
    whole = hashlib.sha256(bytes(range(256)) * 8192 + b"rest").hexdigest()
    assert sha256_of(file, folder) == whole


def test_an_unchanged_file_is_not_read_again(file, folder):
    sha256_of(file, folder)
    change_unseen(file, b"xyz")
    assert sha256_of(file, folder) == ABC


@pytest.mark.parametrize("size", ["same", "other"])
def test_a_changed_file_is_read_again(file, folder, size):
    sha256_of(file, folder)
    file.write_bytes(b"xyz" if size == "same" else b"abcd")
    # the time alone is another, or the size alone
    time = 10**18 + (1 if size == "same" else 0)
    os.utime(file, ns=(10**18, time))
    assert sha256_of(file, folder) == hashlib.sha256(file.read_bytes()).hexdigest()


def test_another_file_of_the_same_size_and_time_is_read(file, folder, tmp_path):
    sha256_of(file, folder)
    other = tmp_path / "other.safetensors"
    other.write_bytes(b"xyz")
    os.utime(other, ns=(10**18, 10**18))
    assert sha256_of(other, folder) == hashlib.sha256(b"xyz").hexdigest()


def test_one_file_is_remembered_however_its_path_is_written(file, folder, monkeypatch):
    sha256_of(file, folder)
    change_unseen(file, b"xyz")
    monkeypatch.chdir(file.parent)
    assert sha256_of("model.safetensors", folder) == ABC


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        '{"x": 1}',
        "[" * 100_000,
        '{"PATH": {"state": [3, 1000000000000000000], "sha256": "not one"}}',
        '{"PATH": {"state": [3, 1000000000000000000]}}',
        '{"PATH": {"state": [3, 1000000000000000000], "sha256": "' + "0" * 64 + '", "more": 1}}',
        b"\xff\xfe",
    ],
)
def test_a_broken_memory_is_ignored_and_written_anew(file, folder, content):
    folder.mkdir(parents=True)
    memory = folder / "sha256.json"
    if isinstance(content, str):
        content = content.replace("PATH", str(file)).encode()
    memory.write_bytes(content)
    assert sha256_of(file, folder) == ABC
    assert json.loads(memory.read_text())[str(file)]["sha256"] == ABC


def test_a_memory_too_large_to_be_ours_is_not_read(file, folder, monkeypatch):
    sha256_of(file, folder)
    change_unseen(file, b"xyz")
    monkeypatch.setattr(hashes, "MOST_BYTES", 10)
    assert sha256_of(file, folder) == hashlib.sha256(b"xyz").hexdigest()


def test_the_file_asked_for_longest_ago_is_forgotten_first(tmp_path, folder, monkeypatch):
    monkeypatch.setattr(hashes, "MOST_FILES", 2)
    paths = [tmp_path / name for name in "abc"]
    for path in paths:
        path.write_bytes(b"abc")
    first, second, third = paths
    for path in (first, second, first, third):
        sha256_of(path, folder)
    kept = json.loads((folder / "sha256.json").read_text())
    assert list(kept) == [str(first), str(third)]


def test_a_folder_that_cannot_be_written_does_no_harm(file, tmp_path):
    (tmp_path / "a file").write_text("in the way")
    assert sha256_of(file, tmp_path / "a file" / "fewstep") == ABC


def test_nothing_is_left_beside_the_memory(file, folder):
    sha256_of(file, folder)
    assert [path.name for path in folder.iterdir()] == ["sha256.json"]


def test_nothing_is_left_where_the_memory_cannot_be_replaced(file, folder):
    (folder / "sha256.json").mkdir(parents=True)
    assert sha256_of(file, folder) == ABC
    assert [path.name for path in folder.iterdir()] == ["sha256.json"]


def test_a_file_that_changes_while_it_is_read_has_no_hash(file, folder):
    def write_more(done):
        with open(file, "ab") as writer:
            writer.write(b"more" if done == 3 else b"")

    with pytest.raises(ValueError, match="^model.safetensors changed while it was read"):
        sha256_of(file, folder, write_more)
    assert not folder.exists()


def test_a_file_that_is_not_there_is_an_error(folder, tmp_path):
    with pytest.raises(OSError, match="nothing.safetensors"):
        sha256_of(tmp_path / "nothing.safetensors", folder)


def test_the_bytes_read_are_told_and_nothing_is_remembered_of_a_reading_that_stops(tmp_path):
    path, told = tmp_path / "a", []
    path.write_bytes(bytes(2 * AT_ONCE + 5))
    sha256_of(path, tmp_path / "kept", told.append)
    assert told == [AT_ONCE, 2 * AT_ONCE, 2 * AT_ONCE + 5]
    sha256_of(path, tmp_path / "kept", told.append)
    assert len(told) == 3

    def stop(done):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sha256_of(path, tmp_path / "none", stop)
    assert not (tmp_path / "none").exists()

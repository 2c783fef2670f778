import multiprocessing
import time
from functools import partial

import numpy as np
import pytest
from killing import needs_fork, run_killed

from fewstep.evaluate.picture_file import read_picture, to_png
from fewstep.evaluate.picture_set import PictureSet

REQUEST = {"golden set": "0123456789abcdef", "model": "demo", "steps": 4}


def picture(number):
    return np.random.default_rng(number).integers(0, 256, (48, 64, 3)).astype(np.uint8)


def make(folder, count=30, wait=0.0, rows=lambda number: True):
    made = PictureSet(folder, REQUEST, count)
    for number in made.missing():
        if rows(number):
            time.sleep(wait)
            made.put(number, to_png(picture(number), {"prompt": f"picture {number} é"}))
    return made


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_picture_is_read_back_with_what_it_was_made_of(tmp_path):
    made = make(tmp_path / "set", 3)
    pixels, provenance = read_picture(made.path(2))
    np.testing.assert_array_equal(pixels, picture(2))
    assert provenance == {"prompt": "picture 2 é"}
    assert sorted(contents(tmp_path / "set")) == [
        *(f"0000{n}.png" for n in range(3)),
        "manifest.json",
    ]


def test_a_picture_of_another_program_says_nothing_and_no_picture_is_refused(tmp_path):
    from PIL import Image

    Image.fromarray(picture(0)).save(tmp_path / "a.png")
    assert read_picture(tmp_path / "a.png")[1] == {}
    (tmp_path / "b.png").write_bytes(b"no picture")
    whole = to_png(picture(0), {})
    (tmp_path / "c.png").write_bytes(whole[: len(whole) // 2])
    for name in ("b.png", "c.png", "d.png"):
        with pytest.raises(ValueError, match=f"{name} cannot be read as a picture: .* anew"):
            read_picture(tmp_path / name)


@needs_fork
def test_a_set_killed_twenty_times_at_random_is_byte_for_byte_one_that_never_was(tmp_path):
    make(tmp_path / "whole", 60)
    # 60 pauses are longer than twenty waits, so that none is done before the last kill
    run_killed(20, partial(make, tmp_path / "killed", 60), 0.02, (0.005, 0.05), seed=1)
    assert contents(tmp_path / "killed") == contents(tmp_path / "whole")


@needs_fork
def test_two_processes_make_each_picture_once(tmp_path):
    make(tmp_path / "whole")
    PictureSet(tmp_path / "shared", REQUEST, 30)
    forked = multiprocessing.get_context("fork")
    parts = [
        forked.Process(
            target=make, args=(tmp_path / "shared", 30, 0.01, lambda n, part=part: n % 2 == part)
        )
        for part in range(2)
    ]
    for part in parts:
        part.start()
    for part in parts:
        part.join()
    assert contents(tmp_path / "shared") == contents(tmp_path / "whole")


def test_what_is_there_is_not_made_again_and_what_was_deleted_is(tmp_path):
    made = make(tmp_path / "set", 4)
    made.path(1).write_bytes(b"as it was")
    made.path(3).unlink()
    assert make(tmp_path / "set", 4).missing() == []
    assert made.path(1).read_bytes() == b"as it was" and made.path(3).is_file()


def test_a_set_is_opened_whatever_it_was_made_of(tmp_path):
    make(tmp_path / "set", 2)
    opened = PictureSet.opened(tmp_path / "set")
    assert (opened.request, opened.count, opened.missing()) == (REQUEST, 2, [])
    with pytest.raises(ValueError, match="holds no set of pictures; there is no manifest.json"):
        PictureSet.opened(tmp_path / "nothing")


@pytest.mark.parametrize(
    ("request_", "count", "message"),
    [
        ({**REQUEST, "steps": 8}, 2, "made with another steps: 4, and now it is 8. Choose another"),
        ({**REQUEST, "lora": "x" * 99}, 2, "another lora: null, and now it is .x{56}\\.\\.\\."),
        (REQUEST, 3, "made with another count: 2, and now it is 3"),
    ],
)
def test_a_set_of_something_else_is_refused(tmp_path, request_, count, message):
    make(tmp_path / "set", 2)
    before = contents(tmp_path / "set")
    with pytest.raises(ValueError, match=message):
        PictureSet(tmp_path / "set", request_, count)
    assert contents(tmp_path / "set") == before


def test_a_set_without_a_picture_yet_may_become_another(tmp_path):
    PictureSet(tmp_path / "set", REQUEST, 2)
    changed = PictureSet(tmp_path / "set", {**REQUEST, "steps": 8}, 3)
    assert changed.missing() == [0, 1, 2]
    assert PictureSet.opened(tmp_path / "set").request["steps"] == 8


def test_a_folder_with_other_files_is_refused_and_kept(tmp_path):
    (tmp_path / "mine.png").write_bytes(b"mine")
    with pytest.raises(ValueError, match="holds 1 other files, such as mine.png. Choose a folder"):
        PictureSet(tmp_path, REQUEST, 2)
    assert contents(tmp_path) == {"mine.png": b"mine"}


@pytest.mark.parametrize("text", ["{", "[]", "\xff", '{"version": 1, "count": "2", "request": {}}'])
def test_a_manifest_that_cannot_be_read_is_told(tmp_path, text):
    (tmp_path / "manifest.json").write_text(text, encoding="latin-1")
    with pytest.raises(ValueError, match="manifest.json cannot be read. Delete the folder"):
        PictureSet(tmp_path, REQUEST, 2)

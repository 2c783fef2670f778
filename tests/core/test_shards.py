import json

import pytest
import torch

from fewstep.distill.shards import INDEX, Shards, lost

REQUEST = {"rows": tuple(range(7)), "cfg_scale": 4.0}


def opened(folder, request=REQUEST, kind="numbers", count=7, per_file=3):
    return Shards(folder, kind, request, count, per_file)


def rows_of(numbers):
    return {"x": torch.tensor([[float(n), n + 0.5] for n in numbers])}


def filled(folder, files=3):
    shards = opened(folder)
    for rows in list(shards.missing())[:files]:
        shards.write(rows, rows_of(rows))
    return shards


def test_rows_come_back_in_order(tmp_path):
    filled(tmp_path)
    shards = opened(tmp_path)
    shards.check()
    assert list(shards.missing()) == []
    assert [row.tolist() for row in shards.tensors("x")] == [[n, n + 0.5] for n in range(7)]


def test_what_was_cut_off_is_gone_on_with(tmp_path):
    filled(tmp_path, files=1)
    assert list(opened(tmp_path).missing()) == [range(3, 6), range(6, 7)]
    # the number in a file was settled by the first run
    assert list(opened(tmp_path, per_file=2).missing()) == [range(3, 6), range(6, 7)]


def test_a_file_that_was_not_finished_does_not_count(tmp_path):
    shards = filled(tmp_path, files=2)
    index = (tmp_path / INDEX).read_text()
    third = list(shards.missing())[0]
    shards.write(third, rows_of(third))
    # as if the machine had died between the file and the index
    (tmp_path / INDEX).write_text(index)
    again = opened(tmp_path)
    assert list(again.missing()) == [third]
    again.write(third, rows_of(third))
    again.check()


def test_a_file_that_has_gone_is_missing(tmp_path):
    filled(tmp_path)
    (tmp_path / "rows-000003.safetensors").unlink()
    shards = opened(tmp_path)
    assert list(shards.missing()) == [range(3, 6)]
    with pytest.raises(ValueError, match="lacks 3 of 7 rows.*goes on where it was cut off"):
        shards.check()
    with pytest.raises(ValueError, match="lacks 3 of 7 rows"):
        shards.tensors("x")


def test_files_that_have_gone_are_counted(tmp_path):
    assert lost(tmp_path / "nothing") == 0
    filled(tmp_path, files=2)
    assert lost(tmp_path) == 0
    (tmp_path / "rows-000003.safetensors").unlink()
    assert lost(tmp_path) == 1


def test_a_damaged_file_is_named(tmp_path):
    filled(tmp_path)
    path = tmp_path / "rows-000003.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"rows-000003.*its checksum differs.*Delete this file"):
        opened(tmp_path).check()


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"request": {**REQUEST, "cfg_scale": 5.0}}, "another cfg_scale: 4.0, and now it is 5.0"),
        ({"request": {**REQUEST, "new": 1}}, "another new: null, and now it is 1"),
        ({"kind": "letters"}, 'another kind: "numbers", and now it is "letters"'),
    ],
)
def test_a_folder_of_something_else_is_refused(tmp_path, changed, said):
    filled(tmp_path)
    with pytest.raises(ValueError, match=said):
        opened(tmp_path, **changed)


def test_an_index_of_another_version_is_refused(tmp_path):
    filled(tmp_path)
    index = json.loads((tmp_path / INDEX).read_text())
    (tmp_path / INDEX).write_text(json.dumps({**index, "version": 0}))
    with pytest.raises(ValueError, match="another version: 0, and now it is 1"):
        opened(tmp_path)


@pytest.mark.parametrize("content", ["{", "[]", '{"files": []}', ""])
def test_an_index_that_cannot_be_read_is_refused(tmp_path, content):
    (tmp_path / INDEX).write_text(content)
    with pytest.raises(ValueError, match=r"index.json cannot be read. Delete the folder"):
        opened(tmp_path)


def test_a_folder_tells_what_is_in_it(tmp_path):
    filled(tmp_path)
    shards = Shards.opened(tmp_path, "numbers")
    assert shards.request == {"rows": list(range(7)), "cfg_scale": 4.0} and shards.count == 7
    with pytest.raises(ValueError, match="another kind"):
        Shards.opened(tmp_path, "letters")
    with pytest.raises(ValueError, match="holds no numbers"):
        Shards.opened(tmp_path / "nothing", "numbers")


def test_numbers_that_are_none_are_not_kept(tmp_path):
    shards = opened(tmp_path)
    with pytest.raises(ValueError, match="x has 1 values that are NaN"):
        shards.write(range(3), {"x": torch.tensor([1.0, float("nan")])})
    assert list(shards.missing())[0] == range(3)

import pytest

from fewstep.diffusion.prompt_rows import read_whole
from fewstep.distill.picture_folder import read_folder


@pytest.fixture
def folder(tmp_path):
    for name in ("b.png", "a.JPG", "d.webp", "c.jpeg", "e.bmp"):
        (tmp_path / name).write_bytes(b"any")
    return tmp_path


def test_pictures_come_by_name_with_the_caption_beside_them_or_that_of_all(folder):
    (folder / "b.txt").write_text("\ufeffa red\r\n  circle \n", encoding="utf-8")
    (folder / "d.txt").write_text(" \n", encoding="utf-8")
    found = read_folder(folder, " a\nshape ")
    assert [path.name for path, _ in found] == ["a.JPG", "b.png", "c.jpeg", "d.webp", "e.bmp"]
    assert [text for _, text in found] == ["a shape", "a red circle", *["a shape"] * 3]


def test_what_is_no_picture_is_left_alone(folder):
    for name in ("notes.txt", "video.mp4", ".hidden.png", "._b.png"):
        (folder / name).write_text("")
    (folder / "inner.png").mkdir()
    (folder / "inner").mkdir()
    (folder / "inner" / "deep.png").write_bytes(b"any")
    assert len(read_folder(folder, "any")) == 5


def test_a_folder_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"folder .*gone is not there\. Make it and put pictures"):
        read_folder(tmp_path / "gone", "any")
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="file is not there"):
        read_folder(tmp_path / "file", "any")


def test_a_folder_without_a_picture_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("any")
    with pytest.raises(
        ValueError, match=r"holds no picture; allowed are \.png, \.jpg, \.jpeg, \.webp, \.bmp, in"
    ):
        read_folder(tmp_path, "any")


def test_pictures_without_any_caption_are_refused(folder):
    (folder / "a.txt").write_text("a red circle")
    with pytest.raises(
        ValueError, match=r"b\.png has no caption, as 4 of 5 pictures.*into b\.txt beside it, or"
    ):
        read_folder(folder, " \n")


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"caf\xe9", r"a\.txt, line 1: no UTF-8 text\. Save it as UTF-8"),
        ("two\nlines".encode("utf-16"), r"a\.txt, line 1: no UTF-8 text"),
        (b"x" * 5001, r"a\.txt: the caption has 5001 characters; allowed are at most 5000"),
        (b"x" * 20_000_001, r"a\.txt: has 20000001 bytes; allowed are at most 20000000"),
    ],
)
def test_a_caption_file_that_is_none_is_refused_by_its_name(folder, data, said):
    (folder / "a.txt").write_bytes(data)
    with pytest.raises(ValueError, match=said):
        read_folder(folder, "any")


def test_a_caption_of_the_most_characters_is_read_whole(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("# not a comment\n" + "y" * 4984, encoding="utf-8")
    assert read_whole(path, "the caption") == "# not a comment " + "y" * 4984
    path.write_text(" \n\t", encoding="utf-8")
    assert read_whole(str(path), "the caption") == ""

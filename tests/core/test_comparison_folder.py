import io
import re
import shutil

import numpy
import pytest
from picture_sets import golden_set, grey, make_set
from PIL import Image

from fewstep.evaluate import comparison_folder as comparisons
from fewstep.evaluate.pairing import Pair
from fewstep.evaluate.picture_file import to_png

ROWS = golden_set(3, tags=("odd", "text", "faces"))


@pytest.fixture
def folder(tmp_path):
    for name, brightness in (("teacher", 40), ("student", 160)):
        make_set(tmp_path, name, ROWS, lambda row, b=brightness: grey(b + row))
    return tmp_path


def begin(folder, **changed):
    given = {"name": "mine", "contenders": ["teacher", "student"]} | changed
    comparisons.begin(folder, **given)
    return comparisons.opened(folder, given["name"])


def test_sets_are_offered_with_their_golden_set_and_others_with_what_is_wrong(folder):
    make_set(folder, "longer", golden_set(4), lambda row: grey(row))
    (folder / "pictures" / "teacher" / "00001.png").unlink()
    (folder / "pictures" / "empty").mkdir()
    (folder / "pictures" / "note.txt").write_text("no set")
    empty, longer, student, teacher = comparisons.offered(folder)
    assert (student.name, student.count, student.problem) == ("student", 3, "")
    assert (longer.count, longer.problem) == (4, "") and longer.golden_set != student.golden_set
    assert teacher.problem == "teacher lacks 1 of its 3 pictures. Finish it."
    assert "empty holds no set of pictures" in empty.problem
    assert comparisons.offered(folder / "nowhere") == []


def test_a_comparison_has_the_prompts_of_the_pictures_and_asks_about_their_tags(folder):
    with begin(folder, question=" Which? ") as votes:
        study = votes.study
    assert [prompt.text for prompt in study.prompts] == [row.prompt for row in ROWS]
    assert [study.asked(row) for row in range(3)] == ["Which?", comparisons.FOCUS["text"], "Which?"]
    assert study.contenders == ("teacher", "student")
    assert comparisons.names(folder) == ["mine"]
    with begin(folder, name="plain", is_focused=False) as votes:
        assert {votes.study.asked(row) for row in range(3)} == {comparisons.QUESTION}


def test_sides_are_drawn_anew_for_each_comparison(folder):
    seeds = set()
    for number in range(8):
        with begin(folder, name=f"number {number}") as votes:
            seeds.add(votes.study.seed)
    assert len(seeds) == 8


def test_a_picture_is_its_file_without_what_its_file_says(folder):
    told = Pair(0, 2, "student", "teacher", False)
    for side, brightness in (("left", 162), ("right", 42)):
        png = comparisons.picture(folder, told, side)
        with Image.open(io.BytesIO(png)) as image:
            assert image.info == {}
            numpy.testing.assert_array_equal(numpy.asarray(image), grey(brightness))


def test_pictures_made_anew_in_another_way_are_not_those_that_were_begun_with(folder):
    with begin(folder) as votes:
        comparisons.check_pictures(folder, "mine", votes.study)
        shutil.rmtree(folder / "pictures" / "student")
        with pytest.raises(ValueError, match="student holds no set of pictures"):
            comparisons.check_pictures(folder, "mine", votes.study)
        make_set(folder, "student", ROWS, lambda row: grey(160 + row), steps=8)
        with pytest.raises(
            ValueError, match="pictures of 'mine' were made anew since it was begun"
        ):
            comparisons.check_pictures(folder, "mine", votes.study)
        shutil.rmtree(folder / "pictures" / "student")
        make_set(folder, "student", ROWS, lambda row: grey(160 + row))
        comparisons.check_pictures(folder, "mine", votes.study)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"name": "../mine"}, "name is '../mine'; allowed are letters, digits"),
        ({"name": "/etc/passwd"}, "name is '/etc/passwd'; allowed are letters"),
        ({"name": None}, "name is None; allowed are letters"),
        ({"name": "x" * 41}, "name has 41 characters; allowed are 40"),
        ({"question": "  "}, "question is '  '; allowed are texts of 1 to 200 characters"),
        ({"question": 3}, "question is 3; allowed are texts"),
        ({"question": "x" * 201}, "allowed are texts of 1 to 200"),
        ({"contenders": ["teacher"]}, "contenders are .'teacher'.; a comparison needs 2 or more"),
        ({"contenders": []}, "contenders are ..; a comparison needs 2 or more"),
        ({"contenders": ["teacher", "teacher"]}, "contenders have 'teacher' twice"),
        ({"contenders": ["teacher", "nobody"]}, "nobody holds no set of pictures"),
        ({"contenders": ["teacher", "../teacher"]}, "name is '../teacher'; allowed are letters"),
        ({"contenders": ["teacher", "other"]}, "teacher and other are of different golden sets"),
        ({"contenders": ["teacher", "large"]}, "row 1 is 32 x 32 in teacher and 64 x 64 in large"),
        ({"contenders": ["bare", "teacher"]}, "row 1 of bare does not say its prompt"),
        ({"contenders": ["torn", "teacher"]}, "00002.png cannot be read as a picture"),
        ({"contenders": ["short", "teacher"]}, "short lacks 1 of its 3 pictures. Finish it"),
    ],
)
def test_what_cannot_be_compared_is_refused_and_nothing_is_begun(folder, changed, message):
    make_set(folder, "other", golden_set(4), lambda row: grey(row))
    make_set(folder, "large", ROWS, lambda row: grey(row, side=64))
    make_set(folder, "bare", ROWS, grey).put(0, to_png(grey(0), {}))
    make_set(folder, "torn", ROWS, grey).put(2, b"no picture")
    make_set(folder, "short", ROWS, grey).path(1).unlink()
    with pytest.raises(ValueError, match=message):
        begin(folder, **changed)
    assert not (folder / "votes").exists()


def test_a_name_is_taken_once_and_one_that_was_never_begun_is_told(folder):
    begin(folder)
    with pytest.raises(ValueError, match="name is 'mine', and that comparison is there. Choose"):
        begin(folder)
    with pytest.raises(ValueError, match="there is no comparison 'yours'; begin it, or choose"):
        comparisons.opened(folder, "yours")
    with pytest.raises(ValueError, match="name is '../mine'"):
        comparisons.opened(folder, "../mine")


def test_what_was_cut_off_while_it_was_begun_can_be_begun_again(folder):
    (folder / "votes").mkdir()
    (folder / "votes" / "mine.sqlite").touch()
    with begin(folder) as votes:
        assert len(votes.study.prompts) == 3


def test_links_that_lead_out_of_the_folder_are_refused(folder, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    make_set(elsewhere, "secret", ROWS, grey)
    (folder / "pictures" / "link").symlink_to(elsewhere / "pictures" / "secret")
    with pytest.raises(ValueError, match="link is a link to another place"):
        begin(folder, contenders=["teacher", "link"])
    picture = folder / "pictures" / "teacher" / "00000.png"
    picture.unlink()
    picture.symlink_to(elsewhere / "pictures" / "secret" / "00000.png")
    with pytest.raises(ValueError, match="00000.png is a link to another place"):
        comparisons.picture(folder, Pair(0, 0, "teacher", "student", False), "left")


def test_a_folder_that_is_a_link_as_a_whole_is_fine(folder, tmp_path_factory):
    link = tmp_path_factory.mktemp("linked") / "fewstep"
    link.symlink_to(folder)
    with begin(link) as votes:
        assert comparisons.picture(link, Pair(0, 0, *votes.study.contenders, False), "right")


def test_a_side_or_picture_that_is_none_is_told(folder):
    shown = Pair(0, 0, "teacher", "student", False)
    with pytest.raises(ValueError, match="side is 'both'; allowed are left and right"):
        comparisons.picture(folder, shown, "both")
    (folder / "pictures" / "teacher" / "00000.png").unlink()
    with pytest.raises(ValueError, match="00000.png cannot be read as a picture"):
        comparisons.picture(folder, shown, "left")


def test_a_file_that_holds_no_votes_is_told_and_kept(folder):
    (folder / "votes").mkdir()
    path = folder / "votes" / "mine.sqlite"
    path.write_text("my own")
    with pytest.raises(ValueError, match=re.escape(f"{path} holds no votes")):
        comparisons.opened(folder, "mine")
    with pytest.raises(ValueError, match="that comparison is there"):
        begin(folder)
    assert path.read_text() == "my own"

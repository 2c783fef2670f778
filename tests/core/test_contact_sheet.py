import numpy as np
import pytest
from oracles.measured import CAPTIONS, RESULTS, result
from PIL import ImageColor

from fewstep.headless.contact_sheet import (
    EDGE,
    GAP,
    INK,
    LABELS,
    PICTURE,
    RIGHT,
    TEXT,
    WRONG,
    contact_sheet,
    font,
    wrapped,
)


@pytest.fixture(scope="module")
def sheet():
    return contact_sheet(CAPTIONS, RESULTS, "A title")


@pytest.fixture(scope="module")
def top(sheet):
    return top_of(sheet)


def top_of(sheet):
    """Where the first row begins: two pixels of frame above the first picture's plain gray."""
    column = np.asarray(sheet)[:, EDGE + LABELS + PICTURE // 2]
    return int(np.flatnonzero((column == 40 + 50).all(axis=1))[0]) - 2


def count(sheet, colour, box):
    pixels = np.asarray(sheet.crop(box)).reshape(-1, 3)
    return int((pixels == ImageColor.getrgb(colour)).all(axis=1).sum())


def test_every_picture_stands_in_its_row_and_column(sheet, top):
    for i, shown in enumerate(RESULTS):
        for k in range(len(CAPTIONS)):
            x = EDGE + LABELS + k * (PICTURE + GAP) + PICTURE // 2
            y = top + i * (PICTURE + GAP) + PICTURE // 2
            assert sheet.getpixel((x, y)) == tuple(shown.pictures[k, 0, 0])


def test_every_picture_carries_the_mark_of_its_verdict(sheet, top):
    for i, shown in enumerate(RESULTS):
        for k, is_right in enumerate(shown.verdicts):
            x, y = EDGE + LABELS + k * (PICTURE + GAP), top + i * (PICTURE + GAP)
            box = (x + PICTURE // 2, y + PICTURE // 2, x + PICTURE + 16, y + PICTURE + 16)
            assert (count(sheet, RIGHT, box) > 300) == is_right
            assert (count(sheet, WRONG, box) > 300) == (not is_right)


def test_marks_differ_in_form_and_not_in_colour_alone():
    white = []
    for verdict in (True, False):
        sheet = contact_sheet(["a red circle"], [result(verdicts=[verdict])], "")
        x, y = EDGE + LABELS + PICTURE - 40, top_of(sheet) + PICTURE - 40
        white.append((np.asarray(sheet.crop((x, y, x + 64, y + 64))) == 255).all(axis=2))
    assert (white[0] != white[1]).sum() > 50


def test_the_rows_labels_and_the_captions_are_written(sheet, top):
    for i in range(len(RESULTS)):
        y = top + i * (PICTURE + GAP)
        assert count(sheet, INK, (EDGE, y, EDGE + LABELS - GAP, y + PICTURE)) > 100
    for k in range(len(CAPTIONS)):
        x = EDGE + LABELS + k * (PICTURE + GAP)
        assert count(sheet, INK, (x, 140, x + PICTURE + GAP, top)) > 100


def test_nothing_is_written_over_the_edge(sheet):
    pixels = np.asarray(sheet)
    for strip in (pixels[:EDGE], pixels[-8:], pixels[:, :EDGE], pixels[:, -EDGE + 20 :]):
        assert (strip == 255).all()


def test_long_captions_break_between_words_within_their_column():
    lines = wrapped(CAPTIONS[1], PICTURE, TEXT)
    assert " ".join(lines) == CAPTIONS[1]
    assert len(lines) > 1
    assert max(font(TEXT).getlength(line) for line in lines) <= PICTURE
    assert wrapped("", PICTURE, TEXT) == []


def test_a_long_title_stays_on_a_narrow_sheet():
    sheet = contact_sheet(["a red circle"], [result(verdicts=[True])], "word " * 40)
    assert (np.asarray(sheet)[:, -EDGE + 20 :] == 255).all()


def test_the_same_results_give_the_same_sheet(sheet):
    assert contact_sheet(CAPTIONS, RESULTS, "A title").tobytes() == sheet.tobytes()


def test_a_row_must_have_a_picture_for_each_caption():
    with pytest.raises(ValueError, match="teacher with 50 steps has 2 pictures and 2 verdicts for"):
        contact_sheet(["a red circle"], [result()], "")

import base64
import io
import re

import numpy as np
import pytest
from html_reader import Reader
from oracles.measured import CAPTIONS, RESULTS, SETTING, result
from PIL import Image

from fewstep.headless.report import data_uri, report, summary
from fewstep.headless.results import HEADER, Method, accuracy, cells, notes, text_table


@pytest.fixture(scope="module")
def page():
    return report(RESULTS, SETTING)


def test_page_and_terminal_show_the_same_numbers(page):
    rows = Reader(page).rows
    assert rows[0] == list(HEADER)
    assert rows[1 : 1 + len(RESULTS)] == [list(cells(shown)) for shown in RESULTS]
    lines = text_table(RESULTS).splitlines()
    assert [re.split(r"\s{2,}", line) for line in (lines[0], *lines[2:])] == rows[
        : 1 + len(RESULTS)
    ]


def test_numbers_are_written_as_agreed():
    assert cells(RESULTS[1]) == (
        *("LCM-LoRA", "4", "1", "4", "0.040", "12.5x"),
        *("75.0 % (61-85)", "75.0 % (61-85)", "75.0 % (65-83)", "3.00"),
    )
    assert cells(RESULTS[2])[-1] == "-"
    assert accuracy(None) == "-"


def test_guidance_doubles_the_passes():
    assert Method("teacher", 50, 4.0).passes == 100
    assert Method("LCM-LoRA", 4, 1.0).passes == 4


def test_columns_of_the_terminal_table_line_up():
    assert len({len(line) for line in text_table(RESULTS).splitlines()}) == 1


def test_page_asks_for_nothing_from_outside(page):
    reader = Reader(page)
    assert not re.search(r"https?:|//\w|url\(|@import", page)
    assert not {"script", "link", "iframe"} & {tag for tag, _ in reader.tags}
    assert all(image["src"].startswith("data:image/png;base64,") for image in reader.all("img"))


def test_pictures_arrive_unchanged_and_named_by_their_captions(page):
    images = Reader(page).all("img")
    shown = [picture for row in RESULTS for picture in row.pictures]
    assert [image["alt"] for image in images] == [*CAPTIONS] * len(RESULTS)
    for image, picture in zip(images, shown, strict=True):
        file = io.BytesIO(base64.b64decode(image["src"].split(",", 1)[1]))
        np.testing.assert_array_equal(np.asarray(Image.open(file)), picture)


def test_marks_say_in_words_and_form_what_the_judge_read(page):
    reader = Reader(page)
    words = [mark["aria-label"] for mark in reader.all("svg")]
    verdicts = [verdict for row in RESULTS for verdict in row.verdicts]
    assert words == ["shows its caption" if v else "does not" for v in verdicts]
    forms = {(v, path["d"]) for v, path in zip(verdicts, reader.all("path"), strict=True)}
    assert len(forms) == 2


def test_page_follows_the_readers_theme_and_the_width_of_a_phone(page):
    assert "prefers-color-scheme: dark" in page
    assert {"name": "viewport", "content": "width=device-width, initial-scale=1"} in Reader(
        page
    ).all("meta")


def test_page_tells_machine_versions_seed_and_what_was_not_counted(page):
    for words in ("A &lt;slow&gt; processor, 2 threads", "torch 1.2.3", "seed 7", "0.062 s"):
        assert words in page
    assert any("Decoding costs every row the same" in note for note in notes(SETTING))


def test_summary_gives_the_numbers_in_plain_words():
    text = summary(RESULTS, SETTING)
    assert "50 steps with guidance, 100 network passes, 0.50 seconds a picture; 75.0 %" in text
    assert "4 steps without guidance, 12.5 times less time, and 75.0 % do." in text
    assert "forced to 4 passes, gets 75.0 % right" in text


def test_the_summary_speaks_of_the_lcm_lora_alone_where_other_students_take_4_steps():
    lcm = next(r for r in RESULTS if (r.method.model, r.method.steps) == ("LCM-LoRA", 4))
    other = lcm._replace(method=Method("endpoint_4_steps", 4, 1.0))
    assert summary([*RESULTS, other], SETTING) == summary(RESULTS, SETTING)


@pytest.mark.parametrize(
    ("method", "title"),
    [
        (Method("teacher", 50, 4.0), "teacher, 50 steps"),
        (Method("LCM-LoRA", 1, 1.0), "LCM-LoRA, 1 step"),
        (Method("told_guidance", 24, 1.0), "told guidance, 24 steps"),
        (Method("progressive_1_step", 1, 1.0), "progressive 1 step"),
        (Method("progressive_8_steps", 4, 1.0), "progressive 8 steps, 4 steps"),
    ],
)
def test_a_title_says_the_steps_once(method, title):
    assert method.title == title


def test_words_in_captions_cannot_become_markup():
    hostile = '"><script>alert(1)</script>'
    page = report([result(verdicts=[True])], SETTING._replace(captions=(hostile,)))
    assert "<script" not in page
    assert Reader(page).all("img")[0]["alt"] == hostile


def test_equal_pictures_have_equal_addresses():
    picture = np.zeros((8, 8, 3), np.uint8)
    assert data_uri(picture) == data_uri(picture.copy())

"""Prompts are read as they were written, whatever their format."""

import csv
import json
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fewstep.distill.prompt_file import Prompt, from_text, read_prompts, shipped, take

SHIPPED = Path(__file__).resolve().parents[2] / "distill" / "prompts" / "general.txt"
BOM = b"\xef\xbb\xbf"
ENDINGS = ("txt", "csv", "jsonl")
# the same two prompts in each format, with a blank line at the end
SAME = {
    "txt": "a red car\nMéliès' moon\n\n",
    "csv": "prompt\na red car\nMéliès' moon\n\n",
    "jsonl": '{"prompt": "a red car"}\n{"prompt": "Méliès\' moon"}\n\n',
}
quick = settings(derandomize=True, deadline=None, max_examples=200)

texts = st.text(min_size=1, max_size=40).map(str.strip).filter(bool)
pairs = st.lists(st.builds(Prompt, texts, st.none() | texts), min_size=1, max_size=8)
# U+0000 is refused in a file and arrives only as an escape of JSON
in_file = texts.filter(lambda text: "\0" not in text)
lines = in_file.filter(lambda text: not re.search(r"[\n\r]|^#", text))
rows = st.lists(st.builds(Prompt, in_file, st.none() | in_file), min_size=1, max_size=8)
orders = st.permutations(["prompt", "negative", "seed"])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("prompts")


def write(folder, name, content):
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
    return path


def read(folder, name, content):
    return read_prompts(write(folder, name, content))


@pytest.mark.parametrize("bom", [b"", BOM])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("ending", ENDINGS)
def test_formats_byte_order_marks_and_line_ends_make_no_difference(tmp_path, ending, end, bom):
    content = bom + SAME[ending].replace("\n", end).encode("utf-8")
    assert read(tmp_path, f"mine.{ending}", content) == [
        ("a red car", None),
        ("Méliès' moon", None),
    ]


@pytest.mark.parametrize("ending", ENDINGS)
def test_the_last_line_needs_no_end(tmp_path, ending):
    prompts = read(tmp_path, f"mine.{ending}", SAME[ending].rstrip("\n"))
    assert [prompt.text for prompt in prompts] == ["a red car", "Méliès' moon"]


def test_an_ending_may_be_in_capitals_and_a_path_a_string(tmp_path):
    path = write(tmp_path, "MINE.JSONL", '{"prompt": "a cat"}')
    assert read_prompts(str(path)) == [Prompt("a cat")]


def test_a_text_skips_blank_lines_and_comments_alone(tmp_path):
    text = "# my prompts\n\na cat\n \t\n  # not this\na dog # but this\n'#' on a wall\n"
    expected = [("a cat", None), ("a dog # but this", None), ("'#' on a wall", None)]
    assert read(tmp_path, "mine.txt", text) == from_text(text) == expected


def test_a_text_box_may_begin_with_a_byte_order_mark():
    assert from_text("\ufeff# mine\na cat") == [("a cat", None)]


@pytest.mark.parametrize("character", ["\u2028", "\u2029", "\x85", "\v", "\f", "\x1c"])
def test_only_line_ends_end_a_line(tmp_path, character):
    prompt = f"a{character}b"
    assert read(tmp_path, "mine.txt", prompt + "\nc") == [(prompt, None), ("c", None)]
    as_json = json.dumps({"prompt": prompt}, ensure_ascii=False)
    assert read(tmp_path, "mine.jsonl", as_json) == [(prompt, None)]


@pytest.mark.parametrize(
    ("ending", "content"),
    [
        ("txt", " a cat\t\n"),
        ("csv", "prompt\n\u3000a cat \n"),
        ("csv", 'prompt\n" a cat "\n'),
        ("jsonl", ' {"prompt": "\\n a cat\\t"} \n'),
    ],
)
def test_blanks_around_a_prompt_are_no_part_of_it(tmp_path, ending, content):
    assert read(tmp_path, f"mine.{ending}", content) == [("a cat", None)]


@pytest.mark.parametrize(
    ("ending", "content"),
    [
        ("csv", "prompt,negative\na cat, dark \na dog,\na bird\na fish, \n"),
        (
            "jsonl",
            '{"prompt": "a cat", "negative": " dark "}\n{"negative": "", "prompt": "a dog"}\n'
            '{"prompt": "a bird"}\n{"prompt": "a fish", "negative": null}\n',
        ),
    ],
)
def test_a_negative_that_is_blank_or_left_out_is_none(tmp_path, ending, content):
    cat, *others = read(tmp_path, f"mine.{ending}", content)
    assert cat == Prompt("a cat", "dark")
    assert others == [Prompt("a dog", None), Prompt("a bird", None), Prompt("a fish", None)]


def test_csv_finds_its_columns_by_name_in_any_case_and_order(tmp_path):
    content = "\nid, Negative ,PROMPT\n7,dark,a cat\n"
    assert read(tmp_path, "mine.csv", content) == [("a cat", "dark")]


def test_csv_cells_in_quotes_hold_commas_quotes_and_line_ends(tmp_path):
    content = 'prompt,negative\n"a ""big"" cat, sitting", "dark,\r\nblurry"\n# 1,x\n'
    expected = [('a "big" cat, sitting', "dark,\r\nblurry"), ("# 1", "x")]
    assert read(tmp_path, "mine.csv", content) == expected


def test_json_lines_have_other_keys_escapes_and_prompts_that_start_with_a_hash(tmp_path):
    content = '{"seed": [1, {}], "prompt": "\\ud83d\\ude00 \\"x\\""}\n{"prompt": "# 1"}'
    assert read(tmp_path, "mine.jsonl", content) == [('\U0001f600 "x"', None), ("# 1", None)]


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_repeated_prompt_counts_as_often_as_it_stands_there(tmp_path, ending):
    *head, first, second = SAME[ending].strip().split("\n")
    content = "\n".join([*head, second, first, second, second])
    texts = [prompt.text for prompt in read(tmp_path, f"mine.{ending}", content)]
    assert texts == ["Méliès' moon", "a red car", "Méliès' moon", "Méliès' moon"]


@quick
@given(prompts=st.lists(lines, min_size=1, max_size=8), bom=st.sampled_from([b"", BOM]))
def test_txt_gives_back_what_was_written(folder, prompts, bom):
    # below a comment, since a first prompt may itself begin with a byte order mark
    text = "\n".join(["# mine", *prompts])
    expected = [(prompt, None) for prompt in prompts]
    assert read(folder, "mine.txt", bom + text.encode("utf-8")) == from_text(text) == expected


@quick
@given(prompts=rows, columns=orders, quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]))
def test_csv_gives_back_what_was_written(folder, prompts, columns, quoting):
    path = folder / "mine.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns, restval="7", quoting=quoting)
        writer.writeheader()
        writer.writerows({"prompt": text, "negative": no} for text, no in prompts)
    assert read_prompts(path) == prompts


@quick
@given(prompts=pairs, ascii_only=st.booleans(), end=st.sampled_from(["\n", "\r\n"]))
def test_jsonl_gives_back_what_was_written(folder, prompts, ascii_only, end):
    entries = [{"negative": negative, "prompt": text} for text, negative in prompts]
    content = end.join(json.dumps(entry, ensure_ascii=ascii_only) for entry in entries)
    assert read(folder, "mine.jsonl", content) == prompts


@quick
@given(content=st.binary(max_size=60) | st.text("p\"',#{}[]:\\u0d8 \n\r").map(str.encode))
@pytest.mark.parametrize("ending", ENDINGS)
def test_any_bytes_are_read_or_refused_by_name(folder, ending, content):
    head = b"prompt\n" if ending == "csv" else b""
    try:
        prompts = read(folder, f"mine.{ending}", head + content)
    except ValueError as error:
        assert re.match(rf"mine\.{ending}(, line \d+)?: .", str(error))
    else:
        assert prompts and all(text and text == text.strip() for text, _ in prompts)


def test_the_shipped_prompts_are_the_lines_of_their_file_below_its_comment():
    written = SHIPPED.read_text(encoding="utf-8").split("\n")
    assert [p.text for p in shipped()] == [line for line in written if line and line[0] != "#"]
    assert {p.negative for p in shipped()} == {None}


@pytest.mark.parametrize(("count", "expected"), [(1, "a"), (2, "ab"), (3, "aba"), (0, "aba")])
def test_take_gives_the_first_ones_and_all_for_0(count, expected):
    prompts = (Prompt("a"), Prompt("b", "c"), Prompt("a"))
    taken = take(prompts, count)
    assert isinstance(taken, list) and "".join(prompt.text for prompt in taken) == expected


@pytest.mark.parametrize("count", [4, -1])
def test_take_says_how_many_prompts_there_are(count):
    told = f"^count is {count}, and there are 3 prompts. Choose 1 to 3, or 0 for all.$"
    with pytest.raises(ValueError, match=told):
        take([Prompt("a")] * 3, count)


@pytest.mark.parametrize(
    ("ending", "content"),
    [
        ("csv", "negative_prompt,prompt\nblurry,a cat\n,a dog\n"),
        (
            "jsonl",
            '{"prompt": "a cat", "negative_prompt": "blurry"}\n{"prompt": "a dog"}\n',
        ),
    ],
)
def test_a_negative_may_go_by_its_longer_name(tmp_path, ending, content):
    assert read(tmp_path, f"mine.{ending}", content) == [("a cat", "blurry"), ("a dog", None)]

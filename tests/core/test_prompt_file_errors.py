"""A file of prompts that is refused is told with its line, the reason and the remedy."""

import os
import re
import tracemalloc
from pathlib import Path

import pytest

from fewstep.distill.prompt_file import from_text, read_prompts

BOM = b"\xef\xbb\xbf"
ENDINGS = ("txt", "csv", "jsonl")


def read(folder, name, content):
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
    return read_prompts(path)


def assert_refused(folder, name, content, told):
    with pytest.raises(ValueError, match=f"^{re.escape(name + told)}$"):
        read(folder, name, content)


@pytest.mark.parametrize(
    "content", [b"a\nb\xe9 c\n", b"a\r\n\xe9", b"a\r\xe9", BOM + b"a\n\xe9", b"a\n\xc3"]
)
@pytest.mark.parametrize("ending", ENDINGS)
def test_a_file_that_is_not_utf8_is_refused_with_the_line(tmp_path, ending, content):
    told = ", line 2: no UTF-8 text. Save it as UTF-8."
    assert_refused(tmp_path, f"mine.{ending}", content, told)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_a_file_in_utf16_is_refused(tmp_path, encoding):
    told = ", line 1: no UTF-8 text. Save it as UTF-8."
    assert_refused(tmp_path, "mine.txt", "a cat\na dog\n".encode(encoding), told)


@pytest.mark.parametrize(
    ("ending", "content"),
    [
        ("txt", ""),
        ("txt", BOM),
        ("txt", "# a\n\n \r\n#b"),
        ("csv", ""),
        ("csv", "\n\n"),
        ("csv", "prompt,negative\n\n"),
        ("jsonl", ""),
        ("jsonl", "\n \n"),
    ],
)
def test_a_file_without_prompts_is_refused(tmp_path, ending, content):
    told = ": holds no prompt. Write at least one."
    assert_refused(tmp_path, f"mine.{ending}", content, told)


@pytest.mark.parametrize("text", ["", " \n", "# a"])
def test_a_text_box_without_prompts_is_refused(text):
    with pytest.raises(ValueError, match=r"^text: holds no prompt\. Write at least one\.$"):
        from_text(text)


@pytest.mark.parametrize(
    ("header", "shown"),
    [
        ("a cat", "['a cat']"),
        ("Prompts,negative", "['prompts', 'negative']"),
        ("prompt;negative", "['prompt;negative']"),
        ("prompt,Prompt", "['prompt', 'prompt']"),
        ("negative,prompt,negative", "['negative', 'prompt', 'negative']"),
    ],
)
def test_a_csv_file_without_one_prompt_column_is_refused(tmp_path, header, shown):
    told = (
        f", line 2: the columns are {shown}. Name one of them prompt, at most one negative, and "
        "separate them by commas."
    )
    assert_refused(tmp_path, "mine.csv", f"\n{header}\na,b,c\n", told)


def test_a_csv_prompt_with_commas_needs_quotes(tmp_path):
    told = ", line 4: has 3 cells for 2 columns. Put quotes around a prompt that holds commas."
    assert_refused(tmp_path, "mine.csv", 'prompt,negative\n"a\nb",c\na cat, sitting, red\n', told)


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ('"a cat\na dog\n', "unexpected end of data"),
        ('"a" cat\n', "',' expected after '\"'"),
        ("a" * 200_000, r"field larger than field limit (131072)"),
    ],
)
def test_a_csv_row_that_cannot_be_read_is_refused_where_it_begins(tmp_path, rows, reason):
    told = f", line 4: no CSV, {reason}. Put quotes around whole cells, and double those inside."
    assert_refused(tmp_path, "mine.csv", 'prompt\n"a\nb"\n' + rows, told)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"prompt": "a}', "Unterminated string starting at"),
        ("a cat", "Expecting value"),
        ("# a cat", "Expecting value"),
        ('{"prompt": "a"} {"prompt": "b"}', "Extra data"),
        ("[" * 100_000, ".+"),
        ('{"prompt": "a", "seed": ' + "9" * 5000 + "}", ".+"),
    ],
)
def test_a_broken_line_of_json_is_refused(tmp_path, line, reason):
    # the last two are worded differently by different versions of Python
    told = rf"^mine\.jsonl, line 3: no JSON, {reason}\. Write one object a line, {{\"prompt\""
    with pytest.raises(ValueError, match=told):
        read(tmp_path, "mine.jsonl", '{"prompt": "a"}\n\n' + line)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ('["a cat"]', "is ['a cat'], no object. Write"),
        ('"a cat"', "is 'a cat', no object. Write"),
        ("[" * 500 + "]" * 500, "is [[[[[[[...]]]]]]], no object. Write"),
        ('{"Prompt": "a cat"}', 'has no "prompt". Write'),
    ],
)
def test_a_json_line_that_is_no_object_with_a_prompt_is_refused(tmp_path, line, told):
    told = f', line 2: {told} {{"prompt": "...", "negative": "..."}}.'
    assert_refused(tmp_path, "mine.jsonl", f'{{"prompt": "a"}}\n{line}\n', told)


@pytest.mark.parametrize(
    ("value", "shown"), [("null", "None"), ("3", "3"), ('["a cat"]', "['a cat']"), ("{}", "{}")]
)
def test_a_prompt_that_is_no_text_is_refused(tmp_path, value, shown):
    told = f", line 1: prompt is {shown}, no text. Write it in quotes."
    assert_refused(tmp_path, "mine.jsonl", f'{{"prompt": {value}}}', told)


@pytest.mark.parametrize(("value", "shown"), [("false", "False"), ("[]", "[]"), ("0", "0")])
def test_a_negative_that_is_no_text_is_refused(tmp_path, value, shown):
    told = f", line 1: negative is {shown}, no text. Write it in quotes."
    assert_refused(tmp_path, "mine.jsonl", f'{{"prompt": "a", "negative": {value}}}', told)


@pytest.mark.parametrize(
    ("ending", "content"),
    [
        ("csv", 'prompt\n""\n'),
        ("csv", "negative,prompt\nblurry,  \n"),
        ("csv", "negative,prompt\nblurry\n"),
        ("jsonl", '{"prompt": "a"}\n{"prompt": " \\n"}'),
    ],
)
def test_a_blank_prompt_is_refused(tmp_path, ending, content):
    told = ", line 2: prompt is blank. Write one, or delete the line."
    assert_refused(tmp_path, f"mine.{ending}", content, told)


def test_a_prompt_has_up_to_5000_characters_whatever_their_bytes(tmp_path):
    longest = "é" * 5000
    assert from_text(f"  {longest}  ") == [(longest, None)]
    assert read(tmp_path, "mine.csv", f"prompt,negative\na,{longest}") == [("a", longest)]


@pytest.mark.parametrize(
    ("ending", "content", "what"),
    [
        ("txt", "# a\n{}", "prompt"),
        ("csv", "prompt\n{}", "prompt"),
        ("csv", "prompt,negative\na,{}", "negative"),
        ("jsonl", '\n{{"prompt": "{}"}}', "prompt"),
        ("jsonl", '\n{{"prompt": "a", "negative": "{}"}}', "negative"),
    ],
)
def test_a_text_above_5000_characters_is_refused(tmp_path, ending, content, what):
    told = f", line 2: {what} has 5001 characters; allowed are at most 5000. Shorten it."
    assert_refused(tmp_path, f"mine.{ending}", content.format("a" * 5001), told)


def test_half_a_surrogate_pair_is_refused(tmp_path):
    told = ", line 1: {} holds half a surrogate pair. Write that character anew."
    assert_refused(tmp_path, "a.jsonl", r'{"prompt": "a \ud83d"}', told.format("prompt"))
    line = r'{"prompt": "a", "negative": "\udfff"}'
    assert_refused(tmp_path, "b.jsonl", line, told.format("negative"))
    with pytest.raises(ValueError, match="^text, line 2: prompt holds half a surrogate pair"):
        from_text("a\n\ud800")


@pytest.mark.parametrize("name", ["mine.json", "mine.txt.gz", "mine"])
def test_another_ending_is_refused(tmp_path, name):
    ending = Path(name).suffix
    told = f": ends in '{ending}'; allowed are .txt, .csv, .jsonl. Save it as one of these."
    assert_refused(tmp_path, name, "a cat", told)


def test_a_folder_is_refused(tmp_path):
    told = " is a folder. Choose a file of prompts in it: .txt, .csv, .jsonl."
    for folder in (tmp_path, tmp_path / "a.txt"):
        folder.mkdir(exist_ok=True)
        with pytest.raises(ValueError, match=f"^{re.escape(str(folder) + told)}$"):
            read_prompts(folder)


@pytest.mark.parametrize("name", ["mine.txt", "mine.docx", "nowhere/mine.csv"])
def test_a_file_that_is_not_there_is_refused(tmp_path, name):
    path = tmp_path / name
    told = f"{path} is not there. Check the folder, the name and its ending."
    with pytest.raises(ValueError, match=f"^{re.escape(told)}$"):
        read_prompts(path)


def test_a_file_of_20_megabytes_is_read(tmp_path):
    comment = b"#" * (20_000_000 - 6)
    assert read(tmp_path, "mine.txt", comment + b"\na cat") == [("a cat", None)]


def test_a_file_above_20_megabytes_is_refused_unread(tmp_path):
    path = tmp_path / "mine.txt"
    path.touch()
    os.truncate(path, 20_000_001)
    told = r"^mine\.txt: has 20000001 bytes; allowed are at most 20000000 \(20 MB\)\. Split it\.$"
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=told):
            read_prompts(path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 1_000_000


def test_a_negative_under_both_names_is_refused(tmp_path):
    line = '{"prompt": "a", "negative": "b", "negative_prompt": "c"}'
    told = ", line 1: has both negative and negative_prompt. Write one of them, "
    with pytest.raises(ValueError, match=re.escape(told)):
        read(tmp_path, "mine.jsonl", line)
    with pytest.raises(ValueError, match="at most one negative"):
        read(tmp_path, "mine.csv", "prompt,negative,negative_prompt\na,b,c\n")

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fewstep.evaluate.golden_set import (
    SHIPPED,
    Golden,
    fingerprint,
    of_text,
    prompt_numbers,
    read_golden_set,
    shipped,
    with_seeds,
)


def written(folder, name, text):
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def of_object(folder, **fields):
    return read_golden_set(written(folder, "mine.jsonl", json.dumps(fields) + "\n"))


def test_a_row_of_json_says_everything(tmp_path):
    fields = {"negative": "blur", "seed": 7, "tags": ["faces", " text ", "faces"]}
    found = of_object(tmp_path, prompt=" a cat ", size="832x1216", mood="sad", **fields)
    assert found == [Golden("a cat", "blur", 7, ("faces", "text"), 832, 1216)]


def test_a_table_says_the_same(tmp_path):
    text = 'prompt,seed,Tags,size\n"a, b",18446744073709551615,faces;fine texture,64 × 128\nc,,,\n'
    found = read_golden_set(written(tmp_path, "mine.csv", text))
    first = Golden("a, b", None, 2**64 - 1, ("faces", "fine texture"), 64, 128)
    assert found == [first, Golden("c", None, 1)]


def test_plain_text_has_the_number_of_each_row_as_its_seed(tmp_path):
    found = read_golden_set(written(tmp_path, "mine.txt", "# of mine\na\n\nb\na\n"))
    assert found == [Golden("a", None, 0), Golden("b", None, 1), Golden("a", None, 2)]


def test_a_text_box_is_read_as_a_file_of_plain_text():
    assert of_text(" a\n# b\n\nc") == [Golden("a", None, 0), Golden("c", None, 1)]
    with pytest.raises(ValueError, match="^text: holds no prompt"):
        of_text("#")


def test_a_prompt_of_20000_characters_with_markup_is_text(tmp_path):
    prompt = "<script>alert(1)</script>\n" + "x" * 19974
    (found,) = of_object(tmp_path, prompt=prompt)
    assert found.prompt == prompt and len(prompt) == 20000


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"seed": -1}, "seed is -1; allowed are whole numbers from 0 to 18446744073709551615"),
        ({"seed": 2**64}, "seed is 18446744073709551616; allowed are"),
        ({"seed": 1.5}, "seed is 1.5; allowed are"),
        ({"seed": True}, "seed is True; allowed are"),
        ({"seed": "seven"}, "seed is 'seven'; allowed are .* or leave it out"),
        ({"tags": 3}, r'tags is 3; write words in a list, \["faces", "text"\]'),
        ({"tags": ["a", 3]}, r"tags is \['a', 3\]; write words"),
        ({"tags": [str(n) for n in range(21)]}, "tags are 21, the longest of 2 characters; .* 20"),
        ({"tags": "x" * 41}, "tags are 1, the longest of 41 characters; allowed are .* of 40"),
        ({"size": 512}, 'size is 512; write width and height as "832x1216", multiples of 8'),
        ({"size": "512"}, "size is '512'; write"),
        ({"size": "512x500"}, "size is '512x500'; write .* from 64 to 16384"),
        ({"size": "512x56"}, "size is '512x56'; write"),
        ({"size": [512, 512]}, r"size is \[512, 512\]; write"),
        ({"prompt": 3}, "prompt is 3, no text"),
        ({"prompt": "x" * 20001}, "prompt has 20001 characters; allowed are at most 20000"),
        ({"negative": "x" * 20001}, "negative has 20001 characters"),
    ],
)
def test_a_broken_field_is_told_with_file_line_and_field(tmp_path, fields, told):
    good = json.dumps({"prompt": "good"})
    text = f"{good}\n\n{json.dumps({'prompt': 'a', **fields})}\n"
    with pytest.raises(ValueError, match=f"^mine.jsonl, line 3: {told}"):
        read_golden_set(written(tmp_path, "mine.jsonl", text))


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        (
            "a.jsonl",
            '{"prompt": "a"}\n{"prompt": \n',
            "a.jsonl, line 2: no JSON, .*one object a line",
        ),
        ("a.jsonl", "\n", "a.jsonl: holds no prompt"),
        ("a.json", "[]", "a.json: ends in '.json'; allowed are .txt, .csv, .jsonl"),
        ("a.csv", "text\na\n", "a.csv, line 1: the columns are"),
    ],
)
def test_a_broken_file_is_told_as_a_file_of_prompts_is(tmp_path, name, text, told):
    with pytest.raises(ValueError, match=f"^{told}"):
        read_golden_set(written(tmp_path, name, text))


def test_one_picture_twice_is_refused_and_another_seed_or_size_is_another_picture(tmp_path):
    rows = [{"prompt": "a", "seed": 1}, {"prompt": "a", "seed": 2}]
    rows.append({"prompt": "a", "seed": 1, "size": "64x64"})
    text = "".join(json.dumps(row) + "\n" for row in rows)
    assert len(read_golden_set(written(tmp_path, "mine.jsonl", text))) == 3
    text += json.dumps({"prompt": "a", "seed": 2, "tags": ["b"]}) + "\n"
    told = "mine.jsonl, line 4: the same prompt, seed and size as in line 2"
    with pytest.raises(ValueError, match=re.escape(told)):
        read_golden_set(written(tmp_path, "mine.jsonl", text))


def test_the_fingerprint_knows_pictures_and_their_order_and_no_tags():
    a, b = Golden("a", None, 0), Golden("b", None, 1)
    assert fingerprint([a, b]) == fingerprint([a._replace(tags=("faces",)), b])
    others = [[b, a], [a], [a._replace(negative="c"), b], [a._replace(seed=3), b]]
    others += [[a._replace(width=64, height=64), b], [a._replace(prompt="ab"), b]]
    found = {fingerprint(one) for one in [[a, b], *others]}
    assert len(found) == 7 and all(re.fullmatch("[0-9a-f]{16}", one) for one in found)


def test_seeds_of_a_picture_follow_each_other_and_are_no_other_pictures():
    two = [Golden("a", "n", 5), Golden("b", None, 2**64 - 1)]
    found = with_seeds(two, 3)
    assert [golden.prompt for golden in found] == ["a"] * 3 + ["b"] * 3
    apart = 0x9E3779B9
    assert [golden.seed for golden in found[:3]] == [5, 5 + apart, 5 + 2 * apart]
    assert [golden.seed for golden in found[3:]] == [2**64 - 1, apart - 1, 2 * apart - 1]
    assert with_seeds(two, 1) == two and found[2].negative == "n"
    # as many noises too: torch's generator on the CPU takes a seed modulo 2^32
    of_set = with_seeds(shipped("demo"), 4)
    assert len({golden.seed % 2**32 for golden in of_set}) == 1200


def test_pictures_of_one_prompt_have_one_number():
    rows = [Golden(prompt, None, row) for row, prompt in enumerate("abacb")]
    assert prompt_numbers(rows) == [0, 1, 0, 3, 1]


def test_shipped_sets_have_300_pictures():
    assert [len(shipped(name)) for name in SHIPPED] == [300, 300]


def test_the_demos_set_is_the_first_300_captions_of_its_world():
    from fewstep.headless.compare import demo_captions

    found = shipped("demo")
    assert [golden.prompt for golden in found] == demo_captions(300, seed=0)
    assert {(golden.width, golden.height) for golden in found} == {(128, 128)}
    assert [golden.seed for golden in found] == list(range(300))


TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=30)


@given(TEXT, st.integers(0, 2**64 - 1), st.integers(8, 64), st.integers(8, 64))
def test_what_is_written_is_read_back(tmp_path_factory, prompt, seed, width, height):
    if not prompt.strip():
        return
    size = f"{8 * width}x{8 * height}"
    (found,) = of_object(tmp_path_factory.mktemp("set"), prompt=prompt, seed=seed, size=size)
    assert found == Golden(prompt.strip(), None, seed, (), 8 * width, 8 * height)

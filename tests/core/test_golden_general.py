import json
import re
from collections import Counter
from itertools import combinations
from pathlib import Path

FILE = Path(__file__).resolve().parents[2] / "evaluate" / "golden" / "general.jsonl"
ROWS = [json.loads(line) for line in FILE.read_text(encoding="utf-8").splitlines()]
LEAST = {
    "plain": 30,
    "long": 30,
    "style": 40,
    "text": 30,
    "faces": 40,
    "hands": 25,
    "counting": 30,
    "relations": 35,
    "texture": 40,
    "people": 30,
    "animals": 30,
    "places": 40,
    "light": 30,
    "objects": 30,
}


def rows_per_tag(rows):
    return Counter(tag for row in rows for tag in row["tags"])


def words(prompt):
    return set(re.findall(r"[\w'’]+", prompt.lower()))


def test_there_are_300_prompts():
    assert len(ROWS) == 300


def test_every_row_has_the_same_keys_in_the_same_order_and_negative_only_where_used():
    for row in ROWS:
        negative = ["negative"] if "negative" in row else []
        assert list(row) == ["prompt", *negative, "seed", "tags", "size"], row


def test_no_prompt_or_negative_is_empty_or_has_spaces_at_its_ends():
    for row in ROWS:
        for text in (row["prompt"], row.get("negative", "none")):
            assert text and text == text.strip(), row


def test_no_prompt_comes_twice():
    assert len({row["prompt"].lower() for row in ROWS}) == 300


def test_seeds_are_distinct_whole_numbers_below_2_to_the_31():
    assert all(type(row["seed"]) is int and 0 <= row["seed"] < 2**31 for row in ROWS)
    assert len({row["seed"] for row in ROWS}) == 300


def test_a_prompt_has_one_to_three_tags_out_of_fourteen():
    for row in ROWS:
        assert 1 <= len(row["tags"]) <= 3, row
        assert len(set(row["tags"])) == len(row["tags"]), row
        assert set(row["tags"]) <= set(LEAST), row


def test_every_tag_has_enough_prompts():
    found = rows_per_tag(ROWS)
    assert {tag: found[tag] for tag, least in LEAST.items() if found[tag] < least} == {}


def test_a_long_prompt_has_80_to_200_words_and_any_other_3_to_60():
    for row in ROWS:
        least, most = (80, 200) if "long" in row["tags"] else (3, 60)
        assert least <= len(row["prompt"].split()) <= most, row


def test_sides_are_multiples_of_64_and_their_product_is_about_1024_squared():
    for row in ROWS:
        width, height = map(int, row["size"].split("x"))
        assert width % 64 == 0 and height % 64 == 0, row
        assert 0.9 <= width * height / 1024**2 <= 1.1, row


def test_a_prompt_that_asks_for_text_quotes_it():
    for row in ROWS:
        if "text" in row["tags"]:
            assert re.search(r'"[^"]+"', row["prompt"]), row


def test_the_first_50_and_100_prompts_hold_every_tag_at_least_2_and_5_times():
    for first, least in ((50, 2), (100, 5)):
        found = rows_per_tag(ROWS[:first])
        assert [tag for tag in LEAST if found[tag] < least] == []


# Jaccard similarity of the sets of lower-case words: shared words / words of either prompt.
def test_no_two_prompts_share_more_than_60_percent_of_their_words():
    sets = [(row["prompt"], words(row["prompt"])) for row in ROWS]
    for (a, words_a), (b, words_b) in combinations(sets, 2):
        assert len(words_a & words_b) <= 0.6 * len(words_a | words_b), (a, b)

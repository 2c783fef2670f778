"""The prompts shipped for distillation are many, different from each other and of every length."""

import re
from itertools import combinations
from pathlib import Path

import pytest

FILE = Path(__file__).resolve().parents[2] / "distill" / "prompts" / "general.txt"
COMMENT, *PROMPTS = FILE.read_text(encoding="utf-8").removesuffix("\n").split("\n")


def words(prompt):
    return re.findall(r"\w+", prompt.replace("'", "").lower())


def trigrams(prompt):
    found = words(prompt)
    return set(zip(found, found[1:], found[2:], strict=False))


def test_there_are_400_prompts_below_one_comment():
    assert COMMENT.startswith("# ") and "FewStep" in COMMENT and "CC0" in COMMENT
    assert len(PROMPTS) == 400
    assert not [prompt for prompt in PROMPTS if prompt.startswith("#") or not words(prompt)]


def test_no_prompt_comes_twice_even_in_other_case_and_punctuation():
    plain = [" ".join(words(prompt)) for prompt in PROMPTS]
    assert [prompt for prompt in plain if plain.count(prompt) > 1] == []


def test_no_two_prompts_share_more_than_half_of_their_trigrams():
    long = [(prompt, trigrams(prompt)) for prompt in PROMPTS if len(words(prompt)) >= 8]
    alike = [(p, q) for (p, a), (q, b) in combinations(long, 2) if len(a & b) > len(a | b) / 2]
    assert alike == []


@pytest.mark.parametrize("first", range(0, 400, 50))
def test_every_50_prompts_in_a_row_hold_very_short_and_very_long_ones(first):
    lengths = [len(prompt.split()) for prompt in PROMPTS[first : first + 50]]
    assert sum(length <= 4 for length in lengths) >= 5
    assert sum(length >= 35 for length in lengths) >= 5


def test_no_line_is_above_400_characters_or_begins_or_ends_with_a_blank():
    lines = [COMMENT, *PROMPTS]
    assert [line for line in lines if len(line) > 400 or line != line.strip()] == []

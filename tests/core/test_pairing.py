import math
import subprocess
import sys
from collections import Counter
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fewstep.evaluate import pairing
from fewstep.evaluate.pairing import APART, Prompt, Study, check_study, pairs_of

NAMES = ("teacher", "4 steps", "2 steps", "1 step")


def study(contenders, prompts, seed=0, repeats=0.1):
    prompts = tuple(Prompt(f"prompt {i}") for i in range(prompts))
    return Study("study", contenders, prompts, seed, repeats=repeats)


def studies():
    return st.builds(
        study,
        st.integers(2, 4).map(lambda count: NAMES[:count]),
        st.integers(1, 40),
        st.integers(0, 2**32),
        st.sampled_from([0.0, 0.1, 0.25, 0.5, 1.0]),
    )


raters = st.text("abc Ä=1", min_size=1, max_size=8).filter(lambda name: name == name.strip())


def shown(rater, study):
    """The pairs of a study, firsts and repeats apart."""
    pairs = pairs_of(rater, study)
    return [[pair for pair in pairs if pair.is_repeat is is_repeat] for is_repeat in (False, True)]


def both(pair):
    return frozenset((pair.left, pair.right))


@settings(deadline=None, max_examples=100)
@given(raters, studies())
def test_every_pair_of_contenders_is_shown_once_for_every_prompt(rater, study):
    firsts, _ = shown(rater, study)
    twos = [frozenset(two) for two in combinations(study.contenders, 2)]
    expected = [(prompt, two) for prompt in range(len(study.prompts)) for two in twos]
    assert Counter((pair.prompt, both(pair)) for pair in firsts) == Counter(expected)


@settings(deadline=None, max_examples=100)
@given(raters, studies())
def test_either_side_has_each_of_two_contenders_equally_often_or_once_more(rater, study):
    firsts, _ = shown(rater, study)
    for a, b in combinations(study.contenders, 2):
        ways = Counter((pair.left, pair.right) for pair in firsts if both(pair) == {a, b})
        assert abs(ways[a, b] - ways[b, a]) <= 1


@settings(deadline=None, max_examples=100)
@given(raters, studies(), st.integers(0, 300))
def test_who_stops_early_has_seen_all_pairs_of_contenders_equally_often_or_once_more(
    rater, study, stop
):
    seen = Counter({frozenset(two): 0 for two in combinations(study.contenders, 2)})
    seen.update(both(pair) for pair in pairs_of(rater, study)[:stop] if not pair.is_repeat)
    assert max(seen.values()) - min(seen.values()) <= 1


@settings(deadline=None, max_examples=200)
@given(raters, studies())
def test_repeats_are_a_share_of_other_earlier_pairs_swapped_and_10_or_more_before(rater, study):
    firsts, repeats = shown(rater, study)
    assert abs(len(repeats) - study.repeats * len(firsts)) <= 0.5
    pairs = pairs_of(rater, study)
    assert [pair.number for pair in pairs] == list(range(len(firsts) + len(repeats)))
    before = {(pair.prompt, pair.right, pair.left): pair.number for pair in firsts}
    assert len({(pair.prompt, pair.left, pair.right) for pair in repeats}) == len(repeats)
    for pair in repeats:
        apart = pair.number - before[pair.prompt, pair.left, pair.right]
        assert apart >= min(APART, len(firsts))


def test_another_process_shows_a_rater_the_same():
    call = "pairs_of('Änn', Study('study', ('A', 'B', 'C'), (Prompt('x'), Prompt('y')), 1))"
    load = f"import runpy; globals().update(runpy.run_path({pairing.__file__!r})); print({call})"
    command = [sys.executable, "-I", "-c", load]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    expected = pairs_of("Änn", Study("study", tuple("ABC"), (Prompt("x"), Prompt("y")), 1))
    assert done.stdout.strip() == repr(expected)


def test_another_rater_or_seed_gives_another_order_and_other_sides():
    orders = [
        pairs_of(rater, study("AB", 30, seed, repeats=0.0))
        for rater, seed in (("Ann", 0), ("Ben", 0), ("Ann", 1))
    ]
    for one, other in combinations(orders, 2):
        assert [pair.prompt for pair in one] != [pair.prompt for pair in other]
        sides = [{pair.prompt: pair.left for pair in pairs} for pairs in (one, other)]
        assert sides[0] != sides[1]


def within_5_standard_errors(count, of, share):
    return abs(count - share * of) < 5 * math.sqrt(of * share * (1 - share))


def test_over_raters_each_side_place_and_repeat_is_chance():
    raters = 2000
    one = study("AB", 25, repeats=0.2)
    studies = [pairs_of(f"rater {i}", one) for i in range(raters)]
    left_first = sum(pairs[0].left == "A" for pairs in studies)
    # of an odd number of prompts
    left_more = sum(
        sum(pair.left == "A" for pair in pairs if not pair.is_repeat) == 13 for pairs in studies
    )
    first = sum(pairs[0].prompt == 3 for pairs in studies)
    assert within_5_standard_errors(left_first, raters, 1 / 2)
    assert within_5_standard_errors(left_more, raters, 1 / 2)
    assert within_5_standard_errors(first, raters, 1 / 25)
    # one side does not tell the next: of 13 and 12 ways two are alike in 144 of 300 draws
    alike = sum(pairs[0].left == pairs[1].left for pairs in studies)
    assert within_5_standard_errors(alike, raters, 144 / 300)
    # no place from the 11th on is without, and none has them always
    places = Counter(pair.number for pairs in studies for pair in pairs if pair.is_repeat)
    assert set(places) == set(range(10, 30))
    assert max(places.values()) < raters / 2


def test_of_a_round_no_pair_of_contenders_is_always_first():
    one = study("ABC", 1)
    starts = Counter(both(pairs_of(f"{i}", one)[0]) for i in range(900))
    assert all(within_5_standard_errors(count, 900, 1 / 3) for count in starts.values())


def test_a_prompts_first_tag_with_a_question_decides_what_is_asked():
    prompts = Prompt("x"), Prompt("y", ("dark", "faces", "text")), Prompt("z", ("dark",))
    questions = {"text": "Which text is right?", "faces": "Whose face looks right?"}
    asked = Study("study", ("A", "B"), prompts, 0, "Which is better?", questions).asked
    assert [asked(0), asked(1), asked(2)] == [
        "Which is better?",
        "Whose face looks right?",
        "Which is better?",
    ]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (study(["A"], 1), r"contenders are \['A'\]; a comparison needs 2 or more"),
        (study(["A", "B", "A"], 1), "contenders have 'A' twice; give each once"),
        (study(["A", ""], 1), "a contender is ''; a name has 1 to 64 printable characters"),
        (study("AB", 1)._replace(id="x" * 65), "id is 'x*'; a name has 1 to 64"),
        (study("AB", 0), "there are no prompts; a comparison needs one or more"),
        (study("AB", 1, repeats=1.01), "repeats is 1.01; it is a share .* from 0 to 1"),
        (study("AB", 1, repeats=-0.1), "repeats is -0.1"),
        (study("AB", 1, repeats=math.nan), "repeats is nan"),
    ],
)
def test_what_cannot_be_compared_is_refused(wrong, message):
    for call in (check_study, lambda wrong: pairs_of("Ann", wrong)):
        with pytest.raises(ValueError, match=message):
            call(wrong)


def test_a_rater_without_a_name_is_refused():
    with pytest.raises(ValueError, match="rater is ' '; a name has"):
        pairs_of(" ", study("AB", 1))

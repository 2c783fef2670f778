import json

import pytest
from scipy.stats import binomtest

from fewstep.evaluate.pairing import Prompt, Study
from fewstep.evaluate.preference import win_rate
from fewstep.evaluate.preference_report import as_json, outcome, sentences
from fewstep.evaluate.votes import Vote

PROMPTS = tuple(Prompt(f"prompt {i}", ("faces",) if i < 12 else ("text",)) for i in range(20))
STUDY = Study("mine", ("A", "B", "C"), PROMPTS, seed=0)
PAIR = STUDY._replace(contenders=("A", "B"))


def vote(i, score, a="A", b="B", rater="ann", is_repeat=False, kind="human"):
    return Vote(0, "", kind, rater, i, i, *PROMPTS[i], a, b, score, is_repeat)


def cast(wins, ties=0, skipped=0, **of):
    """Votes on all prompts, of which a wins the first."""
    scores = [1.0] * wins + [0.5] * ties + [None] * skipped
    scores += [0.0] * (len(PROMPTS) - len(scores))
    return [vote(i, score, **of) for i, score in enumerate(scores)]


def test_two_contenders_are_told_by_rate_prompts_and_sign_test():
    votes = cast(wins=15, ties=1, skipped=1)
    found = outcome(PAIR, votes)
    (duel,) = found.duels
    assert duel.rate == win_rate(votes, "A", "B", seed=0)
    assert duel.won == (15, 1, 3)
    assert duel.p == pytest.approx(binomtest(15, 18).pvalue)
    assert (found.raters, found.skipped, found.strengths) == ({"ann": 20}, 1, {})


def test_what_is_likely_no_chance_is_called_better_and_what_may_be_chance_is_not():
    (clear, *_) = sentences(outcome(PAIR, cast(wins=16)))
    assert clear.startswith("A is preferred to B: 80 % of the votes (")
    assert clear.endswith("16 prompts against 4; p = 0.012 by the sign test.")
    (close, *_) = sentences(outcome(PAIR, cast(wins=12)))
    assert close.startswith("Neither A nor B is shown to be better. A has 60 % of the votes (")


def test_a_winner_that_is_second_in_the_study_is_named_first_with_its_own_limits():
    found = outcome(PAIR, cast(wins=4))
    rate = found.duels[0].rate
    (told, *_) = sentences(found)
    limits = f"({100 - 100 * rate.high:.0f} % to {100 - 100 * rate.low:.0f} %)"
    assert told.startswith(f"B is preferred to A: 80 % of the votes {limits}, 16 prompts against 4")
    few = [vote(i, 0.0) for i in range(6)]
    assert "B is preferred to A: 100 % of the votes, 6 prompts" in sentences(outcome(PAIR, few))[0]


def test_a_tag_with_ten_prompts_has_a_rate_of_its_own():
    votes = cast(wins=12)
    (duel,) = outcome(PAIR, votes).duels
    # 8 prompts of text are too few
    assert list(duel.by_tag) == ["faces"] and duel.by_tag["faces"].value == 1.0
    others = cast(wins=0, b="C", a="B")
    assert outcome(STUDY, votes + others).duels[0].by_tag["faces"].value == 1.0


def test_three_contenders_have_strengths_the_strongest_first():
    votes = cast(wins=5) + cast(wins=4, b="C") + cast(wins=10, a="B", b="C")
    found = outcome(STUDY, votes)
    assert [(duel.a, duel.b) for duel in found.duels] == [("A", "B"), ("A", "C"), ("B", "C")]
    values = [strength.value for strength in found.strengths.values()]
    assert list(found.strengths)[-1] == "A" and values == sorted(values, reverse=True)
    # nobody has compared C yet
    assert outcome(STUDY, cast(wins=5)).strengths == {}


def test_repeats_and_raters_are_told_of():
    again = [vote(i, 1.0, is_repeat=True) for i in range(14, 18)]
    votes = cast(wins=15) + cast(wins=15, rater="bob") + again
    found = outcome(PAIR, votes)
    told = " ".join(sentences(found))
    assert found.raters == {"ann": 24, "bob": 20}
    assert "25 % of the pairs got the same answer" in told
    assert "Raters agree with Krippendorff's alpha of 1.00" in told
    assert "have no interval" not in told


def test_no_votes_and_few_votes_say_so():
    assert sentences(outcome(PAIR, [])) == ["There are no votes yet, so neither is better."]
    assert sentences(outcome(PAIR, [vote(0, None)])) == [
        "There are no votes yet, so neither is better."
    ]
    told = " ".join(sentences(outcome(PAIR, [vote(0, 1.0), vote(1, 0.0)])))
    assert "A has 50 % of the votes, 1 prompts against 1" in told and "have no interval" in told


def test_votes_of_people_and_of_models_are_not_mixed():
    with pytest.raises(ValueError, match="votes are of human and model; give those of one kind"):
        outcome(PAIR, cast(wins=5) + cast(wins=5, kind="model"))


def test_values_are_those_of_json():
    votes = cast(wins=5) + cast(wins=4, b="C") + cast(wins=10, a="B", b="C")
    found = outcome(STUDY, votes)
    told = json.loads(json.dumps(as_json(found)))
    assert told["duels"][0]["rate"] == found.duels[0].rate._asdict()
    assert told["duels"][0]["won"] == {"won": 5, "tied": 0, "lost": 15}
    assert told["strengths"]["A"] == found.strengths["A"]._asdict()
    assert told["self_agreement"] is None and told["raters"] == {"ann": 60}

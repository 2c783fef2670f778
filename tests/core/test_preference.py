import itertools
import math

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import expit, log_expit
from scipy.stats import binomtest

from fewstep.evaluate.pairing import Prompt, Study
from fewstep.evaluate.preference import (
    Tally,
    agreement,
    prompts_won,
    self_agreement,
    sign_test,
    strengths,
    win_rate,
)
from fewstep.evaluate.votes import Vote, Votes

REPETITIONS = 300


def vote(prompt, score, a="A", b="B", rater="ann", text=None, is_repeat=False, kind="human"):
    text = f"prompt {prompt}" if text is None else text
    return Vote(0, "", kind, rater, 0, prompt, text, (), a, b, score, is_repeat)


def cast(scores, a="A", b="B", **of):
    return [vote(i, score, a, b, **of) for i, score in enumerate(scores)]


def covered(found, truth):
    return found.low <= truth <= found.high


def test_win_rate_is_the_share_of_votes_with_ties_as_half_from_either_side():
    votes = cast([1.0, 1.0, 0.5, 0.0, None]) + [vote(7, 0.0, "B", "A"), vote(8, 0.0, "B", "C")]
    assert win_rate(votes, "A", "B", seed=0).value == pytest.approx(3.5 / 5)
    assert win_rate(votes, "B", "A", seed=0).value == pytest.approx(1.5 / 5)


def test_repeats_and_skips_are_no_second_votes():
    votes = cast([1.0] * 5 + [0.0] * 5)
    more = [vote(0, 0.0, is_repeat=True), vote(1, None, rater="ben")]
    assert win_rate(votes + more, "A", "B", seed=0) == win_rate(votes, "A", "B", seed=0)
    assert prompts_won(votes + more, "A", "B") == Tally(5, 0, 5)
    both = [strengths(given, "AB", seed=0, resamples=50) for given in (votes + more, votes)]
    assert both[0] == both[1]


def test_few_prompts_or_equal_ones_have_a_win_rate_without_limits():
    for scores in ([1.0, 0.0] * 4, [1.0] * 20):
        found = win_rate(cast(scores), "A", "B", seed=0, resamples=50)
        assert (found.low, found.high) == (None, None) and found.count == len(scores)
    # a third of each prompt's votes, by unequally many raters
    thirds = [vote(i, float(j == 0), rater=f"{j}") for i in range(20) for j in range(3)]
    thirds += [vote(99, float(j < 3), rater=f"{j}") for j in range(9)]
    assert win_rate(thirds, "A", "B", seed=0, resamples=50).low is None
    assert strengths(cast([1.0] * 20), "AB", seed=0, resamples=50)["A"].low is None


def test_limits_of_a_win_rate_stay_within_0_to_1():
    for won in (29, 1):
        found = [
            win_rate(cast([1.0] * won + [0.0] * (30 - won)), "A", "B", seed=seed, resamples=100)
            for seed in range(20)
        ]
        assert all(0.0 <= one.low < one.value < one.high <= 1.0 for one in found)
        # where it matters
        assert any(one.high == 1.0 or one.low == 0.0 for one in found)


def test_a_texts_votes_are_drawn_together():
    """Two seeds of each text, and three raters, who all agree."""
    scores = [1.0] * 18 + [0.0] * 12
    once = [vote(i, score) for i, score in enumerate(scores)]
    often = [
        vote(2 * i + seed, score, rater=rater, text=f"prompt {i}")
        for i, score in enumerate(scores)
        for seed in range(2)
        for rater in ("ann", "ben", "cyd")
    ]
    for compared in (win_rate(votes, "A", "B", seed=1) for votes in (once, often)):
        assert compared == win_rate(once, "A", "B", seed=1)


def simulated(rng, prompts=40, raters=5):
    """Votes on prompts that differ in how much A is better, some of them ties."""
    chance = expit(rng.normal(0.5, 2.0, size=prompts))[:, None]
    scores = (rng.random((prompts, raters)) < chance).astype(float)
    scores[rng.random((prompts, raters)) < 0.15] = 0.5
    return [
        vote(i, scores[i, j], rater=f"rater {j}") for i in range(prompts) for j in range(raters)
    ]


def test_intervals_of_the_win_rate_cover_the_truth_by_prompts_alone():
    x, weights = np.polynomial.hermite_e.hermegauss(80)
    mean = (weights * expit(0.5 + 2.0 * x)).sum() / weights.sum()
    truth = 0.85 * mean + 0.15 / 2
    rng = np.random.default_rng(0)
    share_covered = lambda studies: np.mean(
        [
            covered(win_rate(votes, "A", "B", seed=seed, resamples=200), truth)
            for seed, votes in enumerate(studies)
        ]
    )
    studies = [simulated(rng) for _ in range(REPETITIONS)]
    apart = [[vote._replace(text=str(i)) for i, vote in enumerate(votes)] for votes in studies]
    assert 0.90 <= share_covered(studies) <= 0.99
    assert share_covered(apart[:100]) < 0.8


def test_prompts_are_won_by_the_most_of_their_votes():
    raters = "ann", "ben", "cyd"
    scores = {
        "x": (1.0, 1.0, 0.0),
        "y": (0.5, 0.0, 1.0),
        "z": (0.5, 0.5, 0.0),
        "u": (None, 1.0, 0.5),
    }
    votes = [
        vote(i, score, rater=rater, text=text)
        for i, (text, row) in enumerate(scores.items())
        for rater, score in zip(raters, row, strict=True)
    ]
    assert prompts_won(votes, "A", "B") == Tally(won=2, tied=1, lost=1)
    assert prompts_won(votes, "B", "A") == Tally(won=1, tied=1, lost=2)


@pytest.mark.parametrize(
    ("wins", "of"), [(15, 20), (21, 30), (33, 50), (61, 100), (115, 200), (168, 300)]
)
def test_so_many_wins_are_significant_and_one_less_is_not(wins, of):
    assert sign_test(wins, of - wins) < 0.05 < sign_test(wins - 1, of - wins + 1)


def test_the_sign_test_is_the_exact_binomial_one():
    for won, lost in itertools.product(range(25), repeat=2):
        expected = binomtest(won, won + lost).pvalue if won + lost else 1.0
        assert sign_test(won, lost) == pytest.approx(expected, rel=1e-12)
    # 6 of 6: two tails of 1/64
    assert sign_test(6, 0) == sign_test(0, 6) == 2 / 64
    with pytest.raises(ValueError, match="won and lost are 3 and -1; allowed are 0 or more"):
        sign_test(3, -1)


def test_two_strengths_differ_by_the_log_odds_of_the_win_rate():
    # 60 wins, 20 losses and 10 ties, and the tie that is added
    votes = cast([1.0] * 60 + [0.0] * 20 + [0.5] * 10)
    found = strengths(votes, ["A", "B"], seed=0, resamples=2)
    assert found["A"].value == pytest.approx(math.log(65.5 / 25.5) / 2, abs=1e-9)
    assert found["B"].value == pytest.approx(-found["A"].value, abs=1e-12)


def most_likely(votes, names):
    """Centred logits at the maximum of the likelihood, with one more tie of any two that met."""
    met = sorted({(vote.a, vote.b) for vote in votes})
    games = [(vote.a, vote.b, vote.score) for vote in votes] + [(a, b, 0.5) for a, b in met]
    a, b = ([names.index(game[side]) for game in games] for side in (0, 1))
    score = np.array([game[2] for game in games])

    def unlikely(logits):
        gap = logits[a] - logits[b]
        return -(score * log_expit(gap) + (1 - score) * log_expit(-gap)).sum()

    found = minimize(unlikely, np.zeros(len(names)), options={"gtol": 1e-8}).x
    return found - found.mean()


def rated(rng, logits, prompts, met=None):
    """Votes of one rater on all pairs that met, by the Bradley-Terry model."""
    met = met or [*itertools.combinations(logits, 2)]
    return [
        vote(i, float(rng.random() < expit(logits[a] - logits[b])), a, b)
        for i in range(prompts)
        for a, b in met
    ]


@pytest.mark.parametrize("met", [None, ["AB", "BC", "CD"], ["AD", "AB", "BC"]])
def test_four_strengths_are_the_most_likely_ones_even_by_way_of_others(met):
    votes = rated(np.random.default_rng(1), dict(A=1.0, B=0.4, C=-0.2, D=-1.2), 40, met)
    # and one that never won
    votes = [vote._replace(score=1.0) if vote.b == "D" else vote for vote in votes]
    votes += [vote._replace(score=0.5) for vote in votes[::7]]
    found = strengths(votes, "ABCD", seed=0, resamples=1)
    values = [found[name].value for name in "ABCD"]
    assert values == pytest.approx(most_likely(votes, "ABCD"), abs=1e-5)
    assert sum(values) == pytest.approx(0.0, abs=1e-9)


def test_contenders_left_out_do_not_count():
    rng = np.random.default_rng(2)
    votes = rated(rng, dict(A=0.5, B=0.0, C=-0.5), 30)
    of_two = [vote for vote in votes if "C" not in (vote.a, vote.b)]
    assert strengths(votes, "AB", seed=0, resamples=9) == strengths(
        of_two, "AB", seed=0, resamples=9
    )


def test_intervals_hold_the_strengths_that_votes_were_drawn_with():
    logits = dict(A=0.9, B=0.1, C=-1.0)
    found = strengths(rated(np.random.default_rng(3), logits, 300), "ABC", seed=0)
    for name, truth in logits.items():
        assert covered(found[name], truth) and found[name].count == 300
        # a standard error of about 0.07
        assert 0.2 < found[name].high - found[name].low < 0.4


def test_intervals_of_strengths_cover_the_truth():
    logits, rng = dict(A=0.9, B=0.1, C=-1.0), np.random.default_rng(4)
    studies = [
        strengths(rated(rng, logits, 60), "ABC", seed=seed, resamples=100) for seed in range(50)
    ]
    # of 150, which are 0.018 a standard error or more; 100 resamples give rougher limits than 1000
    shares = np.mean([[covered(found[name], logits[name]) for name in "ABC"] for found in studies])
    assert shares >= 0.95 - 5 * 0.018


# Krippendorff, "Computing Krippendorff's alpha-reliability", 2011, section C: 4 observers, 12 units


def test_agreement_is_krippendorffs_published_value():
    rows = (
        (1, 2, 3, 3, 2, 1, 4, 1, 2, None, None, None),
        (1, 2, 3, 3, 2, 2, 4, 1, 2, 5, None, 3),
        (None, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, None),
        (1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, None),
    )
    votes = [vote for i, row in enumerate(rows) for vote in cast(row, rater=f"rater {i}")]
    assert agreement(votes) == pytest.approx(0.743, abs=5e-4)


def test_agreement_is_that_worked_by_hand():
    # 8 answers, 3 wins, 3 losses and 2 ties; 2 ordered pairs differ where 42 / 7 are expected
    votes = cast([1.0, 1.0, 0.0, 0.5], rater="ann") + cast([1.0, 0.0, 0.0, 0.5], rater="ben")
    assert agreement(votes) == pytest.approx(1 - 2 / 6)
    # other pairs, of which one alone has a vote, repeats and skips
    more = [vote(0, 0.0, "A", "C"), vote(0, 0.0, rater="ben", is_repeat=True)]
    skips = [vote(9, None, rater=rater) for rater in ("ann", "ben")]
    assert agreement(votes + more + skips) == agreement(votes)


def test_without_two_raters_or_two_answers_there_is_no_agreement_to_measure():
    assert agreement([]) is None and agreement(cast([1.0, 0.0])) is None
    assert agreement(cast([1.0] * 3) + cast([1.0] * 3, rater="ben")) is None


def test_raters_who_vote_by_chance_have_agreement_0_and_like_ones_1():
    rng = np.random.default_rng(5)
    scores = rng.choice([0.0, 0.5, 1.0], size=(3, 2000))
    votes = [vote for i, row in enumerate(scores) for vote in cast(row, rater=f"{i}")]
    # 3 pairs of raters on each of 2000 prompts; chance agrees on a third
    assert abs(agreement(votes)) < 5 * math.sqrt(1 / 2 / 6000)
    same = [vote for i in range(3) for vote in cast(scores[0], rater=f"{i}")]
    assert agreement(same) == 1.0


def test_self_agreement_is_the_share_of_repeats_answered_alike():
    firsts = cast([1.0, 0.5, 0.0, None, 1.0]) + cast([0.0], rater="ben")
    again = [1.0, 0.5, 1.0, 1.0, None]
    repeats = [vote(i, score, is_repeat=True) for i, score in enumerate(again)]
    # ben's first vote was another one than Ann's
    repeats.append(vote(0, 0.0, rater="ben", is_repeat=True))
    found = self_agreement(firsts + repeats, seed=0)
    # of Ann's 3 with two answers 2, and Ben's; both have the prompt 0
    assert found.value == 3 / 4 and found.count == 3
    assert self_agreement(firsts, seed=0) is None


@pytest.mark.parametrize(
    ("chosen", "won", "same"),
    [
        (lambda pair: "left", 0.5, 0.0),
        (lambda pair: "left" if pair.left == "new" else "right", 1.0, 1.0),
    ],
)
def test_who_votes_for_a_side_is_told_from_who_votes_for_a_contender(tmp_path, chosen, won, same):
    study = Study("study", ("old", "new"), tuple(Prompt(f"{i}") for i in range(20)), seed=0)
    with Votes(tmp_path / "votes.sqlite", study) as file:
        while pair := file.next_pair("ann"):
            file.vote("ann", pair.number, chosen(pair))
        votes = file.results()
    assert win_rate(votes, "new", "old", seed=0).value == won
    assert self_agreement(votes, seed=0).value == same


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda votes: win_rate(votes, "A", "D", seed=0), "there is no vote on 'A' and 'D'"),
        (lambda votes: prompts_won(votes, "A", "A"), "there is no vote on 'A' and 'A'"),
        (
            lambda votes: strengths(votes, ["C", "A", "B", "D"], seed=0),
            "A, B, D was compared with C by no vote, nor by way of others",
        ),
        (lambda votes: strengths([], ["A", "B"], seed=0), "B was compared with A by no vote"),
        (lambda votes: strengths(votes, ["A"], seed=0), r"contenders are \['A'\]; give 2 or more"),
        (lambda votes: strengths(votes, ["A", "B", "A"], seed=0), "2 or more, each once"),
    ],
)
def test_what_votes_do_not_tell_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call(cast([1.0, 0.0]))


@pytest.mark.parametrize(
    "call",
    [
        lambda votes: win_rate(votes, "A", "B", seed=0),
        lambda votes: prompts_won(votes, "A", "B"),
        lambda votes: strengths(votes, "AB", seed=0),
        lambda votes: agreement(votes),
        lambda votes: self_agreement(votes, seed=0),
    ],
)
def test_votes_of_people_and_models_are_not_mixed(call):
    with pytest.raises(ValueError, match="votes are of human and model; give those of one kind"):
        call(cast([1.0, 0.0]) + cast([1.0], kind="model"))

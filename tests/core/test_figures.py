import numpy as np
import pytest
import torch
from oracles.kernel_distances import A, B, drawn

from fewstep.evaluate.bootstrap import estimate
from fewstep.evaluate.figures import (
    Described,
    cmmd,
    diversity,
    fid,
    kid,
    mean,
    of_prompts,
    share,
    vendi,
)
from fewstep.evaluate.frechet import frechet_distance
from fewstep.evaluate.kernel_distance import biased, of_length_1, unbiased


def sets(count=60, seeds=1, spread=1.0, seed=0):
    """A teacher's and a student's pictures of the same prompts; spread is that of its seeds."""
    rng = np.random.default_rng(seed)
    prompts = np.repeat(np.arange(count), seeds)
    shared = 2 * rng.normal(size=(count, 3))[prompts]
    teacher, student = (drawn(of, count * seeds, rng).numpy() for of in (A, B))
    return [
        Described(torch.tensor(shared + own), tuple(prompts.tolist()))
        for own in (teacher, spread * student)
    ]


def test_each_figure_is_its_measure_of_the_two_sets():
    teacher, student = sets(seeds=2)
    a, b = teacher.features, student.features
    assert fid(teacher, student, seed=0).estimate.value == pytest.approx(frechet_distance(a, b))
    of = {"prompts_a": teacher.prompts, "prompts_b": student.prompts}
    expected = 1000 * unbiased(a, b, **of).value()
    assert kid(teacher, student, seed=0).estimate.value == pytest.approx(expected)
    expected = 1000 * biased(of_length_1(a), of_length_1(b)).value()
    assert cmmd(teacher, student, seed=0).estimate.value == pytest.approx(expected)


def test_intervals_of_a_shared_prompt_are_narrower_than_those_of_others():
    """Half of what differs between pictures is the prompt, which both sets have."""
    teacher, student = sets(count=120)
    other = student._replace(prompts=tuple(1000 + prompt for prompt in student.prompts))
    widths = []
    for figure in (fid(teacher, student, seed=0), fid(teacher, other, seed=0)):
        widths.append(figure.estimate.high - figure.estimate.low)
        assert figure.estimate.count == 120
    assert widths[0] < 0.7 * widths[1]


def test_a_prompt_is_drawn_with_all_its_seeds():
    teacher, student = sets(count=40, seeds=4)
    found = mean("any", torch.arange(40), seed=3)
    statistic = lambda weights: (weights @ torch.arange(40.0).double() / weights.sum()).item()
    assert found.estimate == estimate(statistic, [40], seed=3)
    assert kid(teacher, student, seed=0).estimate.count == 40


def test_sets_that_share_some_prompts_have_an_interval():
    teacher, student = sets(count=60)
    late = Described(student.features[20:], student.prompts[20:])
    found = kid(teacher, late, seed=0).estimate
    assert found.low < found.value < found.high and found.count == 20


def test_fid_of_few_says_so_and_of_many_does_not():
    few = fid(*sets(), seed=0)
    assert "FID of 60 pictures, fewer than 2048, is biased" in few.note
    assert "Compare KID or CMMD" in few.note
    assert fid(*sets(count=2048), seed=0).note == ""


@pytest.mark.parametrize("spread", [1.0, 0.5, 0.0])
def test_diversity_falls_as_the_seed_matters_less(spread):
    teacher, student = sets(count=400, seeds=2, spread=spread)
    # mean distances of two pictures of A and B, by 400 000 pairs
    rng = np.random.default_rng(1)
    far = [(drawn(of, 400_000, rng) - drawn(of, 400_000, rng)).norm(dim=1).mean() for of in (A, B)]
    found = diversity(teacher, student, seed=0).estimate
    expected = spread * (far[1] / far[0]).item()
    assert found.low <= expected <= found.high or found.value == expected == 0.0
    assert found.high - found.low <= 0.2


def test_vendi_of_equal_seeds_is_one_less_what_the_teacher_has():
    teacher, student = sets(count=30, seeds=3)
    same = student.features.reshape(30, 3, 3)[:, :1].expand(30, 3, 3).reshape(90, 3)
    found = vendi(teacher, student._replace(features=same), seed=0).estimate
    of_teacher = vendi(teacher, teacher, seed=0).estimate
    assert (of_teacher.value, of_teacher.low, of_teacher.high) == (0.0, 0.0, 0.0)
    assert -2.0 < found.value < -0.1 and found.high < 0.0


def test_pictures_of_a_prompt_count_as_one():
    found = of_prompts(torch.tensor([True, False, True, True]), [7, 7, 3, 7])
    torch.testing.assert_close(found, torch.tensor([1.0, 2 / 3], dtype=torch.float64))


def test_limits_of_a_share_are_shares():
    values = torch.tensor([1.0] * 28 + [0.5, 0.5])
    plain, bounded = (make("any", values, seed=0).estimate for make in (mean, share))
    assert plain.high > 1.0
    assert bounded == plain._replace(high=1.0)
    few = share("any", torch.ones(4), seed=0).estimate
    assert (few.value, few.low, few.high) == (1.0, None, None)


def test_seeds_of_other_prompts_are_no_diversity_to_compare():
    teacher, student = sets(seeds=2)
    other = Described(student.features[:-1], student.prompts[:-1])
    with pytest.raises(ValueError, match="not two or more seeds of the same prompts. Make both"):
        diversity(teacher, other, seed=0)

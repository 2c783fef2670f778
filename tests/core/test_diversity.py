import math

import numpy as np
import pytest
import torch

from fewstep.evaluate.diversity import by_prompt, mean_distance, vendi_score


def test_vendi_counts_the_different_pictures():
    one, other = torch.tensor([1.0, 0.0, 0.0]), torch.tensor([0.0, 2.0, 0.0])
    assert vendi_score(torch.stack([one] * 4)) == pytest.approx(1.0)
    assert vendi_score(torch.stack([one, other])) == pytest.approx(2.0)
    assert vendi_score(torch.eye(5)) == pytest.approx(5.0)
    # shares of 3/4 and 1/4: exp(entropy)
    shares = (0.75, 0.25)
    expected = math.exp(-sum(share * math.log(share) for share in shares))
    assert vendi_score(torch.stack([one, one, 7 * one, other])) == pytest.approx(expected)


def test_vendi_of_two_is_the_formula_of_their_angle():
    cosine = math.cos(0.7)
    pictures = torch.tensor([[1.0, 0.0], [math.cos(0.7), math.sin(0.7)]], dtype=torch.float64)
    shares = np.array([1 + cosine, 1 - cosine]) / 2
    assert vendi_score(pictures) == pytest.approx(math.exp(-(shares * np.log(shares)).sum()))


def test_mean_distance_is_over_all_pairs():
    pictures = torch.tensor([[0.0, 0.0], [3.0, 4.0], [0.0, 8.0]])
    assert mean_distance(pictures) == pytest.approx((5 + 8 + 5) / 3)


def test_pictures_are_taken_apart_by_prompt_and_lonely_ones_left_out():
    features = torch.arange(12.0).reshape(6, 2)
    found = by_prompt(features, [4, 2, 4, 9, 2, 2])
    assert [seeds[:, 0].tolist() for seeds in found] == [[2.0, 8.0, 10.0], [0.0, 4.0]]


@pytest.mark.parametrize(
    ("prompts", "message"),
    [([1, 2, 3], "no prompt has two pictures"), ([1, 1], "2 prompts for 3 pictures")],
)
def test_prompts_without_two_seeds_are_refused(prompts, message):
    with pytest.raises(ValueError, match=message):
        by_prompt(torch.zeros(3, 2), prompts)

import math

import pytest
import torch

from fewstep.evaluate.clip_score import clip_score


def test_it_is_a_hundred_times_the_cosine_and_never_below_0():
    pictures = torch.tensor([[2.0, 0.0], [1.0, 1.0], [1.0, 0.0], [0.0, 3.0]])
    prompts = torch.tensor([[1.0, 0.0], [0.5, 0.0], [-1.0, 0.1], [1.0, 0.0]])
    expected = [100.0, 100 / math.sqrt(2), 0.0, 0.0]
    assert clip_score(pictures, prompts).tolist() == pytest.approx(expected)


@pytest.mark.parametrize(
    ("shape", "message"),
    [((3, 2), "3 prompts for 4 pictures"), ((4, 3), "3 features a picture and the set to judge 2")],
)
def test_features_that_do_not_belong_together_are_refused(shape, message):
    with pytest.raises(ValueError, match=message):
        clip_score(torch.ones(4, 2), torch.ones(*shape))

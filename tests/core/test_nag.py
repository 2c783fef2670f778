import math

import pytest
import torch

from fewstep.guidance.nag import check_settings, guided_attention

POSITIVE = torch.tensor([[3.0, -1.0]], dtype=torch.float64)
NEGATIVE = torch.tensor([[1.0, 1.0]], dtype=torch.float64)


def tensors(*shape, dtype=torch.float64):
    generator = torch.Generator().manual_seed(0)
    return (torch.randn(*shape, generator=generator, dtype=dtype) for _ in range(2))


@pytest.mark.parametrize(
    ("scale", "tau", "alpha", "numbers"),
    [
        # [3, -1] + 1 * [2, -2] = [5, -3], of norm 8 where 4 is the prompt's: r = 2, below tau
        (1.0, 2.5, 1.0, [5.0, -3.0]),
        # half of it and half of [3, -1]
        (1.0, 2.5, 0.5, [4.0, -2.0]),
        (1.0, 2.5, 0.25, [3.5, -1.5]),
        # [3, -1] + 4 * [2, -2] = [11, -9], norm 20, r = 5: cut to a norm of 2.5 * 4
        (4.0, 2.5, 1.0, [5.5, -4.5]),
        (4.0, 2.5, 0.25, [3.625, -1.875]),
        (4.0, 1.0, 1.0, [2.2, -1.8]),
    ],
)
def test_numbers_worked_out_by_hand(scale, tau, alpha, numbers):
    expected = torch.tensor([numbers], dtype=torch.float64)
    torch.testing.assert_close(guided_attention(POSITIVE, NEGATIVE, scale, tau, alpha), expected)


def test_scale_5_of_programs_that_count_from_1_is_4_here():
    positive, negative = tensors(2, 5, 8)
    nag_scale, tau, alpha = 5.0, 2.5, 0.25
    guided = positive * nag_scale - negative * (nag_scale - 1)
    norms = [torch.norm(part, p=1, dim=-1, keepdim=True) for part in (guided, positive)]
    ratio = norms[0] / norms[1]
    expected = alpha * guided * torch.minimum(ratio, torch.tensor(tau)) / ratio
    expected += (1 - alpha) * positive
    torch.testing.assert_close(guided_attention(positive, negative, 4.0, tau, alpha), expected)


@pytest.mark.parametrize(("scale", "alpha"), [(0.0, 0.25), (4.0, 0.0)])
def test_scale_0_and_alpha_0_leave_attention_as_it_is(scale, alpha):
    positive, negative = tensors(2, 5, 8)
    assert guided_attention(positive, negative, scale, 2.5, alpha) is positive


def test_a_negative_prompt_like_the_prompt_changes_nothing():
    positive, _ = tensors(2, 5, 8)
    torch.testing.assert_close(guided_attention(positive, positive, 4.0, 2.5, 0.5), positive)


@pytest.mark.parametrize("tau", [1.0, 1.5, 4.0])
def test_the_norm_of_a_token_never_exceeds_tau_times_what_it_was(tau):
    positive, negative = tensors(3, 50, 16)
    norms = [
        part.abs().sum(-1)
        for part in (guided_attention(positive, negative, 30.0, tau, 1.0), positive)
    ]
    ratio = norms[0] / norms[1]
    assert ratio.max() <= tau * (1 + 1e-12)
    # every token by itself: at this scale all of them reach the limit
    torch.testing.assert_close(ratio, torch.full_like(ratio, tau))


def test_attention_that_gives_nothing_does_not_divide_by_zero():
    nothing = torch.zeros(1, 2, 4)
    assert torch.equal(guided_attention(nothing, nothing, 4.0, 2.5, 1.0), nothing)
    # where only the prompt gives nothing, tau times nothing is allowed
    assert torch.equal(guided_attention(nothing, nothing + 1, 4.0, 2.5, 1.0), nothing)


def test_half_precision_does_not_run_over():
    # 4096 channels of 30: a norm of 122,880, twice what float16 can hold
    positive = torch.full((1, 1, 4096), 30.0, dtype=torch.float16)
    negative = torch.full((1, 1, 4096), 10.0, dtype=torch.float16)
    guided = guided_attention(positive, negative, 4.0, 2.5, 1.0)
    assert guided.dtype == torch.float16
    # 30 + 4 * 20 = 110, cut to 2.5 * 30
    torch.testing.assert_close(guided, torch.full_like(positive, 75.0))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ((-1.0, 2.5, 0.25), "scale is -1; allowed is a finite number of 0 or more"),
        ((math.nan, 2.5, 0.25), "scale is nan; allowed"),
        ((math.inf, 2.5, 0.25), "scale is inf; allowed"),
        ((4.0, 0.9, 0.25), "tau is 0.9; allowed is a finite number of 1 or more"),
        ((4.0, math.nan, 0.25), "tau is nan; allowed"),
        ((4.0, 2.5, 1.1), "alpha is 1.1; allowed is 0 to 1"),
        ((4.0, 2.5, -0.1), "alpha is -0.1; allowed"),
        ((4.0, 2.5, math.nan), "alpha is nan; allowed"),
    ],
)
def test_numbers_that_are_no_guidance_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        check_settings(*settings)
    with pytest.raises(ValueError, match=message):
        guided_attention(POSITIVE, NEGATIVE, *settings)

import pytest
import torch
from oracles.gaussian import rectified_flow, ve

from fewstep.diffusion.process import FLOW, VE
from fewstep.distill.guidance import draw_scales, guidance_loss, guided

SCALES = [0.0, 0.5, 1.0, 2.0, 7.5]
# two Gaussians of one width, so that guidance between them is a Gaussian too
COND, UNCOND, STD = 0.8, -0.3, 0.5
WORLDS = pytest.mark.parametrize(
    ("process", "gaussian", "levels"),
    [
        (VE, ve, [0.03, 0.5, 1.6, 14.6]),
        (FLOW, rectified_flow, [0.02, 0.3, 0.7, 1.0]),
    ],
    ids=["VE", "FLOW"],
)


def randn(*shape, seed=0, dtype=torch.float64):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def column(levels):
    return torch.tensor(levels, dtype=torch.float64)[:, None]


def guided_mean(cfg_scale):
    return UNCOND + cfg_scale * (COND - UNCOND)


def predictions(gaussian, x, sigma):
    return gaussian(COND, STD).denoised(x, sigma), gaussian(UNCOND, STD).denoised(x, sigma)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("form", [float, lambda scale: torch.full((4, 1, 1), scale)])
def test_scale_one_is_cond_and_scale_zero_is_uncond_bit_for_bit(form, dtype):
    cond, uncond = randn(4, 3, 50, dtype=dtype), 9 * randn(4, 3, 50, seed=1, dtype=dtype)
    assert torch.equal(guided(cond, uncond, form(1.0)), cond)
    assert torch.equal(guided(cond, uncond, form(0.0)), uncond)


def test_guidance_by_hand():
    cond, uncond = torch.tensor([[3.0, -1.0]]), torch.tensor([[1.0, 1.0]])
    assert guided(cond, uncond, 2.0).tolist() == [[5.0, -3.0]]
    assert guided(cond, uncond, 0.25).tolist() == [[1.5, 0.5]]


@pytest.mark.parametrize("cfg_scale", SCALES)
def test_guidance_is_the_papers_sum_with_w_one_less_than_the_scale(cfg_scale):
    cond, uncond, w = randn(4, 2), randn(4, 2, seed=1), cfg_scale - 1
    torch.testing.assert_close(guided(cond, uncond, cfg_scale), (1 + w) * cond - w * uncond)


def test_every_sample_can_have_a_scale_of_its_own():
    cond, uncond = randn(5, 3, 2), randn(5, 3, 2, seed=1)
    together = guided(cond, uncond, torch.tensor(SCALES)[:, None, None])
    one_by_one = [guided(cond[i], uncond[i], scale) for i, scale in enumerate(SCALES)]
    torch.testing.assert_close(together, torch.stack(one_by_one))


@WORLDS
@pytest.mark.parametrize("cfg_scale", SCALES)
def test_guiding_gaussians_of_one_width_gives_the_gaussian_of_the_guided_mean(
    process, gaussian, levels, cfg_scale
):
    x, sigma = randn(len(levels), 6), column(levels)
    field = guided(*predictions(gaussian, x, sigma), cfg_scale)
    wanted = gaussian(guided_mean(cfg_scale), STD).denoised(x, sigma)
    torch.testing.assert_close(field, wanted, rtol=1e-12, atol=1e-12)


@WORLDS
@pytest.mark.parametrize("cfg_scale", SCALES)
def test_taking_the_scale_for_w_shows_as_a_whole_difference_of_the_means(
    process, gaussian, levels, cfg_scale
):
    x, sigma = randn(len(levels), 6), column(levels)
    cond, uncond = predictions(gaussian, x, sigma)
    wrong = cond + cfg_scale * (cond - uncond)
    shift = gaussian(guided_mean(cfg_scale) + COND - UNCOND, STD).denoised(x, sigma)
    torch.testing.assert_close(wrong, shift, rtol=1e-12, atol=1e-12)
    # where noise prevails, nearly all of that difference is in the field
    right = guided(cond, uncond, cfg_scale)
    torch.testing.assert_close(
        (wrong - right)[-1], torch.full((6,), COND - UNCOND).double(), rtol=2e-3, atol=0
    )


@WORLDS
@pytest.mark.parametrize("weighting", ["x0", "eps", "v", "truncated snr"])
def test_only_the_exact_guided_student_has_no_loss(process, gaussian, levels, weighting):
    x, sigma, cfg_scale = randn(len(levels), 6), column(levels), 3.0
    target = guided(*predictions(gaussian, x, sigma), cfg_scale)

    def loss(scale):
        student = gaussian(guided_mean(scale), STD).denoised
        options = {"process": process, "weighting": weighting}
        return guidance_loss(student, x, sigma, target, **options)

    assert loss(cfg_scale).max() < 1e-24
    # at FLOW's level 1 SNR is 0, and so is the weight of eps
    is_weighed = torch.tensor([weighting != "eps" or level < 1.0 for level in levels])
    for other in (1.0, cfg_scale - 1, cfg_scale + 1):
        assert (loss(other)[is_weighed] > 1e-7).all()


def test_the_loss_by_hand():
    x, sigma = torch.zeros(2, 1, 2), torch.tensor([0.5, 2.0])[:, None, None]
    target = torch.tensor([[[1.0, 3.0]], [[2.0, 2.0]]])
    student = lambda x, sigma: x + 1
    # SNR + 1 is 5 and 1.25, mean squares are (0 + 4) / 2 and (1 + 1) / 2
    loss = guidance_loss(student, x, sigma, target, process=VE, weighting="v")
    assert loss.tolist() == [10.0, 1.25]


def test_the_loss_is_computed_in_float32_from_half_precision():
    x, target = randn(2, 50, dtype=torch.float16), 50 * randn(2, 50, seed=1, dtype=torch.float16)
    sigma = torch.full((2, 1), 0.05)
    loss = guidance_loss(lambda x, sigma: x, x, sigma, target, process=VE, weighting="v")
    wanted = (401 * (x.double() - target.double()) ** 2).mean(1)
    torch.testing.assert_close(loss, wanted.float())


def test_the_student_alone_is_given_a_gradient():
    student, target = (torch.ones(3, 2, requires_grad=True) for _ in range(2))
    loss = guidance_loss(
        lambda x, sigma: 2 * student,
        torch.zeros(3, 2),
        torch.ones(3, 1),
        target,
        process=VE,
        weighting="x0",
    )
    loss.sum().backward()
    # d/ds of the mean over two elements of (2 s - t)^2
    assert student.grad.tolist() == [[2.0, 2.0]] * 3
    assert target.grad is None


def test_scales_are_spread_evenly_over_the_range():
    n = 20_000
    scales = draw_scales(2.0, 14.0, n, torch.Generator().manual_seed(0))
    assert scales.shape == (n,)
    assert 2.0 <= scales.min() < 2.01 and 13.99 < scales.max() <= 14.0
    # a uniform variable's standard deviation is its range over sqrt(12)
    shares = torch.histc(scales, bins=4, min=2.0, max=14.0) / n
    assert (scales.mean() - 8.0).abs() < 5 * (12 / 12**0.5) / n**0.5
    assert ((shares - 0.25).abs() < 5 * (0.25 * 0.75 / n) ** 0.5).all()


def test_a_range_of_no_width_is_a_fixed_scale():
    scales = draw_scales(7.3, 7.3, 5, torch.Generator().manual_seed(0))
    assert torch.equal(scales, torch.full((5,), 7.3))


def test_scales_come_from_the_generator_and_from_nowhere_else():
    before = torch.get_rng_state()
    first, again, other = (
        draw_scales(1.0, 4.0, 8, torch.Generator().manual_seed(seed)) for seed in (3, 3, 4)
    )
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    ("low", "high"), [(5.0, 2.0), (-1.0, 2.0), (1.0, float("inf")), (float("nan"), 2.0)]
)
def test_a_range_that_is_none_is_refused(low, high):
    with pytest.raises(ValueError, match=f"drawn from {low:g} to {high:g}; allowed is 0 or more"):
        draw_scales(low, high, 4, torch.Generator())

import pytest
import torch
from oracles import gaussian

from fewstep.diffusion.process import FLOW, VE
from fewstep.distill.fake_score import fake_score_loss, raising
from fewstep.distill.matching import Draw

GAUSSIAN = {VE: gaussian.ve, FLOW: gaussian.rectified_flow}
MEAN, STD = 0.8, 0.5
# a segment of the student's way, and a level inside it
TOP, LANDING, INSIDE = 0.95, 0.4, 0.6

either_process = pytest.mark.parametrize("process", [VE, FLOW], ids=lambda process: process.name)


def randn(seed, *shape):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def draw_of(noise, sigmas):
    return Draw(noise, torch.tensor(sigmas, dtype=torch.float64).view(-1, 1))


@pytest.mark.parametrize(
    ("weighting", "largest_weight", "wanted"),
    [
        # FLOW at sigma 0.5 and 0.25 has SNR 1 and 9
        ("eps", 5.0, (1.0, 5.0)),
        ("eps", float("inf"), (1.0, 9.0)),
        ("v", float("inf"), (2.0, 10.0)),
        ("x0", 5.0, (1.0, 1.0)),
    ],
)
def test_the_error_of_clean_samples_is_weighted_up_to_the_largest_weight(
    weighting, largest_weight, wanted
):
    x, draw = torch.ones(2, 2), draw_of(torch.zeros(2, 2), [0.5, 0.25])
    off_by_three = lambda x, sigma: torch.full_like(x, 4.0)
    found = fake_score_loss(
        off_by_three, x, draw, process=FLOW, weighting=weighting, largest_weight=largest_weight
    )
    torch.testing.assert_close(found, 9.0 * torch.tensor(wanted, dtype=torch.float64))


def test_the_weight_is_that_of_min_snr_5_unless_said_otherwise():
    x, draw = torch.zeros(2, 1), draw_of(torch.zeros(2, 1), [0.5, 0.25])
    off_by_one = lambda x, sigma: torch.ones_like(x)
    found = fake_score_loss(off_by_one, x, draw, process=FLOW)
    assert found.tolist() == [1.0, 5.0]


@either_process
def test_the_network_is_shown_clean_samples_noised_to_the_level(process):
    x, draw = randn(0, 3, 4), draw_of(randn(1, 3, 4), [0.2, 0.5, 0.9])
    shown = {}

    def spy(x, sigma):
        shown.update(x=x, sigma=sigma)
        return torch.zeros_like(x)

    fake_score_loss(spy, x, draw, process=process)
    alpha = 1.0 if process is VE else 1.0 - draw.sigma
    torch.testing.assert_close(shown["x"], alpha * x + draw.sigma * draw.noise)
    assert shown["sigma"] is draw.sigma


@either_process
def test_raising_by_a_tensor_is_the_processs_renoise(process):
    x, noise = randn(0, 2, 3), randn(1, 2, 3)
    landing, sigma = (
        torch.tensor(v, dtype=torch.float64) for v in ([[0.2], [0.5]], [[0.4], [0.9]])
    )
    ratio, fresh = raising(landing, sigma, process)
    for i in range(2):
        wanted = process.renoise(x[i], noise[i], landing[i].item(), sigma[i].item())
        torch.testing.assert_close((ratio * x + fresh * noise)[i], wanted)


def slopes(process, wanted=None, count=100_000):
    """d loss / d (a, b) of the ideal denoiser plus a + b x, for each of many exact samples.

    The samples are those of a perfect student, where the flow takes noise of level TOP to LANDING.
    `wanted` puts another target in the place of the loss's own.
    """
    ideal = GAUSSIAN[process](MEAN, STD)
    start = ideal.alpha(TOP) * MEAN + ideal.variance(TOP) ** 0.5 * randn(2, count, 1)
    x = ideal.flow(start, TOP, LANDING)
    draw = draw_of(randn(3, count, 1), [INSIDE] * count)
    change = torch.zeros(count, 2, dtype=torch.float64, requires_grad=True)

    def fake_score(x, sigma):
        return ideal.denoised(x, INSIDE) + change[:, :1] + change[:, 1:] * x

    if wanted is None:
        loss = fake_score_loss(fake_score, x, draw, process=process, landing=LANDING)
    else:
        ratio, fresh = raising(LANDING, draw.sigma, process)
        error = fake_score(ratio * x + fresh * draw.noise, draw.sigma) - wanted(ideal, start)
        loss = error.square().flatten()
    loss.sum().backward()
    return change.grad


def standard_errors(slopes):
    return slopes.mean(dim=0) / (slopes.std(dim=0) / len(slopes) ** 0.5)


@either_process
def test_what_is_learned_of_samples_above_clean_is_their_ideal_denoiser(process):
    assert (standard_errors(slopes(process)).abs() < 5).all()


@either_process
def test_the_students_x0_estimates_would_teach_something_else(process):
    # what a perfect student says at TOP, the target in TDM's own code: not independent of the noise
    estimates = slopes(process, wanted=lambda ideal, start: ideal.jump(start, TOP, LANDING))
    assert standard_errors(estimates)[1].abs() > 50


def test_just_above_the_landing_the_loss_stays_small_by_hand():
    # ratio 1, what is wanted is off by noise / fresh; (fresh / sigma)^2 takes that away
    x, noise = torch.full((2, 1), 3.0), torch.ones(2, 1)
    draw = Draw(noise, torch.tensor([[1.0001], [2.0]], dtype=torch.float64))
    clean = lambda _, sigma: x
    found = fake_score_loss(clean, x, draw, process=VE, landing=1.0, weighting="x0")
    torch.testing.assert_close(
        found, torch.tensor([1 / 1.0001**2, 0.25], dtype=torch.float64), rtol=1e-9, atol=0
    )


def test_each_sample_may_have_a_landing_of_its_own():
    landing = torch.tensor([[0.0], [0.4]], dtype=torch.float64)
    x, draw = randn(0, 2, 3), draw_of(randn(1, 2, 3), [0.5, 0.6])
    network = lambda x, sigma: torch.sin(x) * sigma
    together = fake_score_loss(network, x, draw, process=FLOW, landing=landing)
    for i in range(2):
        one = Draw(draw.noise[i : i + 1], draw.sigma[i : i + 1])
        alone = fake_score_loss(network, x[i : i + 1], one, process=FLOW, landing=landing[i].item())
        torch.testing.assert_close(together[i : i + 1], alone)


def test_the_student_is_given_no_gradient():
    student, fake = (torch.ones((), dtype=torch.float64, requires_grad=True) for _ in range(2))
    draw = draw_of(randn(1, 2, 3), [0.5, 0.6])
    network = lambda x, sigma: fake * torch.sin(x)
    fake_score_loss(
        network, student * randn(0, 2, 3), draw, process=FLOW, landing=0.25
    ).sum().backward()
    assert fake.grad.abs() > 0 and student.grad is None


def test_an_unknown_weighting_is_refused():
    draw = draw_of(torch.zeros(1, 1), [0.5])
    with pytest.raises(ValueError, match="weight is 'snr'; allowed is one of x0, eps, v"):
        fake_score_loss(lambda x, sigma: x, torch.zeros(1, 1), draw, process=VE, weighting="snr")

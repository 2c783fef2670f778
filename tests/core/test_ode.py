import math

import pytest
import torch
from oracles.gaussian import rectified_flow, ve
from oracles.network import eps_of, randn

from fewstep.diffusion.process import FLOW, VE
from fewstep.diffusion.sigmas import from_timesteps, sigma_table
from fewstep.diffusion.timesteps import trailing
from fewstep.samplers.ode import sample_dpmpp_2m, sample_euler, sample_heun

COUNTS = [*range(1, 11), 12, 16, 25, 50]
# float32: the tables themselves differ by 3e-6, diffusers sums its in float32
TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-10}
SOLVERS = [sample_euler, sample_heun, sample_dpmpp_2m]


# numpy reads a tensor inside diffusers
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("steps", COUNTS)
def test_euler_equals_the_euler_discrete_scheduler_with_trailing_spacing(steps, dtype):
    reference = pytest.importorskip("oracles.reference")
    theirs = reference.euler_trailing(steps, dtype)
    timesteps = trailing(steps)
    assert timesteps == theirs.timesteps
    sigmas = from_timesteps(timesteps, sigma_table())
    timestep_of = dict(zip(sigmas, timesteps, strict=False))

    def denoise(x, sigma):
        return x - sigma * eps_of(x / (sigma**2 + 1.0) ** 0.5, timestep_of[sigma])

    xs = []
    x = sample_euler(
        denoise,
        randn(0, dtype) * sigmas[0],
        sigmas,
        process=VE,
        on_step=lambda i, x, denoised: xs.append(x),
    )
    tolerance = TOLERANCE[dtype]
    torch.testing.assert_close([*xs, x], theirs.xs, rtol=tolerance, atol=tolerance)


def levels_even_in(spacing, high, low, steps):
    """Levels evenly spaced in log sigma, in log((1 - sigma) / sigma), or in sigma."""
    to, back = {
        "log": (math.log, math.exp),
        "logit": (lambda s: math.log(s / (1 - s)), lambda u: 1 / (1 + math.exp(-u))),
        "sigma": (lambda s: s, lambda u: u),
    }[spacing]
    a, b = to(high), to(low)
    inner = [back(a + (b - a) * i / steps) for i in range(1, steps)]
    return [high, *inner, low]


@pytest.mark.parametrize(
    ("process", "data", "spacing", "high", "low"),
    [
        (VE, ve(0.3, 0.8), "log", 14.6, 0.03),
        (FLOW, rectified_flow(0.3, 0.8), "logit", 0.98, 0.02),
        (FLOW, rectified_flow(0.3, 0.8), "sigma", 0.9, 0.1),
    ],
)
@pytest.mark.parametrize(("solver", "order"), list(zip(SOLVERS, (1, 2, 2), strict=True)))
def test_error_against_the_exact_flow_falls_with_the_order_of_the_solver(
    solver, order, process, data, spacing, high, low
):
    x = data.alpha(high) * data.mean + torch.linspace(-2.0, 2.0, 9, dtype=torch.float64)[None]
    errors = []
    for steps in (128, 256, 512):
        sigmas = levels_even_in(spacing, high, low, steps)
        got = solver(data.denoised, x, sigmas, process=process)
        errors.append((got - data.flow(x, high, low)).abs().max().item())
    slopes = [math.log2(a / b) for a, b in zip(errors, errors[1:], strict=False)]
    assert all(abs(slope - order) < 0.1 for slope in slopes), slopes


# measured 1.04e-2, 2.7e-5 and 2.1e-4 at 200 steps
@pytest.mark.parametrize(
    ("solver", "tolerance"), list(zip(SOLVERS, (2e-2, 1e-4, 1e-3), strict=True))
)
def test_a_whole_flow_run_from_pure_noise_to_clean_data_reaches_the_exact_flow(solver, tolerance):
    data = rectified_flow(0.3, 0.8)
    x = torch.linspace(-2.0, 2.0, 9, dtype=torch.float64)[None]
    sigmas = [1.0 - i / 200 for i in range(201)]
    got = solver(data.denoised, x, sigmas, process=FLOW)
    torch.testing.assert_close(got, data.flow(x, 1.0, 0.0), rtol=0.0, atol=tolerance)


@pytest.mark.parametrize("process", [VE, FLOW], ids=lambda process: process.name)
def test_euler_is_bit_identical_to_the_host(process):
    for seed in range(100):
        generator = torch.Generator().manual_seed(seed)
        high = 1.0 if process is FLOW else 14.6146
        inner = torch.rand(1 + seed % 12, generator=generator) ** 3 * high
        levels = [torch.tensor([high]), inner.sort(descending=True).values, torch.zeros(1)]
        sigmas = torch.cat(levels)

        def denoise(x, sigma):
            return torch.tanh(x) * 0.9 + 0.1 * sigma

        theirs = x = randn(seed, torch.float32)
        for i in range(len(sigmas) - 1):
            # the host's update: levels are float32 tensors and so is their difference
            d = (theirs - denoise(theirs, float(sigmas[i]))) / sigmas[i]
            theirs = theirs + d * (sigmas[i + 1] - sigmas[i])
        assert torch.equal(sample_euler(denoise, x, sigmas.tolist(), process=process), theirs)


@pytest.mark.gpu
def test_euler_is_bit_identical_to_the_host_on_cuda():
    sigmas = torch.tensor([14.6146, 4.0817, 1.6129, 0.6932, 0.0], device="cuda")
    theirs = x = randn(0, torch.float32).cuda()
    for i in range(len(sigmas) - 1):
        theirs = theirs + (theirs - torch.tanh(theirs)) / sigmas[i] * (sigmas[i + 1] - sigmas[i])
    ours = sample_euler(lambda x, sigma: torch.tanh(x), x, sigmas.tolist(), process=VE)
    assert torch.equal(ours, theirs)


def test_one_textbook_step_of_each_solver():
    def denoise(x, sigma):
        return 0.5 * x

    x = torch.tensor([8.0], dtype=torch.float64)
    # slope (8 - 4) / 4 = 1, step -2
    assert sample_euler(denoise, x, [4.0, 2.0], process=VE).item() == 6.0
    # slope at 6 is (6 - 3) / 2 = 1.5, so 8 - 2 * 1.25
    assert sample_heun(denoise, x, [4.0, 2.0], process=VE).item() == 5.5
    # one step is x0 + (sigma_next / sigma) (x - x0), as Euler
    assert sample_dpmpp_2m(denoise, x, [4.0, 2.0], process=VE).item() == pytest.approx(6.0)
    # the second has h = r h_last, r = 1: target 3 - 0.5 * (4 - 3) = 2.5, x = 6 / 2 + 2.5 / 2
    got = sample_dpmpp_2m(denoise, x, [4.0, 2.0, 1.0], process=VE)
    assert got.item() == pytest.approx(4.25)
    # the second with h = 2 h_last: target 3 - 1 * (4 - 3) = 2, x = 6 / 4 + 2 * 3 / 4
    got = sample_dpmpp_2m(denoise, x, [4.0, 2.0, 0.5], process=VE)
    assert got.item() == pytest.approx(3.0)
    # flow from 0.5: alpha / sigma 1 -> 4 -> 16, r = 1; x = 0.4 * 8 + 0.6 * 4 = 5.6, target
    # 2.8 - 0.5 * (4 - 2.8) = 2.2; 0.2 -> 1/17: x = (5/17) * 5.6 + (12/17) * 2.2
    got = sample_dpmpp_2m(denoise, x, [0.5, 0.2, 1 / 17], process=FLOW)
    assert got.item() == pytest.approx((5 * 5.6 + 12 * 2.2) / 17)


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("process", [VE, FLOW], ids=lambda process: process.name)
def test_the_last_step_to_zero_lands_on_the_estimate(solver, process):
    x = randn(0, torch.float64)
    got = solver(lambda x, sigma: torch.tanh(x), x, [1.0, 0.0], process=process)
    torch.testing.assert_close(got, torch.tanh(x))


@pytest.mark.parametrize(("solver", "passes"), list(zip(SOLVERS, (4, 7, 4), strict=True)))
def test_network_passes_are_counted_and_every_step_is_reported_once(solver, passes):
    calls, reported = [], []

    def denoise(x, sigma):
        calls.append(sigma)
        return 0.5 * x

    def on_step(i, x, denoised):
        assert torch.equal(denoised, 0.5 * x)
        reported.append(i)

    x = torch.ones(1, 1)
    solver(denoise, x, [1.0, 0.75, 0.5, 0.25, 0.0], process=FLOW, on_step=on_step)
    assert len(calls) == passes
    assert reported == [0, 1, 2, 3]
    assert torch.equal(x, torch.ones(1, 1))


@pytest.mark.parametrize("solver", SOLVERS)
def test_one_level_is_no_step(solver):
    x = torch.ones(1, 1)
    assert torch.equal(solver(None, x, [1.0], process=VE), x)


@pytest.mark.parametrize("solver", SOLVERS)
def test_bad_levels_and_latents_are_refused_before_the_first_pass(solver):
    with pytest.raises(ValueError, match="sigmas is empty"):
        solver(None, torch.ones(1), [], process=VE)
    with pytest.raises(ValueError, match=r"sigmas\[0\] is 2; allowed is a number from 0 to 1"):
        solver(None, torch.ones(1), [2.0, 0.0], process=FLOW)
    with pytest.raises(ValueError, match="latent_image has 1 of 1 values"):
        solver(None, torch.tensor([float("nan")]), [1.0, 0.0], process=VE)

import pytest
import torch
from oracles.gaussian import rectified_flow, ve
from oracles.network import ALPHA_BARS, SHAPE, SIGMAS, eps_of, randn

from fewstep.diffusion.boundary import consistency
from fewstep.diffusion.process import FLOW, VE
from fewstep.diffusion.sigmas import from_timesteps, sigma_table
from fewstep.diffusion.timesteps import lcm_grid, trailing
from fewstep.samplers.landings import ddim, lcm, tcd
from fewstep.samplers.ode import sample_euler
from fewstep.samplers.trajectory import sample_trajectory

COUNTS = [*range(1, 11), 12, 16, 25, 50]
# float32: the tables themselves differ by 3e-6, diffusers sums its in float32
TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-10}


def noise_source(dtype):
    """The same noise for us and for the oracle: a fresh picture at every call, by count."""
    calls = iter(range(1, 1000))
    return lambda: randn(next(calls), dtype)


def no_noise():
    raise AssertionError("a deterministic path drew noise")


def vp_alpha(timestep):
    return float(ALPHA_BARS[timestep]) ** 0.5


def run(sigmas, timesteps, landings, dtype, is_lcm, noise):
    """Our trajectory over the fake network, rescaled to VP: x before each step, then the result."""
    timestep_of = dict(zip(sigmas, timesteps, strict=False))
    xs = []

    def denoise(x, sigma):
        timestep = timestep_of[sigma]
        x_vp = x * vp_alpha(timestep)
        x0 = x - sigma * eps_of(x_vp, timestep)
        return consistency(x_vp, x0, timestep) if is_lcm else x0

    def record(i, x, denoised):
        assert i == len(xs)
        xs.append(x * vp_alpha(timesteps[i]))

    x = randn(0, dtype) / vp_alpha(timesteps[0])
    x = sample_trajectory(denoise, x, sigmas, landings, process=VE, noise=noise, on_step=record)
    # a run that ends at timestep 0 instead of clean data has its scale
    return [*xs, x * vp_alpha(0) if sigmas[-1] else x]


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("steps", COUNTS)
def test_landing_on_clean_data_equals_the_lcm_scheduler(steps, dtype):
    reference = pytest.importorskip("oracles.reference")
    theirs = reference.lcm(steps, dtype, noise_source(dtype))
    timesteps = lcm_grid(steps)
    assert timesteps == theirs.timesteps
    sigmas = from_timesteps(timesteps, sigma_table())
    ours = run(sigmas, timesteps, lcm(sigmas), dtype, True, noise_source(dtype))
    tolerance = TOLERANCE[dtype]
    torch.testing.assert_close(ours, theirs.xs, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("eta", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("steps", COUNTS)
def test_landing_between_equals_the_tcd_scheduler(steps, eta, dtype):
    reference = pytest.importorskip("oracles.reference")
    theirs = reference.tcd(steps, dtype, noise_source(dtype), eta)
    timesteps = lcm_grid(steps)
    assert timesteps == theirs.timesteps
    table = sigma_table()
    # the reference ends at timestep 0, level 0.029, and not at clean data
    sigmas = [*from_timesteps(timesteps, table)[:-1], table[0]]
    noise = noise_source(dtype) if eta else no_noise
    ours = run(sigmas, timesteps, tcd(sigmas, eta, table), dtype, False, noise)
    tolerance = TOLERANCE[dtype]
    torch.testing.assert_close(ours, theirs.xs, rtol=tolerance, atol=tolerance)


def ddim_both_ways(steps):
    """A perfect student of the trailing grid: one hop takes it along the exact flow."""
    reference = pytest.importorskip("oracles.reference")
    data = ve(0.4, 0.7)
    timesteps = trailing(steps)
    sigmas = from_timesteps(timesteps, SIGMAS.tolist())
    next_of = dict(zip(sigmas, sigmas[1:], strict=False))

    def denoise(x, sigma):
        return data.jump(x, sigma, next_of[sigma])

    def eps(x_vp, timestep):
        x, sigma = x_vp / vp_alpha(int(timestep)), float(SIGMAS[int(timestep)])
        return (x - denoise(x, sigma)) / sigma

    x_vp = randn(0, torch.float64)
    theirs = reference.ddim_trailing(steps, torch.float64, eps, x_vp)
    assert theirs.timesteps == timesteps
    x = x_vp / vp_alpha(999)
    ours = sample_trajectory(denoise, x, sigmas, ddim(sigmas), process=VE, noise=no_noise)
    return ours, theirs.xs[-1], data.flow(x, sigmas[0], 0.0)


@pytest.mark.parametrize("steps", [1, 2, 4, 5, 8, 10, 20, 25])
def test_landing_on_the_next_level_equals_ddim_where_it_stays_on_its_grid(steps):
    ours, theirs, exact = ddim_both_ways(steps)
    torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(ours, exact, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("steps", [3, 6, 7])
def test_landing_on_the_next_level_follows_the_flow_where_ddim_leaves_its_grid(steps):
    # DDIMScheduler steps to t - 1000 // steps, which at 3, 6 and 7 is not its next timestep
    ours, theirs, exact = ddim_both_ways(steps)
    torch.testing.assert_close(ours, exact, rtol=1e-10, atol=1e-10)
    assert (theirs - exact).abs().max() > 5e-4


@pytest.mark.parametrize(
    ("process", "data", "high", "low"),
    [(VE, ve(0.3, 0.8), 14.6, 0.05), (FLOW, rectified_flow(0.3, 0.8), 1.0, 0.02)],
)
def test_deterministic_landing_converges_to_the_exact_flow_at_first_order(process, data, high, low):
    x = torch.linspace(-2.0, 2.0, 9, dtype=torch.float64)[None] * process.std(high)
    errors = []
    for steps in (128, 256, 512):
        sigmas = [high * (low / high) ** (i / steps) for i in range(steps + 1)]
        got = sample_trajectory(
            data.denoised, x, sigmas, ddim(sigmas), process=process, noise=no_noise
        )
        errors.append((got - data.flow(x, high, low)).abs().max())
    for coarse, fine in zip(errors, errors[1:], strict=False):
        assert 0.95 < torch.log2(coarse / fine) < 1.05


VE_SIGMAS = [14.6, 4.1, 1.6, 0.7, 0.0]
FLOW_SIGMAS = [1.0, 0.9, 0.7, 0.3, 0.0]


@pytest.mark.parametrize(
    ("process", "data", "sigmas", "landings"),
    [
        (VE, ve(0.4, 0.7), VE_SIGMAS, lcm(VE_SIGMAS)),
        (VE, ve(0.4, 0.7), VE_SIGMAS, tcd(VE_SIGMAS, 0.3, SIGMAS.tolist())),
        (VE, ve(0.4, 0.7), VE_SIGMAS, tcd(VE_SIGMAS, 1.0, SIGMAS.tolist())),
        (VE, ve(0.4, 0.7), VE_SIGMAS[:-1], tcd(VE_SIGMAS[:-1], 0.3, SIGMAS.tolist())),
        (FLOW, rectified_flow(0.4, 0.7), FLOW_SIGMAS, lcm(FLOW_SIGMAS)),
        (FLOW, rectified_flow(0.4, 0.7), FLOW_SIGMAS, tcd(FLOW_SIGMAS, 0.3)),
        (FLOW, rectified_flow(0.4, 0.7), FLOW_SIGMAS[:-1], tcd(FLOW_SIGMAS[:-1], 0.3)),
    ],
)
def test_a_perfect_student_keeps_mean_and_std_of_the_data(process, data, sigmas, landings):
    n = 200_000
    landing_of = dict(zip(sigmas, landings, strict=False))
    draws = iter(range(1, 100))

    def noise():
        return randn(next(draws), torch.float64, (n,))

    def denoise(x, sigma):
        return data.jump(x, sigma, landing_of[sigma])

    start = data.alpha(sigmas[0]) * data.mean
    x = start + data.variance(sigmas[0]) ** 0.5 * randn(0, torch.float64, (n,))
    got = sample_trajectory(denoise, x, sigmas, landings, process=process, noise=noise)
    mean, std = data.alpha(sigmas[-1]) * data.mean, data.variance(sigmas[-1]) ** 0.5
    # 5 standard errors at n = 200 000
    assert abs(got.mean().item() - mean) < 5.0 * std / n**0.5
    assert abs(got.std().item() - std) < 5.0 * std / (2 * n) ** 0.5


def host_lcm(denoise, x, sigmas, noise, is_flow):
    """The update of ComfyUI's `lcm`, on float32 tensors as the host holds its levels."""
    for i in range(len(sigmas) - 1):
        x = denoise(x, float(sigmas[i]))
        sigma = sigmas[i + 1]
        if sigma > 0:
            kept = (1.0 - sigma) * x if is_flow else x
            x = sigma * noise() + kept
    return x


@pytest.mark.parametrize("process", [VE, FLOW], ids=lambda process: process.name)
def test_landing_on_clean_data_is_bit_identical_to_the_host(process):
    for seed in range(100):
        sigmas = random_levels(seed, process)
        x = randn(seed, torch.float32)

        def denoise(x, sigma):
            return torch.tanh(x) * 0.9 + 0.1 * sigma

        theirs = host_lcm(denoise, x, sigmas, noise_source(torch.float32), process is FLOW)
        ours = sample_trajectory(
            denoise,
            x,
            sigmas.tolist(),
            lcm(sigmas),
            process=process,
            noise=noise_source(torch.float32),
        )
        assert torch.equal(ours, theirs)


def random_levels(seed, process):
    generator = torch.Generator().manual_seed(seed)
    high = 1.0 if process is FLOW else 14.6146
    inner = torch.rand(1 + seed % 12, generator=generator) ** 3 * high
    return torch.cat([torch.tensor([high]), inner.sort(descending=True).values, torch.zeros(1)])


def test_one_textbook_step_of_each_kind():
    def denoise(x, sigma):
        return torch.full_like(x, 2.0)

    def noise():
        return torch.ones(1)

    x = torch.tensor([10.0])
    # noise in x is (10 - 2) / 4 = 2; landed at 3 x is 2 + 3 * 2 = 8; sqrt(5^2 - 3^2) does not fit
    # below 4, sqrt(3.4^2 - 3^2) = 1.6 does
    got = sample_trajectory(denoise, x, [4.0, 3.4], [3.0], process=VE, noise=noise)
    torch.testing.assert_close(got, torch.tensor([9.6]))
    # noise in x is (10 - 0.2 * 2) / 0.8 = 12; landed at 0.2 x is 1.6 + 2.4 = 4; alpha halves it
    got = sample_trajectory(denoise, x, [0.8, 0.6], [0.2], process=FLOW, noise=noise)
    torch.testing.assert_close(got, torch.tensor([2.0 + 0.35**0.5]))


def lukewarm(x, sigma):
    return torch.tanh(x) * sigma


def test_landing_on_the_next_level_is_an_euler_step():
    sigmas = [1.0, 0.7, 0.2, 0.0]
    x = randn(0, torch.float64)
    for process in (VE, FLOW):
        ours = sample_trajectory(lukewarm, x, sigmas, ddim(sigmas), process=process, noise=no_noise)
        euler = sample_euler(lukewarm, x, sigmas, process=process)
        torch.testing.assert_close(ours, euler)


def test_the_latent_handed_in_is_left_alone_and_one_level_is_no_step():
    x = randn(0, torch.float32)
    before = x.clone()
    sample_trajectory(lambda x, sigma: x * 0.5, x, [2.0, 0.0], [0.0], process=VE, noise=no_noise)
    assert torch.equal(x, before)
    got = sample_trajectory(None, x, [2.0], [], process=VE, noise=no_noise)
    assert torch.equal(got, before)


def fails_if_called(x, sigma):
    raise AssertionError("the network was called")


@pytest.mark.parametrize(
    ("landings", "match"),
    [
        ([0.0], "landings has 1 levels for 2 steps; it needs one for each step"),
        ([1.5, 0.0], r"landings\[0\] is 1.5; allowed is 0 to sigmas\[1\], 1"),
        ([0.0, 0.1], r"landings\[1\] is 0.1; allowed is 0 to sigmas\[2\], 0"),
        ([-0.1, 0.0], r"landings\[0\] is -0.1; allowed"),
        ([float("nan"), 0.0], r"landings\[0\] is nan; allowed"),
    ],
)
def test_landings_that_do_not_fit_are_refused_before_the_first_pass(landings, match):
    x = torch.zeros(SHAPE)
    with pytest.raises(ValueError, match=match):
        sample_trajectory(fails_if_called, x, [2.0, 1.0, 0.0], landings, process=VE, noise=no_noise)


def test_bad_levels_and_latents_are_refused_before_the_first_pass():
    with pytest.raises(ValueError, match="the levels must fall"):
        sample_trajectory(
            fails_if_called, torch.zeros(1), [1.0, 2.0], [0.0], process=VE, noise=no_noise
        )
    with pytest.raises(ValueError, match="latent_image has 1 of 1 values"):
        x = torch.tensor([float("nan")])
        sample_trajectory(fails_if_called, x, [1.0, 0.0], [0.0], process=VE, noise=no_noise)

import torch

from fewstep.cache.policy import FIXED, WHOLE_STEP, Policy
from fewstep.cache.reuse import Reuse
from fewstep.cache.whole_step import WholeStep
from fewstep.diffusion.process import VE
from fewstep.samplers.ode import sample_euler

X = torch.tensor([[1.0, -2.0], [0.5, 4.0]], dtype=torch.float64)
SIGMAS = [8.0, 6.0, 5.0, 3.0, 2.0, 1.0, 0.0]


def sampled(policy, compute):
    """Euler's path of a network that may be left out, and at which levels it was computed."""
    step, computed = WholeStep(Reuse(policy, 0)), []

    def denoise(x, sigma):
        step.reuse.begin(sigma)

        def made():
            computed.append(sigma)
            return compute(x, sigma)

        return step.denoised(made, x, sigma, seen=x, conditions=["both"])

    return sample_euler(denoise, X, SIGMAS, process=VE), computed, step.reuse.tally


def bent(x, sigma):
    return x / (1 + sigma**2)


def test_a_straight_path_is_continued_exactly():
    slope = torch.tensor([[0.25, -0.5], [1.0, 0.0]], dtype=torch.float64)
    found, computed, tally = sampled(Policy(FIXED, 0.0, 2), lambda x, sigma: x - sigma * slope)
    torch.testing.assert_close(found, X - SIGMAS[0] * slope)
    # two steps are left out behind each that is computed
    assert computed == [8.0, 3.0] and (tally.computed, tally.reused) == (2, 4)


def test_a_bent_path_keeps_the_slope_of_the_last_step_that_was_computed():
    found, computed, _ = sampled(Policy(FIXED, 0.0, 1), bent)
    assert computed == [8.0, 5.0, 2.0]
    x, slope = X, None
    for sigma, sigma_next in zip(SIGMAS, SIGMAS[1:], strict=False):
        if sigma in computed:
            slope = (x - bent(x, sigma)) / sigma
        x = x + (sigma_next - sigma) * slope
    torch.testing.assert_close(found, x)


def test_a_threshold_of_0_computes_every_step_and_changes_nothing():
    found, computed, _ = sampled(Policy(WHOLE_STEP, 0.0, 3), bent)
    assert computed == SIGMAS[:-1]
    torch.testing.assert_close(found, sample_euler(bent, X, SIGMAS, process=VE))


def test_what_has_hardly_moved_is_left_out_once_its_rate_is_known():
    _, computed, tally = sampled(Policy(WHOLE_STEP, 100.0, 3), bent)
    # two outputs tell the rate
    assert computed == [8.0, 6.0, 1.0] and tally.passes_saved == 3.0

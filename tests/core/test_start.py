import pytest
import torch
from oracles.network import SIGMAS, randn

from fewstep.diffusion.process import FLOW, VE
from fewstep.samplers.start import CONVENTIONS, noise_scale, rescaled, start

NOISE = randn(0, torch.float64, (1, 4, 64, 64))
EMPTY = torch.zeros_like(NOISE)


@pytest.mark.parametrize("timestep", [999, 800, 399, 19])
def test_unit_variance_start_gives_the_network_the_noise_itself_at_every_level(timestep):
    sigma = float(SIGMAS[timestep])
    x = start(NOISE, EMPTY, sigma, process=VE)
    torch.testing.assert_close(x / (1.0 + sigma**2) ** 0.5, NOISE)


def test_sigma_start_is_that_of_the_reference_euler():
    sigma = float(SIGMAS[999])
    x = start(NOISE, EMPTY, sigma, process=VE, convention="sigma")
    torch.testing.assert_close(x, NOISE * 14.614642)


def test_the_two_conventions_differ_as_measured():
    top, dmd2 = float(SIGMAS[999]), float(SIGMAS[399])
    ratio = noise_scale(top, VE, "unit variance") / noise_scale(top, VE, "sigma")
    assert ratio == pytest.approx(1.002338, abs=1e-6)
    ratio = noise_scale(dmd2, VE, "sigma") / noise_scale(dmd2, VE, "unit variance")
    assert ratio == pytest.approx(0.757, abs=1e-3)


def test_flow_starts_as_data_of_unit_variance_would():
    assert noise_scale(1.0, FLOW, "unit variance") == noise_scale(1.0, FLOW, "sigma") == 1.0
    # sqrt(0.4^2 + 0.6^2)
    assert noise_scale(0.6, FLOW, "unit variance") == pytest.approx(0.52**0.5)
    assert noise_scale(0.6, FLOW, "sigma") == 0.6


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_an_input_picture_is_mixed_with_noise_in_either_convention(convention):
    latent = torch.full_like(NOISE, 2.0)
    x = start(NOISE, latent, 0.25, process=VE, convention=convention)
    torch.testing.assert_close(x, latent + 0.25 * NOISE)
    x = start(NOISE, latent, 0.25, process=FLOW, convention=convention)
    torch.testing.assert_close(x, 0.75 * latent + 0.25 * NOISE)


@pytest.mark.parametrize("process", [VE, FLOW], ids=lambda process: process.name)
@pytest.mark.parametrize("made", CONVENTIONS)
@pytest.mark.parametrize("wanted", CONVENTIONS)
def test_a_rescaled_start_is_the_start_that_was_wanted(process, made, wanted):
    x = start(NOISE, EMPTY, 0.7, process=process, convention=made)
    got = rescaled(x, 0.7, process=process, made=made, wanted=wanted)
    want = start(NOISE, EMPTY, 0.7, process=process, convention=wanted)
    torch.testing.assert_close(got, want)
    assert (got is x) == (made == wanted)


def test_an_unknown_convention_is_refused():
    with pytest.raises(ValueError, match="start is 'karras'; allowed is 'unit variance'"):
        start(NOISE, EMPTY, 1.0, process=VE, convention="karras")
    with pytest.raises(ValueError, match="start is 'karras'"):
        rescaled(NOISE, 1.0, process=VE, made="sigma", wanted="karras")

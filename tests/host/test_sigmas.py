"""The Sigmas node on real models: levels by closed form, and the timesteps the network is told."""

import importlib
import math

import pytest
import torch


@pytest.fixture(scope="module")
def runs(host):
    return importlib.import_module("host.runs")


def patched(model, sampling, zsnr=False):
    from comfy_extras.nodes_model_advanced import ModelSamplingDiscrete

    return ModelSamplingDiscrete().patch(model, sampling, zsnr)[0]


def continuous(model):
    from comfy_extras.nodes_model_advanced import ModelSamplingContinuousEDM

    return ModelSamplingContinuousEDM().patch(model, "eps", 120.0, 0.002)[0]


def told(runs, model, sigmas):
    """The timesteps the network hears in a run over these sigmas."""
    model, passes = runs.watched(model)
    runs.sample(model, runs.euler(), sigmas, cfg=1.0)
    return [timestep for one_pass in passes for timestep in one_pass.timesteps]


def level(timestep, zsnr=False):
    """sqrt((1 - alpha_bar) / alpha_bar) of SD's betas; zsnr by arXiv:2305.08891, algorithm 1."""
    roots = torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64)
    alpha = torch.cumprod(1 - roots**2, dim=0).sqrt()
    if zsnr:
        alpha = (alpha - alpha[-1]) * alpha[0] / (alpha[0] - alpha[-1])
    return (1 / alpha[timestep] ** 2 - 1).sqrt().item()


# --- models with integer timesteps ----------------------------------------------------------------

GRIDS = {
    ("trailing", 1): [999],
    ("trailing", 2): [999, 499],
    ("trailing", 3): [999, 666, 332],
    ("trailing", 4): [999, 749, 499, 249],
    ("trailing", 6): [999, 832, 666, 499, 332, 166],
    ("trailing", 7): [999, 856, 713, 570, 428, 285, 142],
    ("lcm", 3): [999, 679, 339],
    ("lcm", 4): [999, 759, 499, 259],
    ("lcm", 8): [999, 879, 759, 639, 499, 379, 259, 139],
    ("turbo", 4): [999, 899, 799, 699],
}


@pytest.mark.parametrize("spacing, steps", GRIDS)
@pytest.mark.parametrize("kind", ["eps", "v"])
def test_network_is_told_exactly_the_grids_timesteps(host, runs, kind, spacing, steps):
    model, grid = host.tiny_model(kind), GRIDS[spacing, steps]
    sigmas = runs.sigmas(model, spacing, steps)
    assert sigmas.dtype == torch.float32 and sigmas.device.type == "cpu"
    expected = [*(level(timestep) for timestep in grid), 0.0]
    assert sigmas.tolist() == pytest.approx(expected, rel=1e-5)
    assert told(runs, model, sigmas) == grid


def test_levels_of_sd_are_the_published_ones(host, runs):
    sigmas = runs.sigmas(host.tiny_model(), steps=4)
    assert sigmas.tolist() == pytest.approx([14.6146, 4.0817, 1.6129, 0.6932, 0.0], abs=5e-5)


def test_levels_are_the_models_own_bits(host, runs):
    model = host.tiny_model()
    table = model.get_model_object("model_sampling").sigmas
    sigmas = runs.sigmas(model, steps=7)
    assert torch.equal(sigmas[:-1], table[[999, 856, 713, 570, 428, 285, 142]])


@pytest.mark.parametrize("sampling", ["x0", "v_prediction"])
def test_a_model_patched_to_another_prediction_keeps_its_timesteps(host, runs, sampling):
    model = patched(host.tiny_model(), sampling)
    sigmas = runs.sigmas(model, "trailing", 4)
    assert sigmas.tolist() == pytest.approx([*map(level, GRIDS["trailing", 4]), 0.0], rel=1e-5)
    assert told(runs, model, sigmas) == GRIDS["trailing", 4]


@pytest.mark.parametrize("sampling", ["eps", "v_prediction"])
def test_zero_terminal_snr_moves_the_levels_and_not_the_timesteps(host, runs, sampling):
    model = patched(host.tiny_model(), sampling, zsnr=True)
    sigmas = runs.sigmas(model, "trailing", 4)
    # the exact level of timestep 999 is infinite; ComfyUI stands 4518.7 in its place
    assert sigmas[0].item() == pytest.approx(4518.76, rel=1e-4)
    expected = [level(timestep, zsnr=True) for timestep in (749, 499, 249)]
    assert sigmas[1:].tolist() == pytest.approx([*expected, 0.0], rel=1e-5)
    assert told(runs, model, sigmas) == GRIDS["trailing", 4]


@pytest.mark.parametrize("zsnr", [False, True])
def test_lcm_spacing_on_an_lcm_patched_model_tells_the_lcm_timesteps(host, runs, zsnr):
    model = patched(host.tiny_model(), "lcm", zsnr)
    sigmas = runs.sigmas(model, "lcm", 4)
    expected = [level(timestep, zsnr) for timestep in (759, 499, 259)]
    assert sigmas[1:].tolist() == pytest.approx([*expected, 0.0], rel=1e-5)
    assert told(runs, model, sigmas) == [999, 759, 499, 259]


def test_lcm_spacing_of_all_fifty_steps_fits_an_lcm_patched_model(host, runs):
    sigmas = runs.sigmas(patched(host.tiny_model(), "lcm"), "lcm", 50)
    assert sigmas.tolist() == runs.sigmas(host.tiny_model(), "lcm", 50).tolist()


def test_timesteps_are_taken_as_written(host, runs):
    model = host.tiny_model()
    sigmas = runs.sigmas(model, "timesteps", timesteps="999, 801 400;0")
    assert sigmas.tolist() == pytest.approx([*map(level, [999, 801, 400, 0]), 0.0], rel=1e-5)
    assert told(runs, model, sigmas) == [999, 801, 400, 0]


def test_reading_the_schedule_leaves_the_model_alone(host, runs):
    model = patched(host.tiny_model(), "lcm")
    sampling = model.get_model_object("model_sampling")
    before = sampling.sigmas.clone()
    runs.sigmas(model, "lcm", 4)
    assert model.get_model_object("model_sampling") is sampling
    assert torch.equal(sampling.sigmas, before)


# --- flow models ----------------------------------------------------------------------------------


def sd3(model, shift):
    from comfy_extras.nodes_model_advanced import ModelSamplingSD3

    return ModelSamplingSD3().patch(model, shift)[0]


def flux(model):
    from comfy_extras.nodes_model_advanced import ModelSamplingFlux

    return ModelSamplingFlux().patch(model, 1.15, 0.5, 1024, 1024)[0]


def exponential_shift(fraction, mu=1.15):
    return math.exp(mu) / (math.exp(mu) + 1 / fraction - 1)


@pytest.mark.parametrize(
    "shift, expected", [(1.0, [1.0, 0.75, 0.5, 0.25, 0.0]), (3.0, [1.0, 0.9, 0.75, 0.5, 0.0])]
)
@pytest.mark.parametrize("how", ["its own", "ModelSamplingSD3"])
def test_flow_levels_are_even_and_then_shifted(host, runs, how, shift, expected):
    if how == "its own":
        model = host.tiny_model("flow", shift=shift)
    else:
        model = sd3(host.tiny_model("flow"), shift)
    sigmas = runs.sigmas(model, steps=4)
    assert sigmas.tolist() == pytest.approx(expected, abs=1e-6)
    assert told(runs, model, sigmas) == pytest.approx([1000 * s for s in expected[:-1]], rel=1e-6)


@pytest.mark.parametrize("steps", [1, 3, 6, 7, 8])
def test_flux_levels_follow_its_exponential_shift(host, runs, steps):
    model = flux(host.tiny_model("flow"))
    sigmas = runs.sigmas(model, steps=steps)
    expected = [exponential_shift(i / steps) for i in range(steps, 0, -1)]
    assert sigmas.tolist() == pytest.approx([*expected, 0.0], rel=1e-6)
    assert told(runs, model, sigmas) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(
    "timesteps, expected",
    [("999, 749, 499, 249", [1.0, 0.75, 0.5, 0.25, 0.0]), ("399", [0.4, 0.0])],
)
def test_timesteps_of_a_flow_count_thousandths_of_its_time(host, runs, timesteps, expected):
    sigmas = runs.sigmas(host.tiny_model("flow"), "timesteps", timesteps=timesteps)
    assert sigmas.tolist() == pytest.approx(expected, abs=1e-6)


# --- bad input ------------------------------------------------------------------------------------


def plain(host):
    return host.tiny_model("eps")


def flow(host):
    return host.tiny_model("flow")


def lcm_patched(host):
    return patched(host.tiny_model("eps"), "lcm")


def edm(host):
    return continuous(host.tiny_model("eps"))


REFUSED = [
    (plain, {"steps": 0}, r"steps is 0; allowed is 1 to 1000"),
    (plain, {"steps": -3}, r"steps is -3; allowed is 1 to 1000"),
    (plain, {"steps": 1001}, r"steps is 1001; allowed is 1 to 1000"),
    (flow, {"steps": 0}, r"steps is 0; allowed is 1 to 1000"),
    (plain, {"spacing": "lcm", "steps": 51}, r"steps is 51; allowed is 1 to 50"),
    (plain, {"spacing": "turbo", "steps": 11}, r"steps is 11; allowed is 1 to 10"),
    (plain, {"denoise": 0.0}, r"denoise is 0; allowed is above 0 up to 1"),
    (plain, {"denoise": 1.01}, r"denoise is 1\.01; allowed is above 0 up to 1"),
    (plain, {"denoise": float("nan")}, r"denoise is nan; allowed is above 0 up to 1"),
    (flow, {"denoise": -0.5}, r"denoise is -0\.5; allowed is above 0 up to 1"),
    (plain, {"spacing": "lcm", "denoise": 2.0}, r"denoise is 2; allowed is above 0 up to 1"),
    (
        plain,
        {"denoise": 0.1},
        r"denoise is 0\.1, which keeps none of the 4 points.*smallest.*0\.13",
    ),
    (flow, {"denoise": 0.1}, r"denoise is 0\.1, which keeps none.*Raise denoise, or use 5 or more"),
    (
        plain,
        {"steps": 1, "denoise": 0.6},
        r"denoise is 0\.6, which keeps none.*use 2 or more steps",
    ),
    (
        plain,
        {"spacing": "lcm", "denoise": 0.07},
        r"denoise is 0\.07, which leaves 3 of the 50 points.*Raise denoise to 0\.08.*steps to 3",
    ),
    (plain, {"timesteps": ""}, r"timesteps is empty; write falling whole numbers"),
    (plain, {"timesteps": "499, 749"}, r"timesteps has 749 after 499; each must be smaller"),
    (plain, {"timesteps": "499, 499"}, r"timesteps has 499 after 499.*each number once"),
    (plain, {"timesteps": "1000, 499"}, r"timesteps has 1000; allowed is 0 to 999"),
    (plain, {"timesteps": "499, -1"}, r"timesteps has -1; allowed is 0 to 999"),
    (plain, {"timesteps": "499, 249.5"}, r"timesteps has '249\.5', which is not a whole number"),
    (plain, {"timesteps": "nine"}, r"timesteps has 'nine'.*write whole numbers between 0 and 999"),
    (plain, {"spacing": "karras"}, r"spacing is 'karras'; allowed is one of trailing, lcm, turbo"),
    (flow, {"spacing": "lcm"}, r"spacing is 'lcm'.*model is a flow model.*Use 'trailing'"),
    (flow, {"spacing": "turbo"}, r"spacing is 'turbo'.*model is a flow model.*Use 'trailing'"),
    (
        lcm_patched,
        {},
        r"spacing is 'trailing', which needs timestep 749,.*told 739.*use 'lcm', or remove",
    ),
    (lcm_patched, {"timesteps": "999, 500"}, r"needs timestep 500,.*would be told 499"),
    (edm, {}, r"model has continuous noise levels and no integer timesteps.*own schedulers"),
    (edm, {"spacing": "lcm"}, r"model has continuous noise levels"),
]


@pytest.mark.parametrize("make, inputs, complaint", REFUSED)
def test_bad_input_is_refused_before_the_first_pass(host, runs, make, inputs, complaint):
    model, passes = runs.watched(make(host))
    if "timesteps" in inputs:
        inputs = {"spacing": "timesteps", **inputs}
    with pytest.raises(ValueError, match=complaint):
        runs.sample(model, runs.euler(), runs.sigmas(model, **inputs))
    assert passes == []

"""How often the network is called: exactly as often as the sigmas promise."""

import importlib

import pytest

# strength: passes of 2, 4 and 8 steps
TRAILING = {0.25: (1, 1, 2), 0.5: (1, 2, 4), 0.75: (1, 3, 6), 1.0: (2, 4, 8)}


@pytest.fixture(scope="module")
def runs(host):
    return importlib.import_module("host.runs")


def passes_of(runs, model, sampler, sigmas, cfg=1.0):
    model, passes = runs.watched(model)
    runs.sample(model, sampler, sigmas, runs.picture(), cfg=cfg)
    return passes


@pytest.mark.parametrize("column, steps", [(0, 2), (1, 4), (2, 8)])
@pytest.mark.parametrize("strength", TRAILING)
@pytest.mark.parametrize("kind", ["eps", "flow"])
def test_trailing_keeps_a_tail_of_the_steps(host, runs, kind, strength, column, steps):
    model = host.tiny_model(kind)
    sigmas = runs.sigmas(model, "trailing", steps, strength)
    assert len(sigmas) - 1 == TRAILING[strength][column]
    assert len(passes_of(runs, model, runs.euler(), sigmas)) == len(sigmas) - 1


@pytest.mark.parametrize("steps", [2, 4, 8])
@pytest.mark.parametrize("strength", [0.25, 0.5, 0.75, 1.0])
def test_lcm_makes_all_its_steps_at_every_strength(host, runs, strength, steps):
    model = host.tiny_model()
    sigmas = runs.sigmas(model, "lcm", steps, strength)
    assert len(sigmas) - 1 == steps
    passes = passes_of(runs, model, runs.lcm(), sigmas)
    assert len(passes) == steps
    assert passes[0].timesteps[0] <= 1000 * strength


@pytest.mark.parametrize("kind", ["eps", "flow"])
def test_trailing_at_half_strength_asks_only_for_the_lower_half_of_the_grid(host, runs, kind):
    model = host.tiny_model(kind)
    passes = passes_of(runs, model, runs.euler(), runs.sigmas(model, "trailing", 4, 0.5))
    grid = {"eps": [499, 249], "flow": [500, 250]}[kind]
    assert [one_pass.timesteps[0] for one_pass in passes] == grid


@pytest.mark.parametrize("name", ["lcm", "tcd", "euler"])
@pytest.mark.parametrize("cfg, rows", [(1.0, 1), (1.5, 2)])
def test_a_step_is_one_row_at_cfg_1_and_two_above(host, runs, name, cfg, rows):
    model = host.tiny_model()
    sampler = {"lcm": runs.lcm, "tcd": lambda: runs.tcd(0.3), "euler": runs.euler}[name]()
    passes = passes_of(runs, model, sampler, runs.sigmas(model, "trailing", 3), cfg)
    # both rows of a step may come in one call or in two, as memory allows
    assert sum(len(one_pass.timesteps) for one_pass in passes) == 3 * rows


@pytest.mark.parametrize("name", ["lcm", "tcd", "euler"])
def test_progress_is_told_once_for_each_pass_in_order(host, runs, name):
    import comfy.sample

    model = host.tiny_model()
    latent = runs.empty()["samples"]
    noise = comfy.sample.prepare_noise(latent, runs.SEED)
    sampler = {"lcm": runs.lcm, "tcd": lambda: runs.tcd(0.3), "euler": runs.euler}[name]()
    sigmas = runs.sigmas(model, "trailing", 3)
    seen = []
    comfy.sample.sample_custom(
        model,
        noise,
        1.0,
        sampler,
        sigmas,
        host.conditioning(1),
        host.conditioning(2),
        latent,
        callback=lambda i, x0, x, total: seen.append((i, total, x0.shape == x.shape)),
        disable_pbar=True,
        seed=runs.SEED,
    )
    assert seen == [(0, 3, True), (1, 3, True), (2, 3, True)]

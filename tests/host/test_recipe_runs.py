"""Every recipe, sampled through its nodes, takes the steps it was published with."""

import importlib
import math

import pytest
import torch
from oracles import reference
from oracles.network import ALPHA_BARS, SHAPE, SIGMAS, eps_of, randn

from fewstep.recipes.read import read_all

RECIPES = read_all()[0]
DDPM = [recipe.id for recipe in RECIPES.values() if recipe.prediction in ("eps", "x0")]
# the others are published with samplers and schedulers of ComfyUI's own
OURS = [name for name in DDPM if RECIPES[name].sampler.name in ("euler", "lcm", "tcd")]
FLOW = [
    recipe.id
    for recipe in RECIPES.values()
    if recipe.prediction == "flow" and recipe.schedule.scheduler in (None, "flux2")
]
SEED = 5
TOLERANCE = {"rtol": 1e-5, "atol": 1e-5}


@pytest.fixture(scope="module")
def runs(host):
    return importlib.import_module("host.runs")


def x0_of(x_vp, timestep):
    """The x0 estimate that goes with `eps_of`, for networks that predict it."""
    alpha_bar = float(ALPHA_BARS[int(timestep)])
    return (x_vp - (1.0 - alpha_bar) ** 0.5 * eps_of(x_vp, timestep)) / alpha_bar**0.5


def faked(model, network):
    """A copy of a MODEL whose network is a function, and the list of what it was asked."""
    from comfy.patcher_extension import WrappersMP

    asked = []

    def answer(executor, x, timesteps, *args, **kwargs):
        asked.append((x.clone(), timesteps[0].item()))
        return network(x, timesteps[0])

    model = model.clone()
    model.add_wrapper_with_key(WrappersMP.DIFFUSION_MODEL, "fewstep.tests", answer)
    return model, asked


def told(model, recipe):
    """A model that takes guidance as a number where the recipe says so, as FLUX-dev does."""
    if recipe.guidance.kind == "embedded":
        model.model.diffusion_model.guidance_in = torch.nn.Linear(1, 1)
    return model


def applied(model, recipe):
    """MODEL, SAMPLER, SIGMAS and cfg of FewStepApply."""
    node = importlib.import_module("fewstep.nodes").FewStepApply
    latent = {"samples": torch.zeros(1, 128, 64, 64)}
    return node.execute(model, recipe, 0.0, latent).result[:4]


def sampled(model, sampler, sigmas, noise):
    """x0 that the core makes of all this, in the scale of the network."""
    import comfy.sample
    from host import tiny_models

    words = tiny_models.conditioning(1), tiny_models.conditioning(2)
    made = comfy.sample.sample_custom(
        *(model, noise, 1.0, sampler, sigmas, *words, torch.zeros(SHAPE)), seed=SEED
    )
    return model.model.process_latent_in(made)


def step_noise():
    """What our samplers draw for this seed, as ComfyUI on a CPU does; one stream per picture."""
    from fewstep.samplers.noise import cpu_noise

    return cpu_noise(torch.zeros(SHAPE), SEED)


def counts(recipe):
    """Every count of steps up to 8 that a recipe allows, and its own."""
    return sorted({*range(recipe.steps.low, min(recipe.steps.high, 8) + 1), recipe.steps.default})


def reference_run(recipe, steps):
    """The published sampler's run: the timesteps asked, x before every step in VP scale, x0."""
    noise = randn(0, torch.float32)
    top = math.sqrt(SIGMAS[999] ** 2 + 1)
    match recipe.sampler.name, recipe.schedule:
        case "lcm", schedule if schedule.timesteps:
            steps = list(schedule.timesteps)
            return reference.lcm(None, torch.float32, step_noise(), timesteps=steps)
        case "lcm", _:
            return reference.lcm(steps, torch.float32, step_noise())
        case "tcd", _:
            eta = recipe.sampler.eta
            return reference.tcd(steps, torch.float32, step_noise(), eta)
        case "euler", schedule if schedule.spacing == "trailing":
            kind = "sample" if recipe.prediction == "x0" else "epsilon"
            network = x0_of if recipe.prediction == "x0" else eps_of
            run = reference.euler_trailing(steps, torch.float32, network, noise * top, kind)
            scales = [math.sqrt(SIGMAS[t] ** 2 + 1) for t in run.timesteps] + [1.0]
            xs = [x / scale for x, scale in zip(run.xs, scales, strict=True)]
            return reference.Run(run.timesteps, xs)
    raise AssertionError(f"no reference for {recipe.id}")


@pytest.mark.parametrize("recipe_id", OURS)
def test_a_ddpm_recipe_takes_the_steps_of_diffusers(host, runs, recipe_id):
    published = RECIPES[recipe_id]
    network = x0_of if published.prediction == "x0" else eps_of
    for steps in counts(published):
        recipe = published.with_steps(steps)
        model, asked = faked(told(host.tiny_model("eps"), recipe), network)
        model, sampler, sigmas, _ = applied(model, recipe)
        run = reference_run(recipe, steps)
        made = sampled(model, sampler, sigmas, randn(0, torch.float32))
        assert [timestep for _, timestep in asked] == run.timesteps
        for (x, _), expected in zip(asked, run.xs[:-1], strict=True):
            torch.testing.assert_close(x, expected, **TOLERANCE)
        # diffusers' TCD ends at timestep 0, ours at clean data
        if recipe.sampler.name != "tcd":
            torch.testing.assert_close(made, run.xs[-1], **TOLERANCE)
        torch.testing.assert_close(
            sigmas, torch.tensor([*(SIGMAS[t] for t in run.timesteps), 0.0]).float(), **TOLERANCE
        )


@pytest.mark.parametrize("recipe_id", DDPM)
def test_a_ddpm_recipe_shows_the_network_noise_of_variance_1_first(host, runs, recipe_id):
    recipe = RECIPES[recipe_id]
    network = x0_of if recipe.prediction == "x0" else eps_of
    model, asked = faked(told(host.tiny_model("eps"), recipe), network)
    model, sampler, sigmas, _ = applied(model, recipe)
    noise = torch.randn(SHAPE, generator=torch.Generator().manual_seed(1))
    sampled(model, sampler, sigmas, noise)
    # within 1 % of the noise's own spread
    assert asked[0][0].std() / noise.std() == pytest.approx(1.0, abs=0.01)


# --- levels of those that ComfyUI's samplers follow -----------------------------------------------


TURBO = {1: [999], 2: [999, 899], 4: [999, 899, 799, 699]}


@pytest.mark.parametrize("recipe_id", ["sdxl-turbo", "sd-turbo"])
@pytest.mark.parametrize("steps", TURBO)
def test_turbo_takes_the_levels_of_stabilitys_demo(host, recipe_id, steps):
    recipe = RECIPES[recipe_id].with_steps(steps)
    sigmas = applied(host.tiny_model("eps"), recipe)[2]
    expected = torch.tensor([*(SIGMAS[t] for t in TURBO[steps]), 0.0]).float()
    torch.testing.assert_close(sigmas, expected, **TOLERANCE)


# --- flow -----------------------------------------------------------------------------------------


def vendors(recipe, steps, shift):
    """Levels that diffusers gives for the sigmas a vendor passes: 1, ..., 1 / n, shifted."""
    diffusers = importlib.import_module("diffusers")
    scheduler = diffusers.FlowMatchEulerDiscreteScheduler(shift=shift)
    scheduler.set_timesteps(sigmas=[1 - i / steps for i in range(steps)])
    return scheduler.sigmas.tolist()


def flux2_mu(steps, tokens):
    module = importlib.import_module("diffusers.pipelines.flux2.pipeline_flux2")
    return module.compute_empirical_mu(tokens, steps)


@pytest.mark.parametrize("recipe_id", FLOW)
def test_a_flow_recipe_takes_the_levels_of_its_vendor(host, recipe_id):
    recipe = RECIPES[recipe_id]
    steps, own = recipe.steps.default, 1.7
    model, _, sigmas, _ = applied(told(host.tiny_model("flow", shift=own), recipe), recipe)
    if recipe.schedule.sigmas:
        expected = list(recipe.schedule.sigmas)
    elif recipe.schedule.scheduler == "flux2":
        expected = vendors(recipe, steps, math.exp(flux2_mu(steps, 64 * 64)))
    else:
        expected = vendors(recipe, steps, recipe.shift or own)
    half = (len(expected) - 1) // 2
    expected = {"high": expected[: half + 1], "low": expected[half:]}.get(recipe.stage, expected)
    assert sigmas.tolist() == pytest.approx(expected, abs=5e-5)
    told_shift = model.get_model_object("model_sampling").percent_to_sigma(0.5)
    assert told_shift == pytest.approx((recipe.shift or own) / (1 + (recipe.shift or own)))


def test_fixed_levels_are_those_of_the_vendors():
    ltx = [1, 0.99375, 0.9875, 0.98125, 0.975, 0.909375, 0.725, 0.421875, 0]
    qwen = [1, 0.978453, 0.95418, 0.926626, 0.89508, 0.845148, 0.704534, 0.414568, 0]
    assert list(RECIPES["qwen-image-2.1-turbo"].schedule.sigmas) == qwen
    fixed = {r.schedule.sigmas for r in RECIPES.values() if r.base == "ltx2" and r.schedule.sigmas}
    assert tuple(ltx) in fixed


def test_wans_two_stages_meet_at_the_second_level(host):
    model = host.tiny_model("flow", shift=8.0)
    high, low = (
        applied(model, RECIPES[f"wan2.2-t2v-lightx2v-{stage}"])[2] for stage in ("high", "low")
    )
    assert high.tolist() == pytest.approx([1.0, 0.9375, 0.8333333])
    assert low.tolist() == pytest.approx([0.8333333, 0.625, 0.0])


@pytest.mark.parametrize("recipe_id", ["flux2-klein-4b", "qwen-image-2.1-turbo"])
def test_the_check_knows_the_levels_that_depend_on_the_pictures_size(host, recipe_id):
    node = importlib.import_module("fewstep.nodes").FewStepApply
    latent = {"samples": torch.zeros(1, 128, 64, 64)}
    model = host.tiny_model("flow", shift=2.0)
    report = node.execute(model, RECIPES[recipe_id], 0.0, latent).result[4]
    assert "\nfits: schedule: " in report

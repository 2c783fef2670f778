"""A recipe's scheduler of diffusers makes what the pack's own sampler makes at that recipe."""

from dataclasses import replace

import pytest
import torch
from oracles.network import randn
from tiny_pipelines import DDIM, FLUX, save_flux, save_sd

from fewstep.diffusion.boundary import consistency
from fewstep.diffusion.process import FLOW, VE
from fewstep.diffusion.sigmas import flow_trailing, from_timesteps, sigma_table
from fewstep.diffusion.timesteps import lcm_grid, trailing
from fewstep.headless.levels import shift_of
from fewstep.headless.pipeline_guidance import guided
from fewstep.headless.recipe_schedulers import sampling_of
from fewstep.recipes.read import read_all
from fewstep.recipes.recipe import Schedule
from fewstep.samplers import landings
from fewstep.samplers.ode import sample_euler
from fewstep.samplers.trajectory import sample_trajectory

RECIPES = read_all()[0]
TABLE = sigma_table()
COUNTS = range(1, 9)
SEED = 7
PROMPT = "a red circle"
SD, FLOW_MATCH = ({"_class_name": name} for name in ("DDIMScheduler", "FlowMatchEuler"))


# numpy reads a tensor inside diffusers
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory):
    made = save_sd(tmp_path_factory.mktemp("sd"))
    made.set_progress_bar_config(disable=True)
    # rounding grows from step to step in a network of random weights
    return made.to(torch.float64)


def for_any_count(name):
    """A recipe that allows every count of steps."""
    recipe = RECIPES[name]
    return replace(recipe, steps=recipe.steps._replace(low=1, high=8))


def theirs(pipeline, recipe, steps, cfg=1.0):
    """[1, 4, 8, 8] latent that the pipeline makes."""
    sampling = sampling_of(recipe.with_steps(steps), SD | DDIM, "StableDiffusionPipeline")
    pipeline.scheduler = sampling.scheduler
    call = guided("StableDiffusionPipeline", {}, cfg, None).call | sampling.call
    generator = torch.Generator().manual_seed(SEED)
    size = {"width": 64, "height": 64, "output_type": "latent"}
    return pipeline(PROMPT, generator=generator, **size, **call).images


def denoiser(pipeline, timesteps, *, is_lcm=False, cfg=1.0):
    """(x in VE space, sigma) -> x0 estimate of the same network."""
    timestep_at = dict(zip(from_timesteps(timesteps, TABLE), timesteps, strict=False))
    encode = lambda text: pipeline.encode_prompt(text, "cpu", 1, False)[0]
    cond, uncond = encode(PROMPT), encode("")

    @torch.no_grad()
    def denoise(x, sigma):
        t, x_vp = timestep_at[sigma], x / (1 + sigma**2) ** 0.5
        eps = pipeline.unet(x_vp, t, cond).sample
        if cfg != 1.0:
            without = pipeline.unet(x_vp, t, uncond).sample
            eps = without + cfg * (eps - without)
        x0 = x - sigma * eps
        return consistency(x_vp, x0, t) if is_lcm else x0

    return denoise


def noises():
    """The pipeline's noise: that of the latent, then that of each step."""
    generator = torch.Generator().manual_seed(SEED)
    return lambda: torch.randn(1, 4, 8, 8, generator=generator, dtype=torch.float64)


def assert_alike(ours, theirs):
    # diffusers sums its table of levels in float32
    torch.testing.assert_close(ours.double(), theirs.double(), rtol=1e-5, atol=1e-5)


def by_trajectory(pipeline, timesteps, sigmas, land, is_lcm):
    noise = noises()
    x = noise() * (1 + sigmas[0] ** 2) ** 0.5
    denoise = denoiser(pipeline, timesteps, is_lcm=is_lcm)
    return sample_trajectory(denoise, x, sigmas, land, process=VE, noise=noise)


@pytest.mark.parametrize("steps", COUNTS)
def test_lcm_is_our_lcm(pipeline, steps):
    timesteps = lcm_grid(steps)
    sigmas = from_timesteps(timesteps, TABLE)
    ours = by_trajectory(pipeline, timesteps, sigmas, landings.lcm(sigmas), True)
    assert_alike(ours, theirs(pipeline, for_any_count("lcm-lora-sd15"), steps))


def test_a_list_of_timesteps_is_our_lcm_at_these(pipeline):
    recipe = RECIPES["dmd2-sdxl-4step-lora"]
    sigmas = from_timesteps(recipe.schedule.timesteps, TABLE)
    ours = by_trajectory(pipeline, recipe.schedule.timesteps, sigmas, landings.lcm(sigmas), True)
    assert_alike(ours, theirs(pipeline, recipe, 4))


@pytest.mark.parametrize(
    ("name", "steps"), [("hyper-sd15-unified", 3), *(("tcd-sd15", steps) for steps in COUNTS)]
)
def test_tcd_is_our_tcd_with_the_recipes_eta(pipeline, name, steps):
    recipe, timesteps = for_any_count(name), lcm_grid(steps)
    # diffusers ends at timestep 0, in the scale of its level
    sigmas = [*from_timesteps(timesteps, TABLE)[:-1], TABLE[0]]
    land = landings.tcd(sigmas, recipe.sampler.eta, TABLE)
    ours = by_trajectory(pipeline, timesteps, sigmas, land, False)
    assert_alike(ours / (1 + TABLE[0] ** 2) ** 0.5, theirs(pipeline, recipe, steps))


@pytest.mark.parametrize(("steps", "cfg"), [(3, 5.0), *((steps, 1.0) for steps in COUNTS)])
def test_euler_at_trailing_timesteps_is_our_euler(pipeline, steps, cfg):
    recipe, timesteps = for_any_count("hyper-sd15-8step-cfg"), trailing(steps)
    sigmas = from_timesteps(timesteps, TABLE)
    ours = sample_euler(
        denoiser(pipeline, timesteps, cfg=cfg), noises()() * sigmas[0], sigmas, process=VE
    )
    assert_alike(ours, theirs(pipeline, recipe, steps, cfg))


def test_one_step_of_turbo_is_our_euler(pipeline):
    sigmas = from_timesteps([999], TABLE)
    ours = sample_euler(denoiser(pipeline, [999]), noises()() * sigmas[0], sigmas, process=VE)
    assert_alike(ours, theirs(pipeline, RECIPES["sd-turbo"], 1))


def test_a_network_that_predicts_x0_is_taken_at_its_word(pipeline):
    sigma, noise = TABLE[999], noises()()
    found = theirs(pipeline, RECIPES["sdxl-lightning-1step-unet"], 1)
    states = pipeline.encode_prompt(PROMPT, "cpu", 1, False)[0]
    with torch.no_grad():
        assert_alike(
            pipeline.unet(noise * sigma / (1 + sigma**2) ** 0.5, 999, states).sample, found
        )


# --- flow models ----------------------------------------------------------------------------------


def levels_in(sampling, tokens=None):
    """The levels of a run, falling to 0."""
    wanted = {key: value for key, value in sampling.call.items() if key == "sigmas"}
    if sampling.scheduler.config.use_dynamic_shifting:
        wanted["mu"] = torch.tensor(shift_of(FLUX, tokens)).log().item()
    sampling.scheduler.set_timesteps(len(wanted["sigmas"]), **wanted)
    return sampling.scheduler.sigmas


@pytest.mark.parametrize("steps", COUNTS)
def test_flow_models_have_our_trailing_levels_and_our_euler(steps):
    recipe = for_any_count("qwen-image-lightning-4step").with_steps(steps)
    # the folder's own shift is another
    sampling = sampling_of(recipe, FLOW_MATCH | FLUX, "QwenImagePipeline")
    expected = flow_trailing(steps, 3.0)
    found = levels_in(sampling)
    torch.testing.assert_close(found.double(), torch.tensor(expected, dtype=torch.float64))
    network = lambda x, sigma: 0.5 * torch.tanh(x) + sigma * torch.sin(3 * x)
    x = randn(0, torch.float32)
    ours = sample_euler(lambda x, sigma: x - sigma * network(x, sigma), x, expected, process=FLOW)
    for timestep in sampling.scheduler.timesteps:
        x = sampling.scheduler.step(network(x, timestep / 1000), timestep, x).prev_sample
    torch.testing.assert_close(x, ours, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("tokens", [16, 64])
def test_a_recipe_without_a_shift_leaves_it_to_the_model(tokens):
    recipe = RECIPES["flux1-turbo-alpha"]
    sampling = sampling_of(recipe, FLOW_MATCH | FLUX, "FluxPipeline")
    expected = torch.tensor(flow_trailing(8, shift_of(FLUX, tokens)))
    torch.testing.assert_close(levels_in(sampling, tokens), expected)


def test_a_list_of_levels_is_taken_as_it_is():
    recipe = RECIPES["qwen-image-2.1-turbo"]
    sampling = sampling_of(recipe, FLOW_MATCH | FLUX | {"shift": 3.0}, "QwenImagePipeline")
    torch.testing.assert_close(levels_in(sampling), torch.tensor(recipe.schedule.sigmas))


def test_the_pipeline_of_flux_runs_at_the_levels_that_it_is_given(tmp_path):
    recipe = RECIPES["flux1-schnell"].with_steps(3)
    pipeline = save_flux(tmp_path, guidance_embeds=False)
    pipeline.set_progress_bar_config(disable=True)
    sampling = sampling_of(recipe, FLOW_MATCH | FLUX, "FluxPipeline")
    pipeline.scheduler, told = sampling.scheduler, []
    pipeline.transformer.register_forward_pre_hook(
        lambda module, args, given: told.append(given["timestep"].item()), with_kwargs=True
    )
    size = {"width": 64, "height": 64, "output_type": "latent"}
    pipeline(PROMPT, **size, **sampling.call)
    assert told == pytest.approx(flow_trailing(3)[:-1])


def test_flux_2_makes_its_levels_by_itself():
    recipe, config = RECIPES["flux2-klein-4b"], FLOW_MATCH | FLUX
    sampling = sampling_of(recipe, config, "Flux2KleinPipeline")
    assert sampling.call == {"num_inference_steps": 4}
    assert sampling.scheduler.config.use_dynamic_shifting
    with pytest.raises(ValueError, match="has the noise levels flux2, which FluxPipeline does not"):
        sampling_of(recipe, config, "FluxPipeline")


# --- what is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "config", "message"),
    [
        ("z-image-turbo", FLOW_MATCH, "has the sampler res_multistep, and flow models have euler"),
        ("sana-sprint", FLOW_MATCH, "has the sampler lcm, and flow models have euler"),
        ("wan2.2-t2v-lightx2v-high", FLOW_MATCH, "is for the high noise part of a model in two"),
        ("sdxl-turbo-merge", SD, "has the sampler dpmpp_sde, which is none of euler, euler_anc"),
        ("sdxl-turbo", SD, r"needs the timesteps \[999, 899, 799, 699\], which EulerAncestral"),
        ("lcm-lora-sd15", FLOW_MATCH, "that predicts eps, and the scheduler of the folder is Flow"),
        ("flux1-schnell", SD, "that predicts flow, and the scheduler of the folder is DDIMSched"),
    ],
)
def test_a_recipe_that_diffusers_cannot_do_is_refused(name, config, message):
    recipe = RECIPES[name].with_steps(4 if name == "sdxl-turbo" else 0)
    with pytest.raises(ValueError, match=f"recipe {name} .*{message}"):
        sampling_of(recipe, config | (DDIM if config is SD else {}), "FluxPipeline")


def test_levels_that_have_no_timesteps_are_refused():
    recipe = replace(RECIPES["lcm-lora-sd15"], schedule=Schedule(scheduler="karras"))
    with pytest.raises(ValueError, match="has the noise levels karras, which have no timesteps"):
        sampling_of(recipe, SD | DDIM, "StableDiffusionPipeline")


def test_every_shipped_recipe_is_sampled_or_refused_in_a_sentence():
    sampled = []
    for recipe in RECIPES.values():
        config = FLOW_MATCH | FLUX if recipe.prediction == "flow" else SD | DDIM
        try:
            sampling = sampling_of(recipe, config, "Flux2Pipeline")
        except ValueError as error:
            assert "so that diffusers cannot sample it exactly" in str(error)
        else:
            sampled.append(recipe.id)
            assert sampling.passes == recipe.steps.default
    assert len(sampled) > 0.7 * len(RECIPES)

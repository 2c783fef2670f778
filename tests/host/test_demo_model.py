"""FewStepDemoModel works with the stock nodes and is the model that diffusers loads."""

import importlib
import logging

import pytest
import torch

from fewstep.demo import weights

TEACHER, STUDENT = "teacher", "teacher + LCM-LoRA"
SEED = 7
CAPTION = "a red circle left of a small blue square on a gray background"
# eight-bit values a decoded picture may differ by: two networks, the same weights, other kernels
MOST = 2


@pytest.fixture(scope="module")
def runs(host):
    return importlib.import_module("host.runs")


@pytest.fixture(scope="module")
def pipelines():
    """The same networks in diffusers and transformers, by variant."""
    headless = importlib.import_module("fewstep.headless.pipeline")
    loaded = {}

    def pipeline(variant):
        if variant not in loaded:
            loaded[variant] = headless.load_demo(lora=variant == STUDENT)
        return loaded[variant]

    return pipeline


def demo(variant=TEACHER):
    """MODEL, CLIP and VAE of the node."""
    from fewstep.nodes import FewStepDemoModel

    return FewStepDemoModel.execute(variant).result


def encode(clip, text):
    """CONDITIONING of the stock node."""
    import nodes

    return nodes.CLIPTextEncode().encode(clip, text)[0]


def states_of(clip, text):
    return encode(clip, text)[0][0]


# --- text -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        CAPTION,
        "",
        "circle",
        "A RED Circle, and a yellow star!",
        "a zebra in the snow, 1920s",
        "two   spaces\nand a line",
    ],
)
def test_text_states_are_those_of_transformers(host, pipelines, text):
    expected = pipelines(TEACHER).encode([text])
    torch.testing.assert_close(states_of(demo()[1], text), expected, rtol=1e-5, atol=1e-5)


def test_a_prompt_of_more_than_one_chunk_goes_on_in_the_next_one(host, pipelines):
    words = ["red", "circle", "blue", "square", "green"] * 9
    states = states_of(demo()[1], " ".join(words))
    tokens = pipelines(TEACHER).text_encoder.config.max_position_embeddings
    assert states.shape[1] == 2 * tokens
    # start and end take two places of each chunk
    chunks = [words[: tokens - 2], words[tokens - 2 :]]
    expected = pipelines(TEACHER).encode([" ".join(chunk) for chunk in chunks])
    torch.testing.assert_close(states, expected.reshape(1, 2 * tokens, -1), rtol=1e-5, atol=1e-5)


def test_a_weighted_word_moves_away_from_the_empty_prompt(host, pipelines):
    plain, nothing = pipelines(TEACHER).encode(["a red circle", ""])[:, None]
    weighted = states_of(demo()[1], "a (red:1.3) circle")
    at = 2  # start, a, red
    torch.testing.assert_close(
        weighted[:, at],
        nothing[:, at] + 1.3 * (plain[:, at] - nothing[:, at]),
        rtol=1e-5,
        atol=1e-5,
    )
    others = [i for i in range(plain.shape[1]) if i != at]
    torch.testing.assert_close(weighted[:, others], plain[:, others], rtol=1e-5, atol=1e-5)


def test_clip_skip_takes_the_layer_before(host, pipelines):
    import nodes

    (clip,) = nodes.CLIPSetLastLayer().set_last_layer(demo()[1], -2)
    pipeline = pipelines(TEACHER)
    tokens = pipeline.tokenizer(CAPTION, padding="max_length", return_tensors="pt").input_ids
    encoder = pipeline.text_encoder
    hidden = encoder(tokens, output_hidden_states=True).hidden_states[-2]
    norm = getattr(encoder, "text_model", encoder).final_layer_norm
    torch.testing.assert_close(states_of(clip, CAPTION), norm(hidden), rtol=1e-5, atol=1e-5)


# --- pictures -------------------------------------------------------------------------------------


def eight_bit(images):
    return (images * 255).round()


def latents_of(shape=(2, 4, 16, 16)):
    return torch.randn(shape, generator=torch.Generator().manual_seed(SEED))


def test_vae_decodes_as_diffusers(host, pipelines):
    import nodes

    latents = latents_of()
    (images,) = nodes.VAEDecode().decode(demo()[2], {"samples": latents})
    assert images.shape == (2, 128, 128, 3)
    expected = torch.from_numpy(pipelines(TEACHER).decode(latents)).float()
    assert (eight_bit(images) - expected).abs().max() <= 1


def test_vae_encodes_as_diffusers(host, pipelines):
    import nodes

    pictures = torch.rand(2, 128, 128, 3, generator=torch.Generator().manual_seed(SEED))
    (latent,) = nodes.VAEEncode().encode(demo()[2], pictures)
    expected = pipelines(TEACHER).vae.encode(pictures.movedim(-1, 1) * 2 - 1).latents
    torch.testing.assert_close(latent["samples"], expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("timestep", [0, 499, 999])
def test_one_network_pass_is_that_of_diffusers(host, pipelines, timestep):
    pipeline, network = pipelines(TEACHER), demo()[0].model.diffusion_model
    states, x = pipeline.encode([CAPTION, ""]), latents_of()
    expected = pipeline.unet(x, timestep, states).sample
    made = network(x, torch.full((2,), float(timestep)), states)
    torch.testing.assert_close(made, expected, rtol=1e-4, atol=1e-4)


def host_picture(runs, variant, sampler, sigmas, cfg, latent):
    import nodes

    model, clip, vae = demo(variant)
    positive, negative = encode(clip, CAPTION), encode(clip, "")
    samples = runs.sample(
        model,
        sampler,
        sigmas(model),
        latent,
        cfg=cfg,
        seed=SEED,
        positive=positive,
        negative=negative,
    )
    return eight_bit(nodes.VAEDecode().decode(vae, {"samples": samples})[0])


def diffusers_picture(pipeline, scheduler, steps, cfg, noise, **options):
    """The picture of a plain diffusers loop, none of our code but the prompt's."""
    cond, uncond = pipeline.encode([CAPTION, ""])[:, None].expand(-1, len(noise), -1, -1)
    scheduler.set_timesteps(steps)
    x = noise * scheduler.init_noise_sigma
    for t in scheduler.timesteps:
        seen = scheduler.scale_model_input(x, t)
        eps = pipeline.unet(seen, t, cond).sample
        if cfg != 1.0:
            eps_uncond = pipeline.unet(seen, t, uncond).sample
            eps = eps_uncond + cfg * (eps - eps_uncond)
        x = scheduler.step(eps, t, x, **options).prev_sample
    return torch.from_numpy(pipeline.decode(x)).float()


BETAS = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}


def initial_noise(batch):
    return torch.randn((batch, 4, 16, 16), generator=torch.Generator().manual_seed(SEED))


@pytest.mark.parametrize("cfg", [1.0, weights.GUIDANCE])
@pytest.mark.parametrize("variant", [TEACHER, STUDENT])
def test_euler_gives_the_picture_of_diffusers(host, runs, pipelines, variant, cfg):
    from diffusers import EulerDiscreteScheduler

    scheduler = EulerDiscreteScheduler(timestep_spacing="trailing", **BETAS)
    expected = diffusers_picture(pipelines(variant), scheduler, 20, cfg, initial_noise(2))
    made = host_picture(
        runs,
        variant,
        runs.euler("sigma"),
        lambda model: runs.sigmas(model, "trailing", 20),
        cfg,
        {"samples": torch.zeros(2, 4, 16, 16)},
    )
    assert expected.std() > 1
    assert (made - expected).abs().max() <= MOST


@pytest.mark.parametrize("steps", [1, 2, 4, 8])
def test_lcm_gives_the_picture_of_diffusers(host, runs, pipelines, steps):
    from diffusers import LCMScheduler

    scheduler = LCMScheduler(**BETAS)
    generator = torch.Generator().manual_seed(SEED + 1)
    pipeline = pipelines(STUDENT)
    expected = diffusers_picture(
        pipeline, scheduler, steps, 1.0, initial_noise(1), generator=generator
    )
    made = host_picture(
        runs,
        STUDENT,
        runs.lcm(),
        lambda model: runs.sigmas(model, "lcm", steps),
        1.0,
        {"samples": torch.zeros(1, 4, 16, 16)},
    )
    assert (made - expected).abs().max() <= MOST


@pytest.mark.parametrize("name", ["euler", "lcm"])
def test_headless_gives_the_same_picture(host, runs, pipelines, name):
    from fewstep.diffusion import sigmas, timesteps
    from fewstep.diffusion.process import VE
    from fewstep.samplers import landings
    from fewstep.samplers.noise import cpu_noise
    from fewstep.samplers.ode import sample_euler
    from fewstep.samplers.trajectory import sample_trajectory

    variant, cfg, spacing, steps = {
        "euler": (TEACHER, weights.GUIDANCE, "trailing", 50),
        "lcm": (STUDENT, 1.0, "lcm", 4),
    }[name]
    grid = timesteps.trailing(steps) if name == "euler" else timesteps.lcm_grid(steps)
    levels = sigmas.from_timesteps(grid, sigmas.sigma_table())
    pipeline, noise = pipelines(variant), initial_noise(1)
    denoise, x = pipeline.denoiser([CAPTION], cfg), noise * VE.std(levels[0])
    if name == "euler":
        latents = sample_euler(denoise, x, levels, process=VE)
    else:
        latents = sample_trajectory(
            denoise, x, levels, landings.lcm(levels), process=VE, noise=cpu_noise(x, SEED)
        )
    made = host_picture(
        runs,
        variant,
        runs.euler() if name == "euler" else runs.lcm(),
        lambda model: runs.sigmas(model, spacing, steps),
        cfg,
        {"samples": torch.zeros(1, 4, 16, 16)},
    )
    expected = torch.from_numpy(pipeline.decode(latents)).float()
    assert (made - expected).abs().max() <= MOST


# --- with other nodes -----------------------------------------------------------------------------


def latents_by_ksampler(model, clip, steps=3):
    import nodes

    return nodes.KSampler().sample(
        model,
        SEED,
        steps,
        weights.GUIDANCE,
        "euler",
        "simple",
        encode(clip, CAPTION),
        encode(clip, ""),
        {"samples": torch.zeros(1, 4, 16, 16)},
    )[0]["samples"]


def test_stock_nodes_make_a_picture_and_paint_over_it(host):
    import nodes

    model, clip, vae = demo()
    latents = latents_by_ksampler(model, clip)
    (images,) = nodes.VAEDecode().decode(vae, {"samples": latents})
    (encoded,) = nodes.VAEEncode().encode(vae, images)
    assert encoded["samples"].shape == latents.shape
    assert images.isfinite().all() and 0.0 <= images.min() and images.max() <= 1.0


def test_the_lora_fits_and_changes_the_model(host, caplog):
    from safetensors.torch import load_file

    caplog.set_level(logging.INFO)
    model, clip, _ = demo(STUDENT)
    changed = latents_by_ksampler(model, clip)
    complaints = [line for line in caplog.messages if "not load" in line.lower() or "ERROR" in line]
    assert complaints == []
    stems = {key.split(".")[0] for key in load_file(weights.LCM_LORA)}
    assert len(model.patches) == len(stems)
    teacher, clip, _ = demo()
    assert (latents_by_ksampler(teacher, clip) - changed).abs().max() > 1e-3


def test_the_student_leaves_the_teacher_alone(host):
    teacher, clip, _ = demo()
    before = latents_by_ksampler(teacher, clip)
    latents_by_ksampler(*demo(STUDENT)[:2])
    assert torch.equal(latents_by_ksampler(teacher, clip), before)


def test_a_clone_and_a_merge_with_itself_are_the_same_model(host):
    from comfy_extras.nodes_model_merging import ModelMergeSimple

    model, clip, _ = demo()
    expected = latents_by_ksampler(model, clip)
    assert torch.equal(latents_by_ksampler(model.clone(), clip), expected)
    (merged,) = ModelMergeSimple().merge(model, demo()[0], 0.25)
    torch.testing.assert_close(latents_by_ksampler(merged, clip), expected, rtol=1e-3, atol=1e-3)
    assert torch.equal(latents_by_ksampler(model, clip), expected)


def test_a_host_that_reloads_gets_the_same_model(host):
    model, clip, _ = demo()
    reload, arguments = model.cached_patcher_init
    again = reload(*arguments, disable_dynamic=True)
    assert again.model is not model.model
    assert torch.equal(latents_by_ksampler(again, clip), latents_by_ksampler(model, clip))

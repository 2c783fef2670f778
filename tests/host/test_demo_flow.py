"""FewStepDemoModel's flow teacher is the FLUX transformer that diffusers loads, with any weights.

The weights are random: trained ones would hide a part that has no effect yet.
"""

import copy
import importlib

import numpy as np
import pytest
import torch
from flow_files import write_flow_model
from host.test_demo_model import CAPTION, MOST, SEED, demo, eight_bit, encode, initial_noise
from safetensors.torch import load_file

from fewstep.demo import weights

FLOW = "flow teacher"
CFG = 4.0


@pytest.fixture(scope="module")
def runs(host):
    return importlib.import_module("host.runs")


@pytest.fixture(scope="module", autouse=True)
def folder(tmp_path_factory):
    """The demo's weights with a random flow teacher, in place of those that are shipped."""
    folder, shipped = tmp_path_factory.mktemp("weights"), weights.FOLDER
    write_flow_model(folder, shipped, weights.FLOW)
    weights.FOLDER = folder
    yield folder
    weights.FOLDER = shipped


@pytest.fixture(scope="module")
def pipeline(folder):
    return importlib.import_module("fewstep.headless.flow_pipeline").load_flow_demo()


def transformer_of_diffusers(pipeline, x, sigma, states, pooled):
    """The prediction of noise - x0, packed as diffusers' own pipeline packs latents."""
    flux = importlib.import_module("diffusers").FluxPipeline
    batch, channels, height, width = x.shape
    ids = flux._prepare_latent_image_ids(batch, height // 2, width // 2, "cpu", torch.float32)
    velocity = pipeline.transformer(
        hidden_states=flux._pack_latents(x, batch, channels, height, width),
        timestep=torch.full((batch,), sigma),
        pooled_projections=pooled,
        encoder_hidden_states=states,
        txt_ids=torch.zeros(states.shape[1], 3),
        img_ids=ids,
    ).sample
    return flux._unpack_latents(velocity, 8 * height, 8 * width, 8)


def read(pipeline, texts):
    """States and pooled state of transformers' text encoder."""
    tokens = pipeline.tokenizer(texts, padding="max_length", return_tensors="pt").input_ids
    made = pipeline.text_encoder(tokens)
    return made.last_hidden_state, made.pooler_output


# --- the network ----------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(16, 16), (8, 20)])
@pytest.mark.parametrize("sigma", [0.0, 0.25, 1.0])
def test_one_network_pass_is_that_of_diffusers(host, pipeline, sigma, size):
    network = demo(FLOW)[0].model.diffusion_model
    states, pooled = read(pipeline, [CAPTION, ""])
    x = torch.randn((2, 4, *size), generator=torch.Generator().manual_seed(SEED))
    expected = transformer_of_diffusers(pipeline, x, sigma, states, pooled)
    made = network(x, torch.full((2,), sigma), states, pooled)
    assert expected.std() > 0.1
    torch.testing.assert_close(made, expected, rtol=1e-4, atol=1e-4)


def test_the_network_looks_at_the_pooled_text_and_at_the_level(host, pipeline):
    network = demo(FLOW)[0].model.diffusion_model
    states, pooled = read(pipeline, [CAPTION])
    x, sigma = initial_noise(1), torch.tensor([0.5])
    made = network(x, sigma, states, pooled)
    assert (network(x, sigma, states, 0 * pooled) - made).abs().max() > 0.01
    assert (network(x, 0.9 * sigma, states, pooled) - made).abs().max() > 0.01


@pytest.mark.parametrize("text", [CAPTION, "", "circle", "a zebra in the snow"])
def test_the_prompt_brings_the_state_at_its_end(host, pipeline, text):
    [[states, extra]] = encode(demo(FLOW)[1], text)
    expected, pooled = read(pipeline, [text])
    torch.testing.assert_close(states, expected, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(extra["pooled_output"], pooled, rtol=1e-5, atol=1e-5)


def random_student(path, transformer):
    """The file of a student of 2 steps, of no use."""
    network = importlib.import_module("fewstep.headless.network")
    prediction = importlib.import_module("fewstep.diffusion.prediction").FLOW_VELOCITY
    layers = network.DiffusersNetwork(
        transformer, prediction, {"states": torch.zeros(2, 32, 128), "pooled": torch.zeros(2, 128)}
    ).hooks
    generator = torch.Generator().manual_seed(3)
    lora = importlib.import_module("fewstep.distill.lora").Lora(layers.layers, 2, 2.0, generator)
    for up in lora.up:
        up.data.normal_(std=0.1, generator=generator)
    layers.close()
    recipe = importlib.import_module("fewstep.recipes.students").student_recipe(
        *("2 steps", "fewstep", "fewstep-demo-flow", "flow"), steps=2, counts=(2,), shift=2.0
    )
    family = importlib.import_module("fewstep.headless.families").family_of(transformer)
    write = importlib.import_module("fewstep.headless.student_file").write_student
    write(path, lora, family, recipe, "a random flow teacher")


def test_a_student_of_the_flow_teacher_is_a_variant_of_its_own(
    host, pipeline, tmp_path, monkeypatch
):
    monkeypatch.setattr(weights, "STUDENTS", tmp_path)
    random_student(tmp_path / "flow_two_steps.safetensors", pipeline.transformer)
    model = demo("flow teacher + two steps")[0]
    merged = copy.deepcopy(pipeline.transformer)
    importlib.import_module("fewstep.headless.lora").merge(
        merged, load_file(tmp_path / "flow_two_steps.safetensors"), component="transformer"
    )
    states, pooled = read(pipeline, [CAPTION])
    words = 0.5, states, pooled
    expected = transformer_of_diffusers(
        pipeline._replace(transformer=merged), initial_noise(1), *words
    )
    untrained = transformer_of_diffusers(pipeline, initial_noise(1), *words)
    model.patch_model()
    made = model.model.diffusion_model(initial_noise(1), torch.tensor([0.5]), states, pooled)
    model.unpatch_model()
    torch.testing.assert_close(made, expected, rtol=1e-3, atol=1e-3)
    assert (expected - untrained).abs().max() > 0.1


# --- the noise levels -----------------------------------------------------------------------------


def test_the_model_tells_its_shifted_flow_levels(host, runs, monkeypatch):
    monkeypatch.setattr(weights, "FLOW_SHIFT", 2.0)
    # 2 t / (1 + t)
    expected = torch.tensor([1.0, 8 / 9, 3 / 4, 4 / 7, 1 / 3, 0.0])
    torch.testing.assert_close(runs.sigmas(demo(FLOW)[0], "trailing", 5), expected)


def test_noise_is_added_and_removed_as_a_flow(host):
    sampling = demo(FLOW)[0].get_model_object("model_sampling")
    x0, noise, level = torch.tensor([[2.0]]), torch.tensor([[-4.0]]), torch.tensor([0.25])
    assert sampling.noise_scaling(level, noise, x0).item() == 0.5
    assert sampling.calculate_denoised(level, noise - x0, torch.tensor([[0.5]])).item() == 2.0
    assert sampling.timestep(level).item() == 0.25


# --- pictures -------------------------------------------------------------------------------------


def host_picture(runs, steps, cfg, batch):
    import nodes

    model, clip, vae = demo(FLOW)
    samples = runs.sample(
        model,
        runs.euler(),
        runs.sigmas(model, "trailing", steps),
        {"samples": torch.zeros(batch, 4, 16, 16)},
        cfg=cfg,
        seed=SEED,
        positive=encode(clip, CAPTION),
        negative=encode(clip, ""),
    )
    return eight_bit(nodes.VAEDecode().decode(vae, {"samples": samples})[0])


def diffusers_picture(pipeline, steps, cfg, noise):
    """The picture of a plain diffusers loop, none of our code in it."""
    scheduler = importlib.import_module("diffusers").FlowMatchEulerDiscreteScheduler(
        shift=weights.FLOW_SHIFT
    )
    scheduler.set_timesteps(sigmas=np.linspace(1.0, 1.0 / steps, steps))
    states, pooled = read(pipeline, [CAPTION, ""])
    x, batch = noise, len(noise)
    for t, sigma in zip(scheduler.timesteps, scheduler.sigmas.tolist(), strict=False):
        velocity, uncond = (
            transformer_of_diffusers(
                pipeline,
                x,
                sigma,
                states[i : i + 1].expand(batch, -1, -1),
                pooled[i : i + 1].expand(batch, -1),
            )
            for i in range(2)
        )
        x = scheduler.step(uncond + cfg * (velocity - uncond), t, x).prev_sample
    pictures = pipeline.vae.decode(x).sample.clamp(-1, 1)
    return ((pictures + 1) * 127.5).round().movedim(1, -1)


@pytest.mark.parametrize(("steps", "cfg"), [(7, 1.0), (12, CFG)])
def test_euler_gives_the_picture_of_diffusers(host, runs, pipeline, steps, cfg):
    expected = diffusers_picture(pipeline, steps, cfg, initial_noise(2))
    made = host_picture(runs, steps, cfg, 2)
    assert expected.std() > 1
    assert (made - expected).abs().max() <= MOST


def test_headless_gives_the_same_picture(host, runs, pipeline):
    from fewstep.diffusion.process import FLOW as process
    from fewstep.diffusion.sigmas import flow_trailing
    from fewstep.samplers.ode import sample_euler

    levels = flow_trailing(10, weights.FLOW_SHIFT)
    denoise = pipeline.denoiser([CAPTION], CFG)
    latents = sample_euler(denoise, initial_noise(1), levels, process=process)
    expected = torch.from_numpy(pipeline.decode(latents)).float()
    assert (host_picture(runs, 10, CFG, 1) - expected).abs().max() <= MOST


# --- with other nodes -----------------------------------------------------------------------------


def latents_by_ksampler(model, clip):
    import nodes

    return nodes.KSampler().sample(
        model,
        SEED,
        3,
        CFG,
        "euler",
        "simple",
        encode(clip, CAPTION),
        encode(clip, ""),
        nodes.EmptyLatentImage().generate(128, 128, 1)[0],
    )[0]["samples"]


def test_a_clone_and_a_reloaded_model_are_the_same_model(host):
    model, clip, _ = demo(FLOW)
    expected = latents_by_ksampler(model, clip)
    assert expected.shape == (1, 4, 16, 16) and expected.isfinite().all()
    assert torch.equal(latents_by_ksampler(model.clone(), clip), expected)
    reload, arguments = model.cached_patcher_init
    again = reload(*arguments, disable_dynamic=True)
    assert again.model is not model.model
    assert torch.equal(latents_by_ksampler(again, clip), expected)


def test_without_its_weights_the_node_says_what_is_missing(host, folder, monkeypatch, tmp_path):
    (tmp_path / "vae").symlink_to(folder / "vae")
    (tmp_path / "text_encoder").symlink_to(folder / "text_encoder")
    monkeypatch.setattr(weights, "FOLDER", tmp_path)
    with pytest.raises(FileNotFoundError, match="has no flow_transformer in"):
        demo(FLOW)


def test_the_flow_teacher_is_offered_where_its_weights_are(host, folder, tmp_path, monkeypatch):
    from fewstep.nodes.demo import variants

    assert FLOW in variants()
    monkeypatch.setattr(weights, "FOLDER", tmp_path)
    (tmp_path / "unet").mkdir()
    assert FLOW not in variants() and "teacher" in variants()

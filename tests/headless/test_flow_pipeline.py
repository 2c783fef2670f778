"""The flow teacher on diffusers: packing, levels, guidance, and the core's sampler on it."""

import importlib

import pytest
import torch
from diffusers import FluxPipeline
from flow_files import random_flow_transformer, write_flow_model

from fewstep.demo import weights
from fewstep.diffusion.process import FLOW
from fewstep.diffusion.sigmas import flow_trailing
from fewstep.headless.flow_pipeline import denoised_of, velocity_of
from fewstep.samplers.ode import sample_euler

CAPTIONS = ["a red circle left of a small blue square", "a green star on a pink background"]


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory):
    folder, shipped = tmp_path_factory.mktemp("weights"), weights.FOLDER
    write_flow_model(folder, shipped, weights.FLOW)
    weights.FOLDER = folder
    yield importlib.import_module("fewstep.headless.flow_pipeline").load_flow_demo()
    weights.FOLDER = shipped


def drawn(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("size", [(16, 16), (6, 10)])
def test_latents_are_packed_and_placed_as_diffusers_own_pipeline_does(size):
    transformer, (height, width) = random_flow_transformer(), size
    x, states, pooled = drawn(3, 4, *size), drawn(3, 32, 128), drawn(3, 128)
    sigma = torch.tensor([0.1, 0.5, 1.0])
    places = FluxPipeline._prepare_latent_image_ids(
        1, height // 2, width // 2, "cpu", torch.float32
    )
    tokens = transformer(
        hidden_states=FluxPipeline._pack_latents(x, 3, 4, height, width),
        timestep=sigma,
        pooled_projections=pooled,
        encoder_hidden_states=states,
        txt_ids=torch.zeros(32, 3),
        img_ids=places,
    ).sample
    expected = FluxPipeline._unpack_latents(tokens, 8 * height, 8 * width, 8)
    assert expected.std() > 0.1
    torch.testing.assert_close(velocity_of(transformer, x, sigma, states, pooled), expected)


def test_the_estimate_goes_back_along_the_velocity_by_the_level_of_each_picture():
    transformer, x = random_flow_transformer(), drawn(2, 4, 8, 8)
    texts = drawn(2, 32, 128), drawn(2, 128)
    sigma = torch.tensor([0.25, 0.75])
    velocity = velocity_of(transformer, x, sigma, *texts)
    denoised = denoised_of(transformer, x, sigma, *texts)
    torch.testing.assert_close(denoised[0], x[0] - 0.25 * velocity[0])
    torch.testing.assert_close(denoised[1], x[1] - 0.75 * velocity[1])


def test_a_caption_is_told_by_its_states_and_the_one_at_its_end(pipeline):
    texts = pipeline.encode(CAPTIONS)
    for row, caption in enumerate(CAPTIONS):
        # every word of the world is one token, and one begins the caption
        end = len(caption.split()) + 1
        assert torch.equal(texts.pooled[row], texts.states[row, end])
    assert not torch.equal(texts.pooled[0], texts.pooled[1])


def test_guidance_leads_away_from_the_empty_caption(pipeline):
    x = drawn(2, 4, 16, 16)
    with torch.inference_mode():
        cond = pipeline.denoiser(CAPTIONS)(x, 0.6)
        uncond = pipeline.denoiser(["", ""])(x, 0.6)
        guided = pipeline.denoiser(CAPTIONS, 3.0)(x, 0.6)
    assert (cond - uncond).abs().max() > 0.01
    torch.testing.assert_close(guided, uncond + 3.0 * (cond - uncond), rtol=1e-4, atol=1e-4)


def test_a_picture_depends_on_its_own_caption_and_noise_only(pipeline):
    x = drawn(2, 4, 16, 16)
    with torch.inference_mode():
        both = pipeline.denoiser(CAPTIONS, 2.0)(x, 0.6)
        second = pipeline.denoiser(CAPTIONS[1:], 2.0)(x[1:], 0.6)
    torch.testing.assert_close(both[1:], second, rtol=1e-5, atol=1e-5)


def test_the_cores_euler_walks_the_flow_down_to_clean(pipeline):
    levels, x = flow_trailing(3, weights.FLOW_SHIFT), drawn(1, 4, 16, 16)
    with torch.inference_mode():
        texts = pipeline.encode(CAPTIONS[:1])
        expected = x
        for sigma, sigma_next in zip(levels, levels[1:], strict=False):
            velocity = velocity_of(pipeline.transformer, expected, torch.tensor([sigma]), *texts)
            expected = expected + (sigma_next - sigma) * velocity
        denoise = pipeline.denoiser(CAPTIONS[:1])
        made = sample_euler(denoise, x, levels, process=FLOW)
    torch.testing.assert_close(made, expected, rtol=1e-5, atol=1e-5)


def test_guidance_that_cannot_be_told_is_refused(pipeline):
    with pytest.raises(ValueError, match="^guidance is 3, and the flow teacher has no input for"):
        pipeline.denoiser(CAPTIONS, guidance=3.0)

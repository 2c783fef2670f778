"""FLUX's kind is told its guidance by FewStep as ComfyUI's FluxGuidance would tell it."""

import dataclasses
import importlib

import pytest
import torch
from host.test_structure import FLUX

SEED, STEPS = 3, 2
SMALL = {
    "in_channels": 16,
    "out_channels": 16,
    "vec_in_dim": 8,
    "context_in_dim": 16,
    "hidden_size": 64,
    "num_heads": 2,
    "depth": 1,
    "depth_single_blocks": 1,
    "axes_dim": [8, 12, 12],
}


@pytest.fixture(scope="module")
def flux(host):
    """(whether it has the input) -> a MODEL of FLUX's class, small and random."""
    models = importlib.import_module("comfy.supported_models")
    params = importlib.import_module("comfy.ldm.flux.model").FluxParams
    known = {field.name for field in dataclasses.fields(params)}
    patcher = importlib.import_module("comfy.model_patcher").ModelPatcher

    def made(has_input=True):
        options = {key: value for key, value in {**FLUX, **SMALL}.items() if key in known}
        config = models.Flux({**options, "guidance_embed": has_input, "image_model": "flux"})
        config.set_inference_dtype(torch.float32, None)
        model = config.get_model({}, "", device="cpu")
        host.initialise(model.diffusion_model, seed=1)
        device = torch.device("cpu")
        return patcher(model, load_device=device, offload_device=device)

    return made


def words(guidance=None):
    """CONDITIONING as FLUX's encoder gives it, with FluxGuidance behind it."""
    generator = torch.Generator().manual_seed(2)
    pooled = torch.randn(1, 8, generator=generator)
    made = [[torch.randn(1, 5, 16, generator=generator), {"pooled_output": pooled}]]
    if guidance is None:
        return made
    helpers = importlib.import_module("node_helpers")
    return helpers.conditioning_set_values(made, {"guidance": guidance})


def sampled(model, positive):
    """Latents of two steps of ComfyUI's own nodes."""
    nodes = importlib.import_module("nodes")
    latent = {"samples": torch.zeros(2, 16, 4, 4)}
    made = nodes.KSampler().sample(
        *(model, SEED, STEPS, 1.0, "euler", "simple", positive, words(), latent)
    )
    return made[0]["samples"]


@pytest.mark.parametrize("guidance", [1.0, 2.5, 4.0])
def test_guidance_told_by_fewstep_is_that_of_flux_guidance(flux, guidance):
    node = importlib.import_module("fewstep.nodes").FewStepGuidance
    model = flux()
    expected = sampled(model, words(guidance))
    told = node.execute(model, guidance)[0]
    assert torch.equal(sampled(told, words()), expected)
    # whatever the prompt carries, and however often it was told before
    again = node.execute(node.execute(model, 9.0)[0], guidance)[0]
    assert torch.equal(sampled(again, words(7.0)), expected)
    assert torch.equal(sampled(model, words(guidance)), expected)


def test_guidance_changes_the_picture(flux):
    node = importlib.import_module("fewstep.nodes").FewStepGuidance
    model = flux()
    weak, strong = (sampled(node.execute(model, g)[0], words()) for g in (1.0, 4.0))
    assert (weak - strong).abs().max() > 1e-3


def test_a_recipe_with_told_guidance_tells_its_own(flux):
    ours = importlib.import_module("fewstep.nodes")
    model = flux()
    recipe = ours.FewStepRecipe.execute("flux1-turbo-alpha", 0)[0]
    applied, _, sigmas, cfg = ours.FewStepApply.execute(model, recipe, 0.0).result[:4]
    assert cfg == 1.0 and len(sigmas) == 9
    assert torch.equal(sampled(applied, words()), sampled(model, words(3.5)))


def test_schnell_has_no_input_for_guidance(flux):
    node = importlib.import_module("fewstep.nodes").FewStepGuidance
    with pytest.raises(ValueError, match="the network of model has no input for it"):
        node.execute(flux(has_input=False), 3.5)

"""Each pipeline of diffusers is told its guidance in the words that it has."""

import inspect

import diffusers
import pytest

from fewstep.headless.pipeline_guidance import PIPELINES, guided

FORMULAS = {
    # uncond + s (cond - uncond), or cond + w (cond - uncond) where it is less by 1
    0.0: ("uncond + self.guidance_scale *", "uncond + guidance_scale *", "neg_noise_pred +"),
    1.0: ("pred = pos + current_guidance_scale * (pos - neg)",),
}


@pytest.mark.parametrize("name", PIPELINES)
def test_a_pipeline_has_the_words_and_the_formula(name):
    kind, words = getattr(diffusers, name), PIPELINES[name]
    arguments = inspect.signature(kind.__call__).parameters
    assert {"prompt", "width", "height", "generator", "output_type"} <= arguments.keys()
    assert {words.cfg or "guidance_scale"} <= arguments.keys()
    assert ("negative_prompt" in arguments) == words.negative
    source = inspect.getsource(kind)
    assert words.cfg is None or any(formula in source for formula in FORMULAS[words.less])


@pytest.mark.parametrize(
    ("name", "network", "given", "call"),
    [
        ("StableDiffusionPipeline", {}, (4.0, None), {"guidance_scale": 4.0}),
        ("ZImagePipeline", {}, (1.0, None), {"guidance_scale": 0.0}),
        ("FluxPipeline", {}, (1.0, None), {"true_cfg_scale": 1.0}),
        (
            "FluxPipeline",
            {"guidance_embeds": True},
            (None, 3.5),
            {"guidance_scale": 3.5, "true_cfg_scale": 1.0},
        ),
        # a full LCM UNet, whose pipeline takes 1 off by itself
        (
            "StableDiffusionPipeline",
            {"time_cond_proj_dim": 256},
            (None, 8.0),
            {"guidance_scale": 8.0},
        ),
    ],
)
def test_guidance_is_told_in_the_pipelines_words(name, network, given, call):
    cfg, guidance = given
    assert guided(name, network, cfg, guidance).call == call

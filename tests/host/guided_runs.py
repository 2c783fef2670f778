"""Runs under FewStepGuider and under ComfyUI's own guiders, through the nodes."""

import importlib

from host.test_recipe_runs import RECIPES

LCM, LIGHTNING, PCM, FLUX = (
    "lcm-lora-sd15",
    "sdxl-lightning-4step-lora",
    "pcm-sd15-normalcfg-8step",
    "flux1-turbo-alpha",
)
# the first of 4 steps: 999 alone of trailing's 999, 749, 499, 249 and of LCM's 999, 759, 499, 259
FIRST = {"start_percent": 0.0, "end_percent": 0.2}
PLAIN = {}
EVERYWHERE = {"cfg": 2.0}
ONLY_FIRST = {"cfg": 2.0, **FIRST}


def guided(model, positive, negative=None, recipe=None, **inputs):
    """GUIDER and report of FewStepGuider."""
    node = importlib.import_module("fewstep.nodes").FewStepGuider
    inputs = {"guidance": 0.0, "cfg": 0.0, "start_percent": 0.0, "end_percent": 1.0} | inputs
    words = {"positive": positive, "negative": negative}
    recipe = RECIPES[recipe] if isinstance(recipe, str) else recipe
    return node.execute(model=model, recipe=recipe, **words, **inputs).result


def guider(host, model, **inputs):
    words = {"positive": host.conditioning(1), "negative": host.conditioning(2)}
    return guided(model, **{**words, **inputs})[0]


def sampled(guider, sampler, sigmas, latent, seed=3):
    """Latents of SamplerCustomAdvanced."""
    extras = importlib.import_module("comfy_extras.nodes_custom_sampler")
    noise = extras.Noise_RandomNoise(seed)
    node = extras.SamplerCustomAdvanced()
    return node.sample(noise, guider, sampler, sigmas, latent)[0]["samples"]


def cfg_guider(core, model, positive, negative, cfg):
    return core.CFGGuider().get_guider(model, positive, negative, cfg)[0]


def basic_guider(core, model, positive):
    return core.BasicGuider().get_guider(model, positive)[0]


def areas(host):
    """A prompt for the left half and one for the right, which overlap by nothing."""
    nodes = importlib.import_module("nodes")
    halves = [
        nodes.ConditioningSetAreaPercentage().append(words, 0.5, 1.0, x, 0.0, 1.0)[0]
        for words, x in ((host.conditioning(1), 0.0), (host.conditioning(5), 0.5))
    ]
    return nodes.ConditioningCombine().combine(*halves)[0]


def passes_logged(caplog):
    lines = [r.getMessage() for r in caplog.records if "network pass" in r.getMessage()]
    return [line.removeprefix("FewStep: ") for line in lines]

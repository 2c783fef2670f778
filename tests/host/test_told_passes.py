"""Our samplers tell the window that runs them how often the network was called."""

import pytest
from host.messages import messages
from host.test_recipe_api import custom, node, prompt_of, sample


def sampled(sampler, cfg):
    levels = {"spacing": "trailing", "steps": 4, "denoise": 1.0, "timesteps": ""}
    return prompt_of(
        custom(["demo", 0], ["sampler", 0], ["levels", 0], cfg),
        sampler=sampler,
        levels=node("FewStepSigmas", model=["demo", 0], **levels),
    )


@pytest.mark.parametrize("cfg, passes", [(1.0, 4), (1.5, 8)])
@pytest.mark.parametrize(
    "sampler",
    [
        node("FewStepSamplerLCM"),
        node("FewStepSamplerTCD", eta=0.3),
        node("FewStepSamplerEuler", start="sigma"),
    ],
    ids=["lcm", "tcd", "euler"],
)
def test_a_sampler_in_a_node_of_comfyui_tells_its_passes(server, sampler, cfg, passes):
    run, told = messages(server, sampled(sampler, cfg), "fewstep.passes")
    assert told == [{"prompt_id": run, "passes": passes}]


def guided():
    """As with SamplerCustom, by FewStepGuider, which says itself how many passes it took."""
    prompt = sampled(node("FewStepSamplerLCM"), 1.0)
    span = {"guidance": 0.0, "cfg": 0.0, "start_percent": 0.0, "end_percent": 1.0}
    ways = {"noise": ["noise", 0], "guider": ["guider", 0], "sampler": ["sampler", 0]}
    ways |= {"sigmas": ["levels", 0], "latent_image": ["latent", 0]}
    return prompt | {
        "noise": node("RandomNoise", noise_seed=1),
        "guider": node("FewStepGuider", model=["demo", 0], positive=["words", 0], **span),
        "samples": node("SamplerCustomAdvanced", **ways),
    }


@pytest.mark.parametrize(
    "prompt",
    [guided(), prompt_of(sample(["demo", 0], ["recipe", 0]), variant="teacher + LCM-LoRA")],
    ids=["guider", "sample"],
)
def test_where_a_node_says_them_the_sampler_does_not(server, prompt):
    assert messages(server, prompt, "fewstep.passes")[1] == []

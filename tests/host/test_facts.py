"""What nodes know of their run stands in ComfyUI's history, needs no page, and comes anew."""

import urllib.error

import pytest
import torch
from host.messages import messages
from host.test_lora_dialects import LAYERS, shipped
from host.test_recipe_api import LCM, lora, loras, node, prompt_of, sample, text
from host.test_texts import cached_and_guided
from safetensors.torch import save_file

__all__ = ["loras"]
# one that people may well have, and that a page must not take for HTML
NAME = "<img src=x onerror=alert(1)>.safetensors"


@pytest.fixture
def partial(loras):
    """The demo LoRA with one layer that fits nothing."""
    more = {"lora_unet_nowhere.lora_down.weight": torch.ones(2, 8)}
    more["lora_unet_nowhere.lora_up.weight"] = torch.ones(8, 2)
    save_file(shipped() | more, loras / NAME)
    return NAME


def prompt(name):
    loader = lora(name)
    loader["inputs"]["if_unsure"] = "warn"
    model, recipe = ["lora", 0], ["lora", 1]
    sigmas = {"spacing": "lcm", "steps": 4, "denoise": 0.5, "timesteps": ""}
    span = {"guidance": 0.0, "cfg": 0.0, "start_percent": 0.0, "end_percent": 1.0}
    return prompt_of(
        sample(model, recipe),
        lora=loader,
        apply=node("FewStepApply", model=model, recipe=recipe, guidance=7.0),
        sigmas=node("FewStepSigmas", model=model, **sigmas),
        check=node("FewStepCheck", model=model, sigmas=["sigmas", 0]),
        guider=node("FewStepGuider", model=model, positive=["words", 0], **span),
        file=node("FewStepIdentify", file=name),
        shown_apply=text(["apply", 4]),
        shown_check=text(["check", 0]),
        shown_guider=text(["guider", 1]),
        shown_file=text(["file", 1]),
    )


def levels_alone(variant, spacing, denoise):
    """Four steps' noise levels for the demo model, and nothing that is made with them."""
    levels = {"spacing": spacing, "steps": 4, "denoise": denoise, "timesteps": ""}
    return {
        "demo": node("FewStepDemoModel", variant=variant),
        "sigmas": node("FewStepSigmas", model=["demo", 0], **levels),
        "shown": text(["sigmas", 0]),
    }


def facts(outputs):
    """Facts by node; each is a list of [name, value]."""
    return {name: dict(told["fewstep"]) for name, told in outputs.items() if "fewstep" in told}


def level(timestep):
    """sqrt((1 - alpha_bar) / alpha_bar) of SD's betas."""
    roots = torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64)
    alpha_bar = torch.cumprod(1 - roots**2, dim=0)[timestep].item()
    return ((1 - alpha_bar) / alpha_bar) ** 0.5


def test_the_history_tells_what_every_node_found(host, server, partial):
    told = facts(server.client.run(prompt(partial)))
    assert told.keys() == {"lora", "apply", "samples", "sigmas", "check", "guider", "file"}
    loader = told["lora"]
    assert (loader["verdict"], loader["verdicts"][0]["subject"]) == ("does not fit", "coverage")
    assert loader["identification"]["file"] == NAME
    assert loader["identification"]["recipe"] == LCM
    covered = loader["coverage"]
    assert (covered["matched"], covered["layers"]) == (LAYERS, LAYERS + 1)
    assert sum(counts.get("matched", 0) for counts in covered["blocks"].values()) == LAYERS
    assert covered["blocks"]["nowhere"] == {"unmatched": 1}
    wrong = {one["subject"] for one in told["apply"]["verdicts"] if one["verdict"] != "fits"}
    assert wrong == {"cfg", "coverage"}
    run = told["samples"]["run"]
    assert (run["passes"], run["steps"]) == (4, 4) and 0 < run["seconds"] < 60
    assert told["check"]["verdict"] == told["guider"]["verdict"] == "does not fit"
    # its header does not tell what Recipe (FewStep) has said by hand
    assert told["file"]["verdict"] == "unsure"


def test_the_curve_is_the_levels_in_use_over_all_that_were_trained(host, server, partial):
    told = facts(server.client.run(prompt(partial)))
    grid = [*(level(999 - 20 * i) for i in range(50)), 0.0]
    for name, timesteps in {"sigmas": (499, 379, 259, 139), "apply": (999, 759, 499, 259)}.items():
        curve = told[name]["curve"]
        assert curve["axis"] == "log"
        assert curve["sigmas"] == pytest.approx([*map(level, timesteps), 0.0], rel=1e-5)
        assert curve["grid"] == pytest.approx(grid, rel=1e-5)


def test_a_flow_model_has_its_own_shifted_levels_on_an_even_axis(server):
    flow = levels_alone("flow teacher", "trailing", 0.5)
    curve = facts(server.client.run(flow))["sigmas"]["curve"]
    assert curve["axis"] == "linear"
    whole = [2 * u / (1 + u) for u in (1, 0.75, 0.5, 0.25, 0)]
    assert curve["grid"] == pytest.approx(whole, rel=1e-5)
    assert curve["sigmas"] == pytest.approx(whole[2:], rel=1e-5)


def test_a_run_in_which_everything_is_cached_tells_the_same(host, server, partial):
    first, second = (facts(server.client.run(prompt(partial))) for _ in range(2))
    # the time too, so that nothing was done again
    assert second == first


def test_comfyui_takes_no_fact_for_a_file_of_the_run(server):
    prompt_id = server.client.queue(levels_alone("teacher", "lcm", 1.0))
    entry = server.client.wait(prompt_id)
    assert all(isinstance(one, list) for one in entry["outputs"]["sigmas"]["fewstep"])
    try:
        job = server.client.get_json(f"/api/jobs/{prompt_id}")
    except urllib.error.HTTPError:
        pytest.skip("this ComfyUI has no list of jobs")
    assert job["outputs_count"] == 0


def test_a_cache_tells_what_it_saved_after_the_run(host, server):
    # their node has ended long before
    _, (told,) = messages(server, cached_and_guided(), "fewstep.facts")
    assert told["node"] == "2"
    run = told["facts"]["run"]
    # 12 steps, 6 of them with cfg
    assert (run["passes"], run["steps"]) == (18, 12)
    assert 0 < run["saved"] < 12 and run["seconds"] > 0

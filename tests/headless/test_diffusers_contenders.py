"""How a model makes its pictures is settled, or refused, from its configs alone."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from tiny_pipelines import DDIM, save_flux, save_sd

from fewstep.evaluate.golden_set import Golden
from fewstep.headless import diffusers_contenders
from fewstep.headless.diffusers_contenders import contenders_of, plan_of
from fewstep.headless.evaluation_config import EvaluationConfig, GoldenChoice, Model, Pictures
from fewstep.recipes.own import KEY, describe
from fewstep.recipes.students import student_recipe

CPU = torch.device("cpu")
ROWS = [Golden("a red circle", None, 0, (), 64, 64), Golden("a star", None, 1, (), 96, 64)]
STUDENT = student_recipe("Mine", "segments", "sd15", "eps", steps=4, counts=(2, 4))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """ "sd" and "flux", and LoRAs that say what they are, or nothing."""
    found = tmp_path_factory.mktemp("models")
    save_sd(found / "sd")
    save_flux(found / "flux")
    tensors = {
        "lora_unet_mid_block_attentions_0_proj_in.lora_down.weight": torch.zeros(1, 16, 1, 1)
    }
    told = {"mine": {KEY: json.dumps(describe(STUDENT))}, "nameless": None, "lcm-lora-sdv1-5": None}
    for name, metadata in told.items():
        save_file(tensors, found / f"{name}.safetensors", metadata)
    return found


def model(folder, kind="sd", **given):
    lora = given.pop("lora", None)
    return Model("mine", folder / kind, lora=lora and folder / f"{lora}.safetensors", **given)


def contender(one, rows=ROWS, pictures=None):
    choice = GoldenChoice("demo", None)
    pictures = pictures or Pictures(Path("out"))
    return contenders_of(EvaluationConfig(rows, choice, pictures, [one], None), CPU)[0]


def test_a_recipe_in_the_file_settles_everything(folder):
    found = plan_of(model(folder, recipe="auto", lora="mine"))
    assert type(found.sampling.scheduler).__name__ == "EulerDiscreteScheduler"
    assert found.sampling.call == {"num_inference_steps": 4}
    assert found.guided == (1.0, {"guidance_scale": 1.0})
    assert (found.passes, found.lora_strength, found.multiple) == (4, 1.0, 8)


def test_what_is_set_beside_a_recipe_takes_its_place(folder):
    found = plan_of(model(folder, recipe="auto", lora="mine", steps=2, lora_strength=0.5))
    assert (found.passes, found.lora_strength) == (2, 0.5)
    ours = plan_of(model(folder, recipe="pcm-sd15-normalcfg-4step", lora="nameless", cfg=7.5))
    assert (ours.passes, ours.guided.call) == (8, {"guidance_scale": 7.5})


def test_by_hand_a_scheduler_keeps_what_the_folder_says_of_the_model(folder):
    wanted = {"class": "EulerDiscreteScheduler", "timestep_spacing": "linspace"}
    found = plan_of(model(folder, steps=3, cfg=2.0, scheduler=wanted)).sampling
    config = found.scheduler.config
    assert (config.beta_start, config.timestep_spacing) == (DDIM["beta_start"], "linspace")
    own = plan_of(model(folder, steps=3, cfg=2.0)).sampling
    assert type(own.scheduler).__name__ == "DDIMScheduler"


@pytest.mark.parametrize(
    ("scheduler", "passes"), [("HeunDiscreteScheduler", 7), ("PNDMScheduler", 5)]
)
def test_passes_are_those_of_the_scheduler_and_twice_with_cfg(folder, scheduler, passes):
    one = model(folder, steps=4, cfg=1.0, scheduler={"class": scheduler})
    # without its Runge-Kutta steps PNDM asks for the second level twice
    one.scheduler.update({"skip_prk_steps": True} if scheduler == "PNDMScheduler" else {})
    assert contender(one).passes == passes
    assert contender(one._replace(cfg=2.0)).passes == 2 * passes


def test_eta_is_told_to_the_steps(folder):
    wanted = {"class": "TCDScheduler", "eta": 0.3}
    found = plan_of(model(folder, steps=4, cfg=1.0, scheduler=wanted)).sampling
    assert found.call == {"num_inference_steps": 4, "eta": 0.3}


def test_a_network_like_flux_dev_is_told_its_guidance_and_can_have_cfg_besides(folder):
    told = plan_of(model(folder, "flux", steps=4, guidance=3.5))
    assert (told.guided, told.passes) == ((1.0, {"guidance_scale": 3.5, "true_cfg_scale": 1.0}), 4)
    both = plan_of(model(folder, "flux", steps=4, guidance=3.5, cfg=2.0))
    assert both.guided.call["true_cfg_scale"] == 2.0 and both.passes == 8
    assert both.multiple == 16


def test_a_request_holds_all_that_pictures_depend_on(folder):
    given = {"recipe": "auto", "lora": "mine"}
    base = contender(model(folder, **given)).request
    others = [
        model(folder, **given, steps=2),
        model(folder, **given, lora_strength=0.5),
        model(folder, steps=4, cfg=1.0),
        model(folder, steps=4, cfg=2.0, lora="nameless"),
        model(folder, steps=4, cfg=2.0, lora="nameless", negative="blurry"),
        model(folder, steps=4, cfg=2.0, scheduler={"class": "LCMScheduler"}),
        model(folder, steps=4, cfg=2.0, scheduler={"class": "LCMScheduler", "clip_sample": True}),
        model(folder, "flux", steps=4, guidance=3.5),
        model(folder, "flux", steps=4, guidance=3.0),
    ]
    requests = [base, *(contender(one).request for one in others)]
    half = Pictures(Path("out"), dtype="bfloat16")
    requests.append(contender(model(folder, **given), pictures=half).request)
    assert len({json.dumps(request) for request in requests}) == len(requests)
    assert base == contender(model(folder, **given)._replace(name="another")).request


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"recipe": "lcm-lora-sd16"}, "recipe is 'lcm-lora-sd16'; .* such as lcm-lora-sd15"),
        ({"recipe": "lcm-lora-sd15"}, "recipe lcm-lora-sd15 is for a LoRA, and there is none"),
        ({"recipe": "auto"}, "recipe is 'auto', and there is neither a lora nor a file to ident"),
        ({"recipe": "auto", "lora": "nameless"}, "nameless.safetensors tells none for sure"),
        ({"recipe": "auto", "lora": "lcm-lora-sdv1-5"}, "for sure. .* It may be lcm-lora-sd15. W"),
        ({"recipe": "auto", "lora": "mine", "steps": 8}, "steps is 8; Mine allows 2 to 4"),
        ({"recipe": "auto", "lora": "mine", "cfg": 2.0}, "cfg is 2; Mine allows 1"),
        ({"recipe": "auto", "lora": "mine", "guidance": 2.0}, "guidance is 2, and .* no input"),
        ({"recipe": "sdxl-turbo-merge"}, "sdxl-turbo-merge has the sampler dpmpp_sde, which is"),
        ({"recipe": "flux1-schnell"}, "is for a model that predicts flow, and the scheduler of"),
        ({"steps": 4, "cfg": None}, "cfg is missing. Set it; 1 is off"),
        ({"steps": 4, "guidance": 3.5}, "guidance is 3.5, and the network of the model has no in"),
        ({"kind": "flux", "steps": 4}, "guidance is missing, and the network of the model is tol"),
        ({"steps": 4, "cfg": 1.0, "negative": "x"}, "negative is 'x', and at cfg 1 it does noth"),
        (
            {"steps": 4, "scheduler": {"class": "EulerScheduler"}},
            "scheduler class is 'EulerScheduler'; allowed is the name of a scheduler of diffusers",
        ),
        (
            {"steps": 4, "scheduler": {"class": "AutoencoderKL"}},
            "scheduler class is 'AutoencoderKL'; allowed is the name of a scheduler",
        ),
        (
            {"steps": 4, "scheduler": {"class": "DDIMScheduler", "spacing": "x"}},
            "scheduler has spacing as an option; DDIMScheduler allows class and num_train_time",
        ),
        (
            {"steps": 4, "scheduler": {"class": "DDIMScheduler", "beta_schedule": "x"}},
            "scheduler DDIMScheduler cannot be used so: x is not implemented",
        ),
        (
            {"steps": 4, "scheduler": {"class": "DDIMScheduler", "timestep_spacing": "x"}},
            "scheduler DDIMScheduler cannot be used so: x is not supported",
        ),
    ],
)
def test_what_cannot_be_is_refused_with_the_models_number(folder, given, message):
    if "scheduler" in given:
        given = {"cfg": 1.0, **given}
    with pytest.raises(ValueError, match=rf"\[model\] number 1: .*{message}"):
        contender(model(folder, **given))


@pytest.mark.parametrize(
    ("kind", "given", "size", "message"),
    [
        ("sd", {"cfg": 1.0}, (64, 76), "multiples of 8 pixels, and row 1 is 64 x 76"),
        ("flux", {"guidance": 3.5}, (64, 72), "multiples of 16 pixels, and row 1 is 64 x 72"),
    ],
)
def test_a_size_that_the_model_cannot_make_is_refused(folder, kind, given, size, message):
    rows = [Golden("a", None, 0, (), *size)]
    with pytest.raises(ValueError, match=message):
        contender(model(folder, kind, steps=4, **given), rows)


def changed(folder, tmp_path, **values):
    """A copy of the configs of "sd" with another model_index.json."""
    for path in (folder / "sd").rglob("*.json"):
        copy = tmp_path / "sd" / path.relative_to(folder / "sd")
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text(path.read_text())
    index = tmp_path / "sd" / "model_index.json"
    index.write_text(json.dumps(json.loads(index.read_text()) | values))
    return model(tmp_path, steps=4, cfg=2.0)


def test_a_pipeline_that_takes_no_negative_prompt_is_not_given_one(folder, tmp_path):
    one = changed(folder, tmp_path, _class_name="Flux2KleinPipeline")
    with pytest.raises(ValueError, match="negative is 'x', and Flux2KleinPipeline takes none"):
        contender(one._replace(negative="x"))
    with pytest.raises(ValueError, match="row 1 has a negative prompt, and Flux2KleinPipeline"):
        contender(one, [ROWS[0]._replace(negative="x")])
    lcm = changed(folder, tmp_path, _class_name="LatentConsistencyModelPipeline")
    with pytest.raises(ValueError, match="cfg is 2, and LatentConsistencyModelPipeline has no"):
        contender(lcm)


def test_a_pipeline_whose_guidance_is_not_known_is_refused(folder, tmp_path):
    one = changed(folder, tmp_path, _class_name="WanPipeline")
    with pytest.raises(ValueError, match="the folder is for a WanPipeline; allowed are StableDiff"):
        contender(one)
    with pytest.raises(ValueError, match="names no network that diffusers has"):
        contender(changed(folder, tmp_path, unet=[None, None]))


class Output:
    def __init__(self, images):
        self.images = images


@pytest.mark.parametrize(
    ("shape", "value", "message"),
    [
        ((64, 64, 3), np.nan, "mine: the picture of row 2 has values that are NaN or infinite"),
        ((64, 48, 3), 0.5, r"made pictures of the shape \[1, 64, 48, 3\] where \[1, 64, 64, 3\]"),
    ],
)
def test_what_is_no_picture_is_refused_with_its_row(folder, monkeypatch, shape, value, message):
    class Pipeline:
        def to(self, device):
            return self

        def set_progress_bar_config(self, disable):
            pass

        def __call__(self, **given):
            return Output(np.full((1, *shape), value))

    monkeypatch.setattr(diffusers_contenders, "load_pipeline", lambda *given: Pipeline())
    rows = [ROWS[1], ROWS[0]]
    maker = contender(model(folder, steps=4, cfg=1.0), rows).load()
    with pytest.raises(ValueError, match=message):
        maker(rows[1:])

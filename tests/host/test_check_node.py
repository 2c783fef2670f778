"""FewStepCheck names the one piece of a graph that does not fit, and nothing else."""

import importlib
import re

import pytest
import torch
from host.test_demo_model import demo
from host.test_lora_dialects import shipped
from host.test_recipe_runs import RECIPES, told

LCM, LIGHTNING, DMD2 = "lcm-lora-sd15", "sdxl-lightning-4step-lora", "dmd2-sdxl-4step-lora"
X0, WAN = "sdxl-lightning-1step-unet", "wan2.1-t2v-lightx2v"
QWEN, QWEN_FP8 = "qwen-image-lightning-4step", "qwen-image-fp8-lightning-4step"


@pytest.fixture
def nodes(host):
    return importlib.import_module("fewstep.nodes")


@pytest.fixture
def loras(host, tmp_path, monkeypatch):
    return importlib.import_module("host.shelves").shelf("loras", tmp_path / "l", monkeypatch)


# --- core's nodes ---------------------------------------------------------------------------------


def scheduled(model, scheduler, steps, denoise=1.0):
    extras = importlib.import_module("comfy_extras.nodes_custom_sampler")
    return extras.BasicScheduler().get_sigmas(model, scheduler, steps, denoise)[0]


def selected(sampler):
    extras = importlib.import_module("comfy_extras.nodes_custom_sampler")
    return extras.KSamplerSelect().get_sampler(sampler)[0]


def read_as(model, sampling):
    extras = importlib.import_module("comfy_extras.nodes_model_advanced")
    return extras.ModelSamplingDiscrete().patch(model, sampling, False)[0]


def shifted(model, shift):
    extras = importlib.import_module("comfy_extras.nodes_model_advanced")
    return extras.ModelSamplingSD3().patch(model, shift)[0]


# --- graphs ---------------------------------------------------------------------------------------


def put_on(model, name, recipe_id=None, strength=1.0):
    """A MODEL with a file by our loader, taken for this recipe."""
    node = importlib.import_module("fewstep.nodes").FewStepLoraLoader
    recipe = RECIPES[recipe_id] if recipe_id else None
    return node.execute(model, name, strength, 0, "warn", recipe)[0]


def checked(model, recipe_id=None, sampler=None, sigmas=None, cfg=None):
    """Subjects by verdict, and ok, of FewStepCheck."""
    node = importlib.import_module("fewstep.nodes").FewStepCheck
    recipe = RECIPES[recipe_id] if recipe_id else None
    return verdicts_of(*node.execute(model, sampler, sigmas, cfg, recipe).result)


def verdicts_of(report, ok=None):
    lines = re.findall(r"^(fits|does not fit|cannot know): ([^:]*)", report, re.MULTILINE)
    known = {"fits": set(), "does not fit": set(), "cannot know": set(), "ok": ok}
    for verdict, subject in lines:
        known[verdict].add(subject)
    return known


def lightning(host, **changed):
    """SDXL-Lightning of 4 steps as its card has it in ComfyUI, but for what is changed."""
    model = host.tiny_model("eps")
    pieces = {"sampler": selected("euler"), "cfg": 1.0} | changed
    return checked(model, LIGHTNING, **{"sigmas": scheduled(model, "simple", 4)} | pieces)


def lcm(host, scheduler="simple", denoise=1.0, *, steps=4, patched=True):
    """LCM-LoRA as people build it with core's nodes."""
    model = host.tiny_model("eps")
    model = read_as(model, "lcm") if patched else model
    sigmas = scheduled(model, scheduler, steps, denoise)
    return checked(model, LCM, selected("lcm"), sigmas, 1.0)


def wan(host, shift):
    model = shifted(host.tiny_model("flow", shift=8.0), shift)
    return checked(model, WAN, selected("euler"), scheduled(model, "simple", 4), 1.0)


def one_step_x0(host, prediction):
    model = read_as(host.tiny_model("eps"), prediction)
    return checked(model, X0, selected("euler"), scheduled(model, "simple", 1), 1.0)


def dmd2(host, *, patched):
    plain = host.tiny_model("eps")
    (sigmas,) = importlib.import_module("fewstep.nodes").FewStepSigmas.execute(
        *(plain, "timesteps", 4, 1.0, "999, 749, 499, 249")
    )
    model = read_as(plain, "lcm") if patched else plain
    return checked(model, DMD2, selected("lcm"), sigmas, 1.0)


def qwen(host, recipe_id, dtype, scaled=False):
    model = shifted(host.tiny_model("flow"), 3.0)
    model.model.diffusion_model.dtype = dtype
    if scaled:
        config = model.model.model_config
        name = "scaled_fp8" if hasattr(type(config), "scaled_fp8") else "quant_config"
        setattr(config, name, dtype)
    return checked(model, recipe_id, selected("euler"), scheduled(model, "simple", 4), 1.0)


FP8 = torch.float8_e4m3fn
WRONG = {
    "cfg of the base on a model without": ("cfg", lambda h: lightning(h, cfg=5.0)),
    "cfg 0 as cards write it": ("cfg", lambda h: lightning(h, cfg=0.0)),
    "another count of steps": (
        "steps",
        lambda h: lightning(h, sigmas=scheduled(h.tiny_model("eps"), "simple", 5)),
    ),
    "sgm_uniform": (
        "schedule",
        lambda h: lightning(h, sigmas=scheduled(h.tiny_model("eps"), "sgm_uniform", 4)),
    ),
    "sgm_uniform for LCM": ("schedule", lambda h: lcm(h, "sgm_uniform")),
    "img2img between the trained steps": (
        "img2img",
        lambda h: lightning(h, sigmas=scheduled(h.tiny_model("eps"), "simple", 4, 0.6)),
    ),
    "img2img of LCM between the trained steps": ("img2img", lambda h: lcm(h, "normal", 0.55)),
    "another sampler": ("sampler", lambda h: lightning(h, sampler=selected("dpmpp_2m"))),
    "the shift of another model": ("shift", lambda h: wan(h, 8.0)),
    "no LCM patch": ("schedule", lambda h: lcm(h, patched=False)),
    "an LCM patch for DMD2": ("LCM patch", lambda h: dmd2(h, patched=True)),
    "no x0 patch": ("prediction", lambda h: one_step_x0(h, "eps")),
    "a LoRA for bfloat16 on fp8": ("weights", lambda h: qwen(h, QWEN, FP8)),
    "a LoRA for fp8 on float32": ("weights", lambda h: qwen(h, QWEN_FP8, torch.float32)),
}
RIGHT = {
    "lightning": lightning,
    "LCM": lcm,
    "LCM in 6 steps": lambda h: lcm(h, steps=6),
    "shift": lambda h: wan(h, 5.0),
    "DMD2": lambda h: dmd2(h, patched=False),
    "x0": lambda h: one_step_x0(h, "x0"),
    "a LoRA for bfloat16 on float32": lambda h: qwen(h, QWEN, torch.float32),
    "a LoRA for bfloat16 on scaled fp8": lambda h: qwen(h, QWEN, FP8, scaled=True),
    "a LoRA for fp8 on fp8": lambda h: qwen(h, QWEN_FP8, FP8),
}


@pytest.mark.parametrize("what", WRONG)
def test_the_piece_that_does_not_fit_is_named_and_no_other(host, what):
    subject, build = WRONG[what]
    found = build(host)
    assert found["does not fit"] == {subject}
    assert found["ok"] is False


@pytest.mark.parametrize("what", RIGHT)
def test_the_same_graph_without_the_fault_fits(host, what):
    found = RIGHT[what](host)
    assert found["does not fit"] == set()
    assert found["ok"] is True
    assert {"cfg", "steps", "schedule", "sampler", "prediction"} <= found["fits"]


# --- files on the model ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("strength", "does_not_fit"), [(1.0, set()), (0.3, {"strength"}), (1.5, {"strength"})]
)
def test_a_wrong_strength_is_named(loras, strength, does_not_fit):
    model = put_on(demo()[0], loras.put("a.safetensors", shipped()), LCM, strength)
    found = checked(model)
    assert found["does not fit"] == does_not_fit
    assert found["ok"] is (not does_not_fit)


def test_two_speed_loras_at_once_are_named(loras):
    model = put_on(demo()[0], loras.put("a.safetensors", shipped()), LCM)
    model = put_on(model, loras.put("b.safetensors", shipped()), "hyper-sd15-4step")
    assert checked(model)["does not fit"] == {"distillations"}


@pytest.mark.parametrize(
    ("trained_on", "verdict"),
    [
        ("DreamShaper_8_LCM.safetensors", "does not fit"),
        ("v1-5-pruned-emaonly.safetensors", "fits"),
        (None, "cannot know"),
    ],
)
def test_a_lora_trained_on_a_distilled_model_is_named(loras, trained_on, verdict):
    said = {"ss_sd_model_name": trained_on} if trained_on else None
    style = {key: tensor * 0.1 for key, tensor in shipped().items()}
    model = put_on(demo()[0], loras.put("speed.safetensors", shipped()), LCM)
    model = put_on(model, loras.put("style.safetensors", style, said))
    found = checked(model)
    assert "LoRA training" in found[verdict]
    assert found["does not fit"] == ({"LoRA training"} if verdict == "does not fit" else set())


def test_a_lora_by_cores_loader_is_seen_but_not_known(loras):
    core = importlib.import_module("nodes")
    name = loras.put("a.safetensors", shipped())
    model = core.LoraLoaderModelOnly().load_lora_model_only(demo()[0], name, 1.0)[0]
    found = checked(model, LCM)
    assert {"strength", "other changes"} <= found["cannot know"]
    assert found["ok"] is True


@pytest.mark.parametrize(
    ("negative", "guidance", "does_not_fit"),
    [(True, 0.0, {"negative prompt"}), (False, 0.0, set()), (True, 2.0, set())],
)
def test_a_negative_prompt_that_does_nothing_is_named_by_the_sampling_node(
    host, nodes, negative, guidance, does_not_fit
):
    words = {"positive": host.conditioning(1)}
    if negative:
        words["negative"] = host.conditioning(2)
    latent = {"samples": torch.zeros(1, 4, 8, 8)}
    inputs = {"latent_image": latent, "seed": 1, "denoise": 1.0, "guidance": guidance}
    made = nodes.FewStepSample.execute(host.tiny_model("eps"), RECIPES[LCM], **words, **inputs)
    assert verdicts_of(made[1])["does not fit"] == does_not_fit


def test_without_a_recipe_the_check_says_so_and_goes_on(host):
    found = checked(host.tiny_model("eps"), cfg=0.0)
    assert found["does not fit"] == {"cfg"}
    assert found["cannot know"] == {"recipe"}


def test_looking_at_the_weights_makes_comfyui_log_no_fault(host, caplog):
    checked(host.tiny_model("eps"), LCM)
    assert caplog.text == ""


# --- our own plan ---------------------------------------------------------------------------------


def model_for(host, recipe):
    kind = "flow" if recipe.prediction == "flow" else "eps"
    model = told(host.tiny_model(kind), recipe)
    if "fp8" in recipe.id:
        model.model.diffusion_model.dtype = FP8
    return model


@pytest.mark.parametrize("recipe_id", RECIPES)
def test_everything_fits_that_apply_has_made(host, nodes, recipe_id):
    recipe = RECIPES[recipe_id]
    latent = {"samples": torch.zeros(1, 128, 64, 64)}
    applied = nodes.FewStepApply.execute(model_for(host, recipe), recipe, 0.0, latent)
    model, sampler, sigmas, cfg, report = applied.result
    found = checked(model, recipe_id, sampler, sigmas, cfg)
    assert found["does not fit"] == verdicts_of(report)["does not fit"] == set()
    assert found["ok"] is True
    fitting = {"cfg", "sampler", "prediction", "steps"}
    # of a size that the check is not told
    fitting |= {"schedule"} if recipe.schedule.scheduler != "flux2" else set()
    fitting |= {"shift"} if recipe.shift is not None else set()
    fitting |= {"stage"} if recipe.stage is not None else set()
    fitting |= {"embedded guidance"} if recipe.guidance.kind == "embedded" else set()
    assert fitting <= found["fits"]

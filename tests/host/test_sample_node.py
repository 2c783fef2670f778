"""FewStepSample does what its recipe says, on the model that the recipe is for, or not at all."""

import importlib
import math

import pytest
import torch
from host.test_recipe_runs import RECIPES, faked, told

# one of every sampler, of ours and of ComfyUI's, and of every way to the noise levels
KINDS = {
    "lcm-lora-sd15": "eps",
    "tcd-sd15": "eps",
    "hyper-sdxl-4step": "eps",
    "dmd2-sdxl-1step-unet": "eps",
    "sdxl-lightning-1step-unet": "eps",
    "sdxl-turbo-merge": "eps",
    "sdxl-lightning-merge": "eps",
    "z-image-turbo": "flow",
    "boogu-image-turbo": "flow",
    "ltx-2.3-22b-distilled": "flow",
    "flux1-turbo-alpha": "flow",
    "wan2.1-causvid-14b": "flow",
}
# of SD's latents outside of the network
SCALE = 0.18215


@pytest.fixture(scope="module")
def runs(host):
    return importlib.import_module("host.runs")


@pytest.fixture
def nodes(host):
    return importlib.import_module("fewstep.nodes")


def model_for(host, recipe):
    """A tiny model of another shift than the recipe's."""
    options = {"shift": 1.7} if KINDS.get(recipe.id) == "flow" else {}
    return told(host.tiny_model(KINDS.get(recipe.id, "eps"), **options), recipe)


def sample(host, nodes, model, recipe, latent=None, *, negative=True, **inputs):
    """Latents of FewStepSample."""
    inputs = {"denoise": 1.0, "guidance": 0.0, "seed": 3} | inputs
    words = {"positive": host.conditioning(1)}
    if negative:
        words["negative"] = host.conditioning(2)
    latent = latent or {"samples": torch.zeros(1, 4, 8, 8)}
    made = nodes.FewStepSample.execute(model, recipe, latent_image=latent, **words, **inputs)
    return made[0]["samples"]


def asked(passes):
    return [one.timesteps[0] for one in passes]


# --- what it is -----------------------------------------------------------------------------------


@pytest.mark.parametrize("recipe_id", KINDS)
def test_it_is_apply_with_sampler_custom_bit_for_bit(host, runs, nodes, recipe_id):
    recipe = RECIPES[recipe_id]
    applied = nodes.FewStepApply.execute(model_for(host, recipe), recipe, 0.0)
    model, sampler, sigmas, cfg = applied.result[:4]
    expected = runs.sample(model, sampler, sigmas, cfg=cfg)
    assert torch.equal(sample(host, nodes, model_for(host, recipe), recipe), expected)


@pytest.mark.parametrize(
    ("recipe_id", "denoise", "expected"),
    [
        ("lcm-lora-sd15", 1.0, [999, 759, 499, 259]),
        ("lcm-lora-sd15", 0.5, [499, 379, 259, 139]),
        ("hyper-sdxl-4step", 0.5, [499, 249]),
        ("dmd2-sdxl-4step-lora", 0.75, [749, 499, 249]),
    ],
)
def test_a_picture_is_changed_from_trained_timesteps_only(
    host, runs, nodes, recipe_id, denoise, expected
):
    model, passes = runs.watched(host.tiny_model("eps"))
    sample(host, nodes, model, RECIPES[recipe_id], runs.picture(), denoise=denoise)
    assert asked(passes) == expected


def test_a_picture_is_changed_from_trained_levels_of_a_flow(host, runs, nodes):
    model, passes = runs.watched(host.tiny_model("flow"))
    sample(host, nodes, model, RECIPES["wan2.1-t2v-lightx2v"], runs.picture(), denoise=0.5)
    # 5 u / (1 + 4 u) at u = 1/2 and 1/4
    assert asked(passes) == pytest.approx([1000 * 2.5 / 3, 1000 * 1.25 / 2])


@pytest.mark.parametrize(("guidance", "rows"), [(0.0, 1), (1.0, 1), (2.0, 2)])
def test_cfg_2_runs_two_rows_a_step_and_cfg_1_one(host, runs, nodes, guidance, rows):
    model, passes = runs.watched(host.tiny_model("eps"))
    sample(host, nodes, model, RECIPES["lcm-lora-sd15"], guidance=guidance)
    # both rows of a step may come in one call or in two, as memory allows
    assert sum(len(one.timesteps) for one in passes) == 4 * rows


def test_at_cfg_1_the_negative_prompt_may_be_left_out(host, nodes):
    recipe, made = RECIPES["lcm-lora-sd15"], {}
    for negative in (True, False):
        made[negative] = sample(host, nodes, host.tiny_model(), recipe, negative=negative)
    assert torch.equal(made[True], made[False])


def test_a_video_and_its_sound_are_sampled_in_one_latent(host, nodes):
    if importlib.util.find_spec("comfy.nested_tensor") is None:
        pytest.skip("this ComfyUI has no latents of several tensors")
    nested = importlib.import_module("comfy.nested_tensor").NestedTensor
    # flow = (x - x0) / sigma, and the network is told 1000 sigma
    model, asked = faked(host.tiny_model("flow"), lambda x, t: (x - 0.25) / (t / 1000))
    latent = {"samples": nested([torch.zeros(1, 4, 8, 8), torch.zeros(1, 4, 6, 1)])}
    made = sample(host, nodes, model, RECIPES["ltx-2.3-22b-distilled"], latent)
    assert len(asked) == 8
    for part, shape in zip(made.unbind(), [(1, 4, 8, 8), (1, 4, 6, 1)], strict=True):
        torch.testing.assert_close(part * SCALE, torch.full(shape, 0.25))


# --- what it does to the model --------------------------------------------------------------------


def test_an_x0_recipe_reads_the_networks_output_as_the_picture(host, nodes):
    said = torch.tensor([0.1, -0.2, 0.3, 0.4]).reshape(1, 4, 1, 1)
    model, asked = faked(host.tiny_model("eps"), lambda x, t: said.expand_as(x).clone())
    before = model.get_model_object("model_sampling")
    made = sample(host, nodes, model, RECIPES["sdxl-lightning-1step-unet"])
    assert [timestep for _, timestep in asked] == [999]
    torch.testing.assert_close(made * SCALE, said.expand_as(made))
    assert model.get_model_object("model_sampling") is before


def test_a_shift_is_set_on_a_copy(host, nodes):
    model = host.tiny_model("flow", shift=1.7)
    before = model.get_model_object("model_sampling")
    patched = nodes.FewStepApply.execute(model, RECIPES["z-image-turbo"], 0.0)[0]
    # a / (1 + a), the level half way
    assert patched.get_model_object("model_sampling").percent_to_sigma(0.5) == pytest.approx(0.75)
    assert model.get_model_object("model_sampling") is before
    assert before.percent_to_sigma(0.5) == pytest.approx(1.7 / 2.7)
    assert model.object_patches == {}


def test_a_high_and_a_low_noise_part_are_one_run(host, runs, nodes):
    high, low = (RECIPES[f"wan2.2-t2v-lightx2v-{stage}"] for stage in ("high", "low"))
    model, passes = runs.watched(host.tiny_model("flow"))
    between = sample(host, nodes, model, high)
    assert len(passes) == 2
    made = sample(host, nodes, model, low, {"samples": between})
    # 5 u / (1 + 4 u) at u = 1, 3/4, 1/2 and 1/4
    levels = [1.0, 3.75 / 4, 2.5 / 3, 1.25 / 2]
    assert asked(passes) == pytest.approx([1000 * level for level in levels])
    assert torch.equal(made, by_cores_nodes(host, host.tiny_model("flow", shift=5.0), levels))
    # ComfyUI hands a latent over in the VAE's scale and without the noise's, so not bit for bit
    whole = sample(host, nodes, model, RECIPES["wan2.1-t2v-lightx2v"])
    torch.testing.assert_close(made, whole, rtol=1e-5, atol=1e-5)


def by_cores_nodes(host, model, levels):
    """Latents of two SamplerCustom nodes, the second going on where the first has stopped."""
    extras = importlib.import_module("comfy_extras.nodes_custom_sampler")
    sampler = importlib.import_module("comfy.samplers").ksampler("euler")
    words = host.conditioning(1), host.conditioning(2)
    sigmas, latent = torch.tensor([*levels, 0.0]), {"samples": torch.zeros(1, 4, 8, 8)}
    for add_noise, part in ((True, sigmas[:3]), (False, sigmas[2:])):
        node = extras.SamplerCustom()
        latent = node.sample(model, add_noise, 3, 1.0, *words, sampler, part, latent)[0]
    return latent["samples"]


# --- what it refuses ------------------------------------------------------------------------------


def with_a_weight_of_nan(model):
    with torch.no_grad():
        next(model.model.diffusion_model.parameters()).fill_(math.nan)
    return model


REFUSED = [
    ("eps", None, {}, "recipe is empty.*Choose one by hand with Recipe \\(FewStep\\)"),
    ("eps", "lcm-lora-sd15", {"guidance": 0.5}, r"guidance is 0\.5; allowed is 0 .* or 1 and"),
    ("eps", "lcm-lora-sd15", {"guidance": -1.0}, "guidance is -1; allowed is 0"),
    ("eps", "lcm-lora-sd15", {"guidance": math.nan}, "guidance is nan; allowed is 0"),
    ("eps", "z-image-turbo", {}, "z-image-turbo is for a model that predicts flow.*predicts eps"),
    ("flow", "lcm-lora-sd15", {}, "lcm-lora-sd15 is for a model that predicts eps.*predicts flow"),
    ("flow", "sdxl-lightning-1step-unet", {}, "for a model that predicts x0.*predicts flow"),
]


@pytest.mark.parametrize(("kind", "recipe_id", "inputs", "complaint"), REFUSED)
def test_what_does_not_fit_is_refused_before_the_first_pass(
    host, runs, nodes, kind, recipe_id, inputs, complaint
):
    recipe = RECIPES[recipe_id] if recipe_id else None
    model, passes = runs.watched(host.tiny_model(kind))
    with pytest.raises(ValueError, match=complaint):
        sample(host, nodes, model, recipe, **inputs)
    with pytest.raises(ValueError, match=complaint):
        nodes.FewStepApply.execute(model, recipe, inputs.get("guidance", 0.0))
    assert passes == []


def test_a_missing_negative_prompt_is_refused_before_the_first_pass(host, runs, nodes):
    model, passes = runs.watched(host.tiny_model("eps"))
    with pytest.raises(ValueError, match="negative is not connected, and cfg is 2.*guidance to 1"):
        sample(host, nodes, model, RECIPES["lcm-lora-sd15"], negative=False, guidance=2.0)
    assert passes == []


def test_a_low_noise_part_is_refused_without_what_the_high_noise_part_left(host, runs, nodes):
    model, passes = runs.watched(host.tiny_model("flow"))
    with pytest.raises(ValueError, match="latent_image is empty, and .* the low noise part"):
        sample(host, nodes, model, RECIPES["wan2.2-t2v-lightx2v-low"])
    assert passes == []


@pytest.mark.parametrize("stage", ["high", "low"])
def test_a_part_of_a_run_is_refused_with_denoise(host, runs, nodes, stage):
    recipe = RECIPES[f"wan2.2-t2v-lightx2v-{stage}"]
    model, passes = runs.watched(host.tiny_model("flow"))
    with pytest.raises(ValueError, match=r"denoise is 0\.5; allowed is 1 for Wan 2\.2"):
        sample(host, nodes, model, recipe, runs.picture(), denoise=0.5)
    assert passes == []


@pytest.mark.parametrize("recipe_id", ["lcm-lora-sd15", "z-image-turbo"])
def test_a_latent_of_nan_is_refused_before_the_first_pass(host, runs, nodes, recipe_id):
    recipe = RECIPES[recipe_id]
    model, passes = runs.watched(model_for(host, recipe))
    spoilt = runs.picture()
    spoilt["samples"][0, 1, 2, 3] = math.nan
    with pytest.raises(ValueError, match="latent_image has 1 of 256 values that are NaN or inf"):
        sample(host, nodes, model, recipe, spoilt, denoise=0.5)
    assert passes == []


def test_a_weight_that_is_no_number_is_told_and_not_shown_as_a_black_picture(host, nodes):
    model = with_a_weight_of_nan(host.tiny_model("eps"))
    with pytest.raises(ValueError, match="the sampled latent has values that are NaN or infinite"):
        sample(host, nodes, model, RECIPES["lcm-lora-sd15"])


def test_cancel_stops_it_and_leaves_no_trace(host, nodes):
    management = importlib.import_module("comfy.model_management")
    extension = importlib.import_module("comfy.patcher_extension")
    recipe, calls = RECIPES["lcm-lora-sd15"], []
    fresh = sample(host, nodes, host.tiny_model("eps"), recipe)

    def cancel(executor, *args, **kwargs):
        calls.append(1)
        if len(calls) == 2:
            management.interrupt_current_processing()
            management.throw_exception_if_processing_interrupted()
        return executor(*args, **kwargs)

    model = host.tiny_model("eps")
    cancelled = model.clone()
    cancelled.add_wrapper_with_key(extension.WrappersMP.DIFFUSION_MODEL, "fewstep.tests", cancel)
    with pytest.raises(management.InterruptProcessingException, match="^$"):
        sample(host, nodes, cancelled, recipe)
    assert len(calls) == 2
    assert not management.processing_interrupted()
    assert torch.equal(sample(host, nodes, model, recipe), fresh)

"""A full LCM UNet keeps the guidance it is told, through everything that people do with a MODEL."""

import importlib
import json

import pytest
import torch
from host.test_demo_model import BETAS, CAPTION, MOST, SEED, demo, eight_bit, encode, initial_noise
from safetensors import safe_open
from safetensors.torch import save_file

from fewstep.demo import weights

GUIDANCE = [1.0, 3.0, 8.0]
KEY = "time_embedding.cond_proj.weight"


@pytest.fixture(scope="module")
def runs(host):
    return importlib.import_module("host.runs")


@pytest.fixture(scope="module")
def pipeline():
    return importlib.import_module("fewstep.headless.pipeline").load_demo(unet=weights.LCM_UNET)


@pytest.fixture
def nodes(host):
    return importlib.import_module("fewstep.nodes")


def lcm_unet():
    """MODEL and CLIP of the demo's full LCM UNet."""
    return demo("LCM UNet")[:2]


def recipe():
    """What the demo's LCM UNet needs: that of the one for SD 1.5."""
    return importlib.import_module("fewstep.nodes").FewStepRecipe.execute("lcm-dreamshaper-v7", 4)[
        0
    ]


def sampled(model, clip, guidance=0.0, **inputs):
    """Latents of FewStepSample."""
    node = importlib.import_module("fewstep.nodes").FewStepSample
    words = encode(clip, CAPTION), {"samples": torch.zeros(1, 4, 16, 16)}
    return node.execute(model, recipe(), *words, SEED, 1.0, guidance, **inputs)[0]["samples"]


# --- the picture ----------------------------------------------------------------------------------


def diffusers_embedding(guidance):
    """What diffusers' LCM pipeline tells its UNet."""
    module = importlib.import_module("diffusers").LatentConsistencyModelPipeline
    return module.get_guidance_scale_embedding(None, torch.tensor([guidance - 1.0]), 256)


def diffusers_picture(pipeline, guidance):
    """A plain LCMScheduler loop, the guidance told by diffusers' own formula."""
    scheduler = importlib.import_module("diffusers").LCMScheduler(**BETAS)
    scheduler.set_timesteps(4)
    cond, x = pipeline.encode([CAPTION]), initial_noise(1)
    generator = torch.Generator().manual_seed(SEED + 1)
    for t in scheduler.timesteps:
        eps = pipeline.unet(x, t, cond, timestep_cond=diffusers_embedding(guidance)).sample
        x = scheduler.step(eps, t, x, generator=generator).prev_sample
    return torch.from_numpy(pipeline.decode(x)).float()


@pytest.mark.parametrize("guidance", GUIDANCE)
def test_the_picture_is_that_of_diffusers_at_every_guidance(host, pipeline, guidance):
    host_nodes = importlib.import_module("nodes")
    samples = sampled(*lcm_unet(), guidance)
    made = eight_bit(host_nodes.VAEDecode().decode(demo()[2], {"samples": samples})[0])
    expected = diffusers_picture(pipeline, guidance)
    assert expected.std() > 1
    assert (made - expected).abs().max() <= MOST


@pytest.mark.parametrize("timestep", [0, 259, 999])
@pytest.mark.parametrize("guidance", GUIDANCE)
def test_one_pass_is_that_of_diffusers(host, nodes, pipeline, guidance, timestep):
    model = nodes.FewStepGuidance.execute(lcm_unet()[0], guidance)[0]
    states, x = pipeline.encode([CAPTION]), initial_noise(1)
    told = diffusers_embedding(guidance)
    expected = pipeline.unet(x, timestep, states, timestep_cond=told).sample
    made = model.model.diffusion_model(
        x,
        torch.full((1,), float(timestep)),
        states,
        transformer_options=model.model_options["transformer_options"],
    )
    torch.testing.assert_close(made, expected, rtol=1e-4, atol=1e-4)


def test_the_picture_changes_with_guidance_and_costs_one_pass_a_step(host, runs, nodes):
    model, clip = lcm_unet()
    watched, passes = runs.watched(model)
    weak, strong = sampled(watched, clip, 1.0), sampled(watched, clip, 8.0)
    assert (weak - strong).abs().max() > 0.05
    assert [x.timesteps for x in passes] == [[999.0], [759.0], [499.0], [259.0]] * 2


def test_without_a_word_a_model_is_told_what_it_was_told_before(host, nodes):
    model, clip = lcm_unet()
    assert torch.equal(sampled(model, clip, 0.0), sampled(model, clip, weights.GUIDANCE))
    told = nodes.FewStepGuidance.execute(model, 3.0)[0]
    assert torch.equal(sampled(told, clip, 0.0), sampled(model, clip, 3.0))
    # and else what the recipe says
    model.model_options["transformer_options"].pop("fewstep_guidance")
    assert torch.equal(sampled(model, clip, 0.0), sampled(model, clip, 8.0))


def test_the_model_that_goes_in_is_told_what_it_was_told_before(host, nodes):
    told = importlib.import_module("fewstep.nodes.host.told_guidance").told_guidance
    model = lcm_unet()[0]
    assert told(nodes.FewStepGuidance.execute(model, 3.0)[0]) == 3.0
    assert told(model) == weights.GUIDANCE


# --- what people do with it -----------------------------------------------------------------------


def test_a_copy_of_a_copy_is_the_same_model(host):
    model, clip = lcm_unet()
    expected = sampled(model, clip, 3.0)
    assert torch.equal(sampled(model.clone().clone(), clip, 3.0), expected)


def test_a_lora_goes_on_it_and_its_guidance_still_counts(host):
    sd = importlib.import_module("comfy.sd")
    load = importlib.import_module("comfy.utils").load_torch_file
    model, clip = lcm_unet()
    lora = load(str(weights.LCM_LORA), safe_load=True)
    styled = sd.load_lora_for_models(model, None, lora, 0.3, 0.0)[0]
    assert len(styled.patches) == 79
    assert (sampled(styled, clip, 1.0) - sampled(model, clip, 1.0)).abs().max() > 1e-3
    assert (sampled(styled, clip, 1.0) - sampled(styled, clip, 8.0)).abs().max() > 0.05


def test_a_lora_reaches_the_guidance_embedding_itself(host):
    sd = importlib.import_module("comfy.sd")
    model, clip = lcm_unet()
    generator = torch.Generator().manual_seed(1)
    lora = {
        "lora_unet_time_embedding_cond_proj.lora_down.weight": torch.randn(
            4, 256, generator=generator
        ),
        "lora_unet_time_embedding_cond_proj.lora_up.weight": torch.randn(
            64, 4, generator=generator
        ),
    }
    changed = sd.load_lora_for_models(model, None, lora, 1.0, 0.0)[0]
    assert len(changed.patches) == 1
    assert (sampled(changed, clip, 3.0) - sampled(model, clip, 3.0)).abs().max() > 1e-3


def test_it_is_merged_with_another_model(host):
    merging = importlib.import_module("comfy_extras.nodes_model_merging")
    model, clip = lcm_unet()
    (same,) = merging.ModelMergeSimple().merge(model, lcm_unet()[0], 0.25)
    torch.testing.assert_close(
        sampled(same, clip, 3.0), sampled(model, clip, 3.0), rtol=1e-3, atol=1e-3
    )
    (mixed,) = merging.ModelMergeSimple().merge(model, demo()[0], 0.5)
    assert (sampled(mixed, clip, 1.0) - sampled(mixed, clip, 8.0)).abs().max() > 0.01


def test_a_saved_model_has_its_guidance_embedding(host, tmp_path, monkeypatch):
    merging = importlib.import_module("comfy_extras.nodes_model_merging")
    node = merging.ModelSave()
    monkeypatch.setattr(node, "output_dir", str(tmp_path))
    model = lcm_unet()[0]
    node.save(model, "lcm")
    (path,) = tmp_path.glob("*.safetensors")
    with safe_open(path, "pt") as file:
        (key,) = [key for key in file.keys() if key.endswith(KEY)]
        saved = file.get_tensor(key)
    assert torch.equal(saved.float(), weights.read_weights(weights.LCM_UNET)[KEY].float())


def test_a_host_that_reloads_gets_the_embedding_again(host):
    model, clip = lcm_unet()
    reload, arguments = model.cached_patcher_init
    again = reload(*arguments, disable_dynamic=True)
    assert again.model is not model.model
    assert torch.equal(sampled(again, clip, 3.0), sampled(model, clip, 3.0))


@pytest.mark.parametrize("variant", ["teacher", "teacher + LCM-LoRA"])
def test_a_model_without_the_input_is_refused(host, nodes, variant):
    with pytest.raises(ValueError, match="guidance is 3, but the network of model has no input"):
        nodes.FewStepGuidance.execute(demo(variant)[0], 3.0)


# --- from a file of the real size -----------------------------------------------------------------


def sparse_file(path, shapes, tensors):
    """A safetensors file whose tensors are zero but for a few, without the disk space of them."""
    header, at, written = {}, 0, []
    for name, shape in shapes.items():
        size = 2 * torch.Size(shape).numel()
        header[name] = {"dtype": "F16", "shape": list(shape), "data_offsets": [at, at + size]}
        if name in tensors:
            written.append((at, tensors[name].half().numpy().tobytes()))
        at += size
    text = json.dumps(header).encode()
    with open(path, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.truncate(8 + len(text) + at)
        for begin, content in written:
            file.seek(8 + len(text) + begin)
            file.write(content)


def sd15_shapes(names):
    """Shapes of SD 1.5's UNet by diffusers' or by LDM's names."""
    models = importlib.import_module("comfy.supported_models")
    shapes = importlib.import_module("host.shapes")
    utils = importlib.import_module("comfy.utils")
    config = models.SD15(shapes.SD15_UNET)
    config.set_inference_dtype(torch.float16, None)
    network = config.get_model({}, "", device="meta").diffusion_model
    ldm = {key: tuple(tensor.shape) for key, tensor in network.state_dict().items()}
    if names == "diffusers":
        known = utils.unet_to_diffusers(shapes.SD15_UNET)
        return {key: ldm[name] for key, name in known.items() if name in ldm} | {KEY: (320, 256)}
    prefixed = {f"model.diffusion_model.{key}": shape for key, shape in ldm.items()}
    return prefixed | {"model.diffusion_model.time_embed.cond_proj.weight": (320, 256)}


@pytest.mark.newest
@pytest.mark.parametrize("names", ["diffusers", "ldm"])
def test_a_file_of_the_real_size_is_told_and_keeps_its_embedding(
    host, nodes, names, tmp_path, monkeypatch
):
    shelves = importlib.import_module("host.shelves")
    shelf = shelves.shelf("diffusion_models", tmp_path, monkeypatch)
    shelves.shelf("checkpoints", tmp_path / "none", monkeypatch)
    shapes = sd15_shapes(names)
    generator = torch.Generator().manual_seed(2)
    (key,) = [key for key in shapes if key.endswith("cond_proj.weight")]
    projection = torch.randn(320, 256, generator=generator)
    name = "LCM_Dreamshaper_v7_4k.safetensors"
    sparse_file(shelf.path / name, shapes, {key: projection})
    model, found, report = nodes.FewStepModelLoader.execute(name, "default", 0, "stop").result
    assert found.id == "lcm-dreamshaper-v7"
    assert "confidence    likely" in report
    network = model.model.diffusion_model
    assert torch.equal(network.time_embedding.cond_proj.weight.float(), projection.half().float())
    assert model.model_options["transformer_options"]["fewstep_guidance"] == 8.0
    reload, arguments = model.cached_patcher_init
    assert arguments[0] == shelf.path / name and callable(reload)
    # of 3.4 GB each, so that the second has the memory of the first
    del model, network
    again = reload(*arguments, disable_dynamic=True)
    embedding = again.model.diffusion_model.time_embedding.cond_proj.weight
    assert torch.equal(embedding.float(), projection.half().float())


def test_a_broken_file_is_refused_by_the_model_loader(host, nodes, tmp_path, monkeypatch):
    shelves = importlib.import_module("host.shelves")
    shelf = shelves.shelf("diffusion_models", tmp_path, monkeypatch)
    shelves.shelf("checkpoints", tmp_path / "none", monkeypatch)
    pair = {f"lora_unet_a.lora_{part}.weight": torch.ones(2, 2) for part in ("down", "up")}
    save_file(pair, shelf.path / "lora.safetensors")
    with pytest.raises(ValueError, match="is a LoRA. Load it with LoRA Loader"):
        nodes.FewStepModelLoader.execute("lora.safetensors", "default", 0, "warn")
    save_file({"a": torch.ones(2)}, shelf.path / "other.safetensors")
    with pytest.raises(ValueError, match="holds a network that this ComfyUI cannot load"):
        nodes.FewStepModelLoader.execute("other.safetensors", "default", 0, "warn")
    (shelf.path / "pickle.safetensors").write_bytes(b"\x80\x04\x95" + bytes(30))
    with pytest.raises(ValueError, match="pickle.safetensors"):
        nodes.FewStepModelLoader.execute("pickle.safetensors", "default", 0, "warn")


def test_steps_are_refused_before_a_model_is_loaded(host, nodes, tmp_path, monkeypatch):
    shelves = importlib.import_module("host.shelves")
    shelf = shelves.shelf("diffusion_models", tmp_path, monkeypatch)
    shelves.shelf("checkpoints", tmp_path / "none", monkeypatch)
    monkeypatch.setattr(importlib.import_module("comfy.sd"), "load_diffusion_model", None)
    name = "LCM_Dreamshaper_v7_4k.safetensors"
    sparse_file(shelf.path / name, sd15_shapes("diffusers"), {})
    with pytest.raises(ValueError, match="steps is 20"):
        nodes.FewStepModelLoader.execute(name, "default", 20, "stop")

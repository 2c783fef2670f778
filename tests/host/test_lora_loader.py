"""FewStepLoraLoader puts every LoRA file on a model as it should be, or says why it will not."""

import importlib
import json

import pytest
import torch
from host.test_demo_model import demo
from host.test_lora_dialects import in_dialect, latents, shipped, targets
from safetensors.torch import load_file

from fewstep.lora.dialects import DIALECTS
from fewstep.lora.layers import layers_of
from fewstep.lora.save import file_metadata
from fewstep.recipes.own import describe

__all__ = ["targets"]
LAYERS = 79


@pytest.fixture
def loras(host, tmp_path, monkeypatch):
    return importlib.import_module("host.shelves").shelf("loras", tmp_path / "loras", monkeypatch)


@pytest.fixture
def lcm(host):
    """The recipe that the demo LoRA needs; its own file name and size tell nothing."""
    return importlib.import_module("fewstep.nodes").FewStepRecipe.execute("lcm-lora-sd15", 0)[0]


def load(name, recipe=None, *, model=None, strength=1.0, steps=0, if_unsure="stop"):
    """MODEL, recipe and report of the node."""
    node = importlib.import_module("fewstep.nodes").FewStepLoraLoader
    model = model or demo()[0]
    return node.execute(model, name, strength, steps, if_unsure, recipe).result


def reference():
    """What ComfyUI's own loader makes of kohya's dialect, which it reads in full."""
    sd = importlib.import_module("comfy.sd")
    return sd.load_lora_for_models(demo()[0], None, shipped(), 1.0, 0.0)[0]


@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_dialect_makes_the_same_picture(loras, lcm, targets, dialect, tmp_path):
    tensors, metadata = in_dialect(dialect, targets, tmp_path)
    model, recipe, report = load(loras.put("a.safetensors", tensors, metadata), lcm)
    assert torch.equal(latents(model), latents(reference()))
    assert recipe.id == "lcm-lora-sd15"
    assert "coverage      whole" in report
    assert f"{LAYERS} of the {LAYERS} layers that the file changes fit the model." in report


def test_strength_is_that_of_the_recipe_times_the_users(loras, lcm):
    dataclasses = importlib.import_module("dataclasses")
    weak = dataclasses.replace(lcm, strength=0.5)
    name = loras.put("a.safetensors", shipped())
    sd = importlib.import_module("comfy.sd")
    half = sd.load_lora_for_models(demo()[0], None, shipped(), 0.25, 0.0)[0]
    assert torch.equal(latents(load(name, weak, strength=0.5)[0]), latents(half))
    minus = sd.load_lora_for_models(demo()[0], None, shipped(), -1.0, 0.0)[0]
    assert torch.equal(latents(load(name, lcm, strength=-1.0)[0]), latents(minus))


def test_strength_0_is_the_model_without_it_bit_for_bit(loras, lcm):
    model, _, report = load(loras.put("a.safetensors", shipped()), lcm, strength=0.0)
    assert model.patches == {}
    assert torch.equal(latents(model), latents(demo()[0]))
    assert "strength      0" in report


def test_the_model_that_goes_in_stays_as_it_is(loras, lcm):
    before = demo()[0]
    load(loras.put("a.safetensors", shipped()), lcm, model=before)
    assert before.patches == {} and before.attachments == {}


def test_the_order_of_two_loras_does_not_matter(loras, lcm):
    generator = torch.Generator().manual_seed(3)
    style = {
        key: torch.randn(t.shape, generator=generator) * 0.02 if t.ndim else t
        for key, t in shipped().items()
    }
    names = loras.put("speed.safetensors", shipped()), loras.put("style.safetensors", style)
    there, back = (
        load(order[1], lcm, model=load(order[0], lcm)[0])[0] for order in (names, names[::-1])
    )
    torch.testing.assert_close(latents(there), latents(back), rtol=1e-4, atol=1e-4)
    assert (latents(there) - latents(reference())).abs().max() > 1e-2


def test_a_file_that_fewstep_saved_tells_by_itself_what_it_is(loras, lcm):
    layers = layers_of(shipped())
    metadata = file_metadata(describe(lcm, teacher="the demo teacher"), layers.values())
    name = loras.put("pytorch_lora_weights.safetensors", shipped(), metadata)
    model, recipe, report = load(name)
    assert torch.equal(latents(model), latents(reference()))
    assert (recipe.id, recipe.steps.default, recipe.sampler.name) == ("lcm-lora-sd15", 4, "lcm")
    assert "confidence    certain" in report


# a linear layer of the demo UNet, by kohya's name and by ComfyUI's own
ATTENTION = "lora_unet_mid_block_attentions_0_transformer_blocks_0_attn1_to_q"
OWN_NAME = "diffusion_model.middle_block.1.transformer_blocks.0.attn1.to_q"
WIDTH = 128


def random(*shape):
    generator = torch.Generator().manual_seed(sum(shape))
    return torch.randn(shape, generator=generator) * 0.3


def kinds_of_change():
    """Tensors of one layer, in the ways that ComfyUI knows to change a weight."""
    pair = {"lora_down.weight": random(4, WIDTH), "lora_up.weight": random(WIDTH, 4)}
    factors = {f"hada_w{i}_{x}": random(*s) for i in (1, 2)
               for x, s in (("a", (WIDTH, 4)), ("b", (4, WIDTH)))}  # fmt: skip
    return {
        "LoRA": pair | {"alpha": torch.tensor(2.0)},
        "DoRA": pair | {"dora_scale": random(WIDTH, 1).abs() + 1.0},
        "LoHa": factors | {"alpha": torch.tensor(4.0)},
        "LoKr": {"lokr_w1": random(8, 8), "lokr_w2": random(WIDTH // 8, WIDTH // 8)},
        "difference": {"diff": random(WIDTH, WIDTH)},
    }


@pytest.mark.parametrize("stem", [ATTENTION, OWN_NAME])
@pytest.mark.parametrize("kind", ["LoRA", "DoRA", "LoHa", "LoKr", "difference"])
def test_whatever_the_core_knows_to_load_is_loaded_as_the_core_does(loras, lcm, kind, stem):
    tensors = {f"{stem}.{part}": tensor for part, tensor in kinds_of_change()[kind].items()}
    model, _, report = load(loras.put("a.safetensors", tensors), lcm)
    sd = importlib.import_module("comfy.sd")
    core = sd.load_lora_for_models(demo()[0], None, tensors, 1.0, 0.0)[0]
    assert len(model.patches) == len(core.patches) == 1
    assert "coverage      whole" in report
    assert torch.equal(latents(model), latents(core))
    assert (latents(model) - latents(demo()[0])).abs().max() > 1e-3


# --- what is not loaded ---------------------------------------------------------------------------


def spoilt(change):
    return {new: tensor for key, tensor in shipped().items() if (new := change(key)) is not None}


def test_a_renamed_layer_is_named_and_stops_the_loader(loras, lcm):
    renamed = spoilt(lambda key: key.replace("mid_block", "mid_bloc"))
    name = loras.put("a.safetensors", renamed)
    with pytest.raises(ValueError, match=r"(?s)fits model only in part.*name no module of this"):
        load(name, lcm)
    model, _, report = load(name, lcm, if_unsure="warn")
    lost = {key.split(".")[0] for key in shipped() if "mid_block" in key}
    assert len(model.patches) == LAYERS - len(lost) > 0
    assert "coverage      partial" in report
    assert "output_blocks.1: 17 matched\n" in report


def test_a_lost_factor_is_named_and_stops_the_loader(loras, lcm):
    stem = "lora_unet_conv_in" if "lora_unet_conv_in.alpha" in shipped() else None
    stem = stem or next(iter(shipped())).split(".")[0]
    lost = {k: t for k, t in shipped().items() if k != f"{stem}.lora_up.weight"}
    name = loras.put("a.safetensors", lost)
    with pytest.raises(ValueError, match="lack one of their two factors"):
        load(name, lcm)
    assert len(load(name, lcm, if_unsure="warn")[0].patches) == LAYERS - 1


@pytest.mark.parametrize("if_unsure", ["stop", "warn"])
def test_a_lora_for_another_network_is_never_loaded(loras, lcm, if_unsure):
    wide = {
        key: torch.zeros(t.shape[0], t.shape[1] * 2, *t.shape[2:]) if "lora_down" in key else t
        for key, t in shipped().items()
    }
    with pytest.raises(ValueError, match="is for another network than model"):
        load(loras.put("a.safetensors", wide), lcm, if_unsure=if_unsure)
    nothing = {f"lora_unet_nowhere_{i}.lora_{p}.weight": torch.ones(2, 2)
               for i in range(3) for p in ("up", "down")}  # fmt: skip
    with pytest.raises(ValueError, match="fits nothing in model"):
        load(loras.put("b.safetensors", nothing), lcm, if_unsure=if_unsure)


def test_a_file_that_does_not_tell_stops_the_loader_or_warns(loras):
    name = loras.put("style.safetensors", shipped())
    with pytest.raises(ValueError, match=r"(?s)style.safetensors does not tell.*if_unsure to warn"):
        load(name)
    model, recipe, report = load(name, if_unsure="warn")
    assert recipe is None and len(model.patches) == LAYERS
    assert "recipe        none" in report


def test_a_network_is_not_taken_for_a_lora(loras, lcm):
    weights = importlib.import_module("fewstep.demo.weights")
    name = loras.put("unet.safetensors", weights.read_weights("unet"))
    with pytest.raises(ValueError, match="does not tell|fits nothing in model|no LoRA"):
        load(name, lcm)


def test_a_count_of_steps_that_the_file_was_not_made_for_is_refused(loras, lcm, monkeypatch):
    name = loras.put("a.safetensors", shipped())
    assert load(name, lcm, steps=6)[1].steps.default == 6
    utils = importlib.import_module("comfy.utils")
    monkeypatch.setattr(utils, "load_torch_file", None)  # nothing has been read by then
    with pytest.raises(ValueError, match="steps is 20"):
        load(name, lcm, steps=20)


def test_what_is_open_is_logged_and_what_is_certain_is_not(loras, lcm, caplog):
    caplog.set_level("WARNING")
    load(loras.put("a.safetensors", shipped()), lcm)
    assert [line for line in caplog.messages if "FewStep" in line] == []
    load(loras.put("style.safetensors", shipped()), if_unsure="warn")
    renamed = spoilt(lambda key: key.replace("mid_block", "mid_bloc"))
    load(loras.put("half.safetensors", renamed), lcm, if_unsure="warn")
    assert [line for line in caplog.messages if "FewStep" in line] == [
        "FewStep, style.safetensors: no recipe, none. The report says why.",
        "FewStep, half.safetensors: LCM-LoRA SD 1.5, certain, fits partial. The report says why.",
    ]


def test_broken_files_are_refused_in_a_sentence_before_anything_is_loaded(loras, lcm):
    header = json.dumps({"a": {"dtype": "F32", "shape": [4], "data_offsets": [0, 99]}}).encode()
    broken = {
        "empty": b"",
        "truncated": b"\x10\x00\x00",
        "pickle": b"\x80\x04\x95\x10\x00\x00\x00\x00\x00\x00\x00\x8c\x02os\x94.",
        "claims gigabytes": (10**12).to_bytes(8, "little") + b"{}",
        "outside": len(header).to_bytes(8, "little") + header,
    }
    for what, content in broken.items():
        (loras.path / "a.safetensors").write_bytes(content)
        with pytest.raises(ValueError, match="a.safetensors|header|file"):
            load("a.safetensors", lcm)
        assert what


def test_a_diverged_training_is_refused_before_it_is_put_on_the_model(loras, lcm):
    diverged = {
        k: torch.full_like(t, float("nan")) if k.endswith("up.weight") else t
        for k, t in shipped().items()
    }
    with pytest.raises(ValueError, match=r"a.safetensors: .* that are NaN or infinite"):
        load(loras.put("a.safetensors", diverged), lcm)


def test_an_alpha_that_is_no_number_is_refused(loras, lcm):
    key = next(name for name in shipped() if name.endswith(".alpha"))
    tensors = shipped() | {key: torch.tensor(float("nan"))}
    with pytest.raises(ValueError, match=r"a.safetensors: alpha has 1 values that are NaN"):
        load(loras.put("a.safetensors", tensors), lcm)


def test_alpha_0_is_accepted_and_changes_nothing(loras, lcm):
    tensors = {k: torch.zeros_like(t) if k.endswith(".alpha") else t for k, t in shipped().items()}
    model = load(loras.put("a.safetensors", tensors), lcm)[0]
    assert torch.equal(latents(model), latents(demo()[0]))


def test_a_file_that_has_gone_is_said_to_be_gone(loras, lcm):
    with pytest.raises(FileNotFoundError, match="none of ComfyUI's folders for loras"):
        load("gone.safetensors", lcm)


def test_what_was_loaded_is_remembered_by_every_copy(loras, lcm):
    applied = importlib.import_module("fewstep.nodes.host.applied")
    model = load(loras.put("a.safetensors", shipped()), lcm)[0].clone()
    (file,) = applied.trace_of(model).files
    assert (file.name, file.kind, file.recipe.id) == ("a.safetensors", "lora", "lcm-lora-sd15")
    assert (file.strength, file.coverage) == (1.0, "whole")
    assert applied.other_patches(model) == 0
    sd = importlib.import_module("comfy.sd")
    other = sd.load_lora_for_models(model, None, load_file_of(loras), 1.0, 0.0)[0]
    assert applied.other_patches(other) == LAYERS


def load_file_of(loras):
    return load_file(loras.path / "a.safetensors")

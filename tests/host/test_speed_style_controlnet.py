"""A few-step LoRA, a style LoRA and core's ControlNet work in one graph, each on its own terms."""

import importlib
from typing import NamedTuple

import pytest
import torch
from host.test_demo_model import CAPTION, SEED, demo, encode
from host.test_lora_dialects import shipped
from host.test_recipe_api import difference, lora, node, prompt_of, ran, sample
from host.test_recipe_api import loras as loras_of_the_server
from safetensors.torch import save_file

__all__ = ["loras_of_the_server"]

LCM = "lcm-lora-sd15"
STEPS = 4
FULL = {"speed": 1.0, "style": 1.0, "control": 1.0}


class Made(NamedTuple):
    samples: torch.Tensor
    timesteps: list[list[float]]  # of every pass of the network
    control_passes: int


def random_style():
    """A LoRA of the demo's layers that turns pictures into something else."""
    generator = torch.Generator().manual_seed(3)
    return {
        key: torch.randn(tensor.shape, generator=generator) * 0.03 if tensor.ndim else tensor
        for key, tensor in shipped().items()
    }


@pytest.fixture
def loras(host, tmp_path, monkeypatch):
    shelf = importlib.import_module("host.shelves").shelf("loras", tmp_path / "l", monkeypatch)
    shelf.put("speed.safetensors", shipped())
    shelf.put("style.safetensors", random_style())
    return shelf


@pytest.fixture(scope="module")
def control_net(host):
    """Core's ControlNet of the demo UNet's size with random weights, as its loader builds one."""
    cldm, controlnet, ops = (
        importlib.import_module(f"comfy.{name}") for name in ("cldm.cldm", "controlnet", "ops")
    )
    config = dict(demo()[0].model.model_config.unet_config)
    config.pop("out_channels")
    # the decoder's, which a ControlNet does not have
    config.pop("transformer_depth_output")
    network = cldm.ControlNet(
        **config | {"hint_channels": 3, "dtype": torch.float32},
        operations=ops.disable_weight_init,
    )
    host.initialise(network, seed=4)
    device = torch.device("cpu")
    return controlnet.ControlNet(network, load_device=device)


@pytest.fixture
def make(host, loras, control_net):
    """Sample the graph; strengths are given by name, None leaves a piece out of the graph."""
    return lambda order=("speed", "style"), **strengths: sampled(
        control_net, order, FULL | strengths
    )


def with_loras(model, order, strengths):
    ours, core = importlib.import_module("fewstep.nodes"), importlib.import_module("nodes")
    recipe = ours.FewStepRecipe.execute(LCM, 0)[0]
    for name in order:
        strength = strengths[name]
        if strength is not None and name == "speed":
            file = f"{name}.safetensors"
            loaded = ours.FewStepLoraLoader.execute(model, file, strength, 0, "stop", recipe)
            model, recipe = loaded.result[:2]
        elif strength is not None:
            loader = core.LoraLoaderModelOnly()
            model = loader.load_lora_model_only(model, f"{name}.safetensors", strength)[0]
    return model, recipe


def controlled(words, control_net, strength):
    core = importlib.import_module("nodes")
    generator = torch.Generator().manual_seed(5)
    hint = torch.rand(1, 128, 128, 3, generator=generator)
    node = core.ControlNetApplyAdvanced()
    return node.apply_controlnet(*words, control_net, hint, strength, 0.0, 1.0)


def sampled(control_net, order, strengths):
    runs, ours = importlib.import_module("host.runs"), importlib.import_module("fewstep.nodes")
    model, clip, _ = demo()
    model, recipe = with_loras(model, order, strengths)
    words = encode(clip, CAPTION), encode(clip, "")
    if strengths["control"] is not None:
        words = controlled(words, control_net, strengths["control"])
    model, passes = runs.watched(model)
    controls = []
    counted = control_net.control_model.register_forward_hook(lambda *_: controls.append(1))
    latent = {"samples": torch.zeros(1, 4, 16, 16)}
    made = ours.FewStepSample.execute(model, recipe, words[0], latent, SEED, 1.0, 0.0, words[1])
    counted.remove()
    return Made(made[0]["samples"], [one.timesteps for one in passes], len(controls))


@pytest.mark.parametrize("name", FULL)
def test_strength_0_is_bit_for_bit_its_absence(make, name):
    off, absent = make(**{name: 0.0}), make(**{name: None})
    assert torch.equal(off.samples, absent.samples)
    assert off.timesteps == absent.timesteps


@pytest.mark.parametrize("name", FULL)
def test_at_full_strength_each_of_them_changes_the_picture(make, name):
    assert (make().samples - make(**{name: None}).samples).abs().max() > 0.1


def test_the_order_of_the_two_loras_does_not_matter(make):
    there, back = make(), make(order=("style", "speed"))
    torch.testing.assert_close(there.samples, back.samples, rtol=1e-4, atol=1e-4)


def test_4_passes_are_4_passes_of_the_network_and_of_the_controlnet(make):
    made = make()
    assert made.timesteps == [[999.0], [759.0], [499.0], [259.0]]
    assert made.control_passes == STEPS
    assert make(control=0.0).control_passes == 0


def test_an_lcm_unet_hears_its_guidance_under_a_controlnet_too(control_net):
    ours = importlib.import_module("fewstep.nodes")
    model, clip = demo("LCM UNet")[:2]
    recipe = ours.FewStepRecipe.execute("lcm-dreamshaper-v7", STEPS)[0]

    def at(guidance, strength):
        words = controlled((encode(clip, CAPTION), encode(clip, "")), control_net, strength)[0]
        latent = {"samples": torch.zeros(1, 4, 16, 16)}
        made = ours.FewStepSample.execute(model, recipe, words, latent, SEED, 1.0, guidance)
        return made[0]["samples"]

    assert (at(1.0, 1.0) - at(8.0, 1.0)).abs().max() > 0.05
    assert (at(8.0, 0.0) - at(8.0, 1.0)).abs().max() > 0.05


def test_together_they_are_what_the_cores_own_nodes_make(make, host, loras, control_net):
    core, runs = importlib.import_module("nodes"), importlib.import_module("host.runs")
    model, clip, _ = demo()
    for name in ("speed", "style"):
        loader = core.LoraLoaderModelOnly()
        model = loader.load_lora_model_only(model, f"{name}.safetensors", FULL[name])[0]
    words = encode(clip, CAPTION), encode(clip, "")
    positive, negative = controlled(words, control_net, FULL["control"])
    latent = {"samples": torch.zeros(1, 4, 16, 16)}
    expected = runs.sample(
        model,
        runs.lcm(),
        runs.sigmas(model, "lcm", STEPS),
        latent,
        cfg=1.0,
        seed=SEED,
        positive=positive,
        negative=negative,
    )
    assert torch.equal(make().samples, expected)


# --- through the server's interface ---------------------------------------------------------------


def prompt_with(speed, style, control):
    """The same graph in API format; a strength of None leaves a piece out."""
    model, others, words = ["demo", 0], {}, {"positive": ["words", 0]}
    if speed is not None:
        others["speed"] = lora("speed.safetensors")
        others["speed"]["inputs"]["strength"] = speed
        model = ["speed", 0]
    if style is not None:
        inputs = {"lora_name": "style.safetensors", "strength_model": style}
        others["style"] = node("LoraLoaderModelOnly", model=model, **inputs)
        model = ["style", 0]
    if control is not None:
        inputs = {"strength": control, "start_percent": 0.0, "end_percent": 1.0}
        words = {"positive": ["controlled", 0], "negative": ["controlled", 1]}
        others |= {
            "net": node("ControlNetLoader", control_net_name="net.safetensors"),
            "hint": node("EmptyImage", width=128, height=128, batch_size=1, color=0x40C0FF),
            "controlled": node(
                "ControlNetApplyAdvanced",
                positive=["words", 0],
                negative=["words", 0],
                control_net=["net", 0],
                image=["hint", 0],
                **inputs,
            ),
        }
    return prompt_of(sample(model, ["recipe", 0], **words), **others)


@pytest.fixture
def files(server, loras_of_the_server, control_net):
    """The three files in the server's folders."""
    save_file(shipped(), loras_of_the_server / "speed.safetensors")
    save_file(random_style(), loras_of_the_server / "style.safetensors")
    folder = server.folder / "models" / "controlnet"
    folder.mkdir(exist_ok=True)
    weights = control_net.control_model.state_dict()
    save_file({f"control_model.{k}": w for k, w in weights.items()}, folder / "net.safetensors")
    yield
    (folder / "net.safetensors").unlink()


def test_in_the_server_strength_0_of_each_is_its_absence_too(host, server, files):
    whole, _ = ran(server, prompt_with(**FULL))
    for name in FULL:
        off, _ = ran(server, prompt_with(**FULL | {name: 0.0}))
        absent, _ = ran(server, prompt_with(**FULL | {name: None}))
        assert off.tobytes() == absent.tobytes(), name
        assert difference(whole, absent) > 20, name

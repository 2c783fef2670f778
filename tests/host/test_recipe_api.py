"""The nodes of recipes give their pictures and reports through the server's interface."""

import importlib
import shutil

import pytest
from host.test_demo_model import CAPTION
from host.test_lora_dialects import LAYERS, in_dialect, shipped, targets
from PIL import ImageChops
from safetensors.torch import save_file

from fewstep.lora.dialects import DIALECTS

__all__ = ["targets"]
LCM = "lcm-lora-sd15"
SEED = 5
# of 255, in any pixel and colour
MOST = 1
CLEARLY = 20


# --- prompts --------------------------------------------------------------------------------------


def node(kind, **inputs):
    return {"class_type": kind, "inputs": inputs}


def sample(model, recipe, **inputs):
    words = {"positive": ["words", 0], "latent_image": ["latent", 0]}
    numbers = {"seed": SEED, "denoise": 1.0, "guidance": 0.0}
    return node("FewStepSample", model=model, recipe=recipe, **words | numbers | inputs)


def custom(model, sampler, sigmas, cfg):
    words = {"positive": ["words", 0], "negative": ["words", 0], "latent_image": ["latent", 0]}
    numbers = {"add_noise": True, "noise_seed": SEED, "cfg": cfg}
    return node("SamplerCustom", model=model, sampler=sampler, sigmas=sigmas, **words, **numbers)


def lora(name):
    numbers = {"strength": 1.0, "steps": 0, "if_unsure": "stop"}
    return node(
        "FewStepLoraLoader",
        model=["demo", 0],
        lora_name=name,
        recipe=["recipe", 0],
        **numbers,
    )


def text(source):
    return node("PreviewAny", source=source)


def prompt_of(samples, *, variant="teacher", recipe_id=LCM, **others):
    """A picture of the demo model; `samples` makes its latents, `others` come besides."""
    return {
        "demo": node("FewStepDemoModel", variant=variant),
        "words": node("CLIPTextEncode", clip=["demo", 1], text=CAPTION),
        "latent": node("EmptyLatentImage", width=128, height=128, batch_size=1),
        "recipe": node("FewStepRecipe", recipe_id=recipe_id, steps=0),
        "samples": samples,
        "decoded": node("VAEDecode", samples=["samples", 0], vae=["demo", 2]),
        "shown": node("SaveImage", images=["decoded", 0], filename_prefix="fewstep"),
        **others,
    }


def with_lora(name, **inputs):
    samples = sample(["lora", 0], ["lora", 1], **inputs)
    return prompt_of(samples, lora=lora(name), report=text(["lora", 2]))


def ran(server, prompt):
    """The picture of a prompt, and the texts by the ids of their nodes."""
    outputs = server.client.run(prompt)
    (image,) = server.client.images(outputs["shown"])
    texts = {name: output["text"][0] for name, output in outputs.items() if "text" in output}
    return image.convert("RGB"), texts


def difference(a, b):
    return max(high for _, high in ImageChops.difference(a, b).getextrema())


@pytest.fixture
def loras(server):
    """The server's folder for LoRAs; what a test puts there is gone after it."""
    folder = server.folder / "models" / "loras"
    folder.mkdir(parents=True, exist_ok=True)
    before = set(folder.iterdir())
    yield folder
    for path in set(folder.iterdir()) - before:
        path.unlink()


@pytest.fixture
def speed(loras):
    """The name of the demo LoRA's file."""
    save_file(shipped(), loras / "speed.safetensors")
    return "speed.safetensors"


# --- pictures -------------------------------------------------------------------------------------


def test_every_dialect_makes_the_picture_of_the_cores_loader(
    host, server, loras, speed, targets, tmp_path
):
    options = {"model": ["demo", 0], "lora_name": speed, "strength_model": 1.0}
    by_core = node("LoraLoaderModelOnly", **options)
    samples = sample(["lora", 0], ["recipe", 0])
    expected, _ = ran(server, prompt_of(samples, lora=by_core))
    without, _ = ran(server, prompt_of(sample(["demo", 0], ["recipe", 0])))
    assert difference(without, expected) > CLEARLY
    for dialect in DIALECTS:
        in_dialect(dialect, targets, tmp_path)
        name = f"{dialect}.safetensors"
        shutil.copy(tmp_path / "lora.safetensors", loras / name)
        made, texts = ran(server, with_lora(name))
        assert difference(made, expected) <= MOST, dialect
        assert "coverage      whole" in texts["report"], dialect
        assert f"{LAYERS} of the {LAYERS} layers" in texts["report"], dialect


def test_apply_with_sampler_custom_makes_the_picture_of_sample(host, server, speed):
    parts = {"model": ["lora", 0], "recipe": ["lora", 1], "guidance": 0.0}
    by_parts = prompt_of(
        custom(["apply", 0], ["apply", 1], ["apply", 2], ["apply", 3]),
        lora=lora(speed),
        apply=node("FewStepApply", **parts),
        report=text(["apply", 4]),
    )
    made, texts = ran(server, by_parts)
    assert made.tobytes() == ran(server, with_lora(speed))[0].tobytes()
    assert "does not fit" not in texts["report"]


def test_guidance_is_told_by_its_node_as_by_sample(server):
    told = node("FewStepGuidance", model=["demo", 0], guidance=3.0)
    sigmas = node(
        "FewStepSigmas", model=["demo", 0], spacing="lcm", steps=4, denoise=1.0, timesteps=""
    )
    by_node = prompt_of(
        custom(["told", 0], ["sampler", 0], ["sigmas", 0], 1.0),
        variant="LCM UNet",
        told=told,
        sampler=node("FewStepSamplerLCM"),
        sigmas=sigmas,
    )

    def by_sample(guidance):
        samples = sample(["demo", 0], ["recipe", 0], guidance=guidance)
        return prompt_of(samples, variant="LCM UNet", recipe_id="lcm-dreamshaper-v7")

    made, _ = ran(server, by_node)
    assert made.tobytes() == ran(server, by_sample(3.0))[0].tobytes()
    assert difference(ran(server, by_sample(1.0))[0], ran(server, by_sample(8.0))[0]) > CLEARLY


# --- reports --------------------------------------------------------------------------------------


def test_check_names_what_does_not_fit_and_says_ok_of_what_does(host, server, speed):
    def checked(cfg):
        parts = {"model": ["lora", 0], "recipe": ["recipe", 0], "guidance": 0.0}
        used = {"sampler": ["apply", 1], "sigmas": ["apply", 2], "cfg": cfg}
        return prompt_of(
            custom(["apply", 0], ["apply", 1], ["apply", 2], cfg),
            lora=lora(speed),
            apply=node("FewStepApply", **parts),
            check=node("FewStepCheck", model=["apply", 0], **used),
            report=text(["check", 0]),
            ok=text(["check", 1]),
        )

    fitting, burnt = (ran(server, checked(cfg))[1] for cfg in (["apply", 3], 7.0))
    assert (fitting["ok"], burnt["ok"]) == ("True", "False")
    assert burnt["report"].startswith("does not fit: cfg: 7; needed: 1 (1 to 2)\n")
    assert "fits: cfg: 1" in fitting["report"]


def test_identify_tells_a_file_by_its_name_and_its_layers(host, server, loras):
    header_files = importlib.import_module("header_files")
    down, up = "down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_k", (320, 768)
    shapes = {f"unet.{down}.lora_A.weight": (64, up[1]), f"unet.{down}.lora_B.weight": (up[0], 64)}
    header_files.write_sparse(loras / "lcm-lora-sdv1-5.safetensors", shapes)
    told = {
        "file": node("FewStepIdentify", file="lcm-lora-sdv1-5.safetensors"),
        "report": text(["file", 1]),
    }
    report = server.client.run(told)["report"]["text"][0]
    assert "recipe        lcm-lora-sd15: LCM-LoRA SD 1.5\n" in report
    assert "architecture  sd15\n" in report
    assert "steps         4 (2 to 8)\n" in report

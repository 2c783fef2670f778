"""A broken or foreign file fails its own prompt in a sentence, and the server goes on."""

import json
import pickle

import pytest
from header_files import write_sparse
from host.client import PromptError
from host.test_lora_dialects import shipped
from host.test_recipe_api import lora, loras, node, ran, speed, text, with_lora
from safetensors.torch import save, save_file

__all__ = ["loras", "speed"]
NAME = "bad.safetensors"
# the core's own loader would read it in full; the model of the demo has 64 channels
WIDE = {"lora_unet_conv_in": ((4, 4, 3, 3), (320, 4, 1, 1))}
FLUX = {"lora_unet_double_blocks_0_img_attn_qkv": ((4, 3072), (9216, 4))}


def with_header(text):
    """A file of this header, and of 16 bytes that it may speak of."""
    return len(text).to_bytes(8, "little") + text + bytes(16)


def overlapping():
    entry = {"dtype": "F32", "shape": [4]}
    tensors = {name: entry | {"data_offsets": [0, 16]} for name in ("a", "b")}
    return with_header(json.dumps(tensors).encode())


BROKEN = {
    "empty": (b"", "bad.safetensors is empty. Download it again."),
    "cut off": (save(shipped())[:-100_000], "bad.safetensors is cut off"),
    "pickle": (pickle.dumps([print], protocol=4), "bad.safetensors is a pickle, which can run"),
    "gigabytes": (
        (6 * 10**9).to_bytes(8, "little") + b"{" + bytes(100),
        "bad.safetensors is damaged or no safetensors file: it announces a header of 6000000000",
    ),
    "overlapping": (overlapping(), "bad.safetensors is damaged:"),
    "deep": (with_header(b'{"a":' * 200_000), "bad.safetensors is damaged: its header is nested"),
}


def foreign(layers):
    """Shapes of a LoRA for these layers, (down, up) each."""
    parts = ("lora_down", "lora_up")
    return {
        f"{stem}.{part}.weight": shape
        for stem, shapes in layers.items()
        for part, shape in zip(parts, shapes, strict=True)
    }


def refusal(server, prompt):
    """The message of the failure that the history has of a prompt, and which error it is."""
    with pytest.raises(PromptError, match="execution_error") as caught:
        server.client.run(prompt)
    _, told = json.loads(str(caught.value))
    return told["exception_message"].strip(), told["exception_type"]


def loading(kind, **inputs):
    """A prompt with nothing but this node and the text of its report."""
    slot = 1 if kind == "FewStepIdentify" else 2
    return {"loader": node(kind, **inputs), "report": text(["loader", slot])}


def putting_on(if_unsure):
    prompt = {
        name: entry
        for name, entry in with_lora(NAME).items()
        if name in ("demo", "recipe", "report")
    }
    loader = lora(NAME)
    loader["inputs"]["if_unsure"] = if_unsure
    return prompt | {"lora": loader}


@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_file_fails_in_a_sentence_wherever_it_is_read(host, server, loras, speed, what):
    content, sentence = BROKEN[what]
    networks = loras.parent / "diffusion_models"
    networks.mkdir(exist_ok=True)
    for folder in (loras, networks):
        (folder / NAME).write_bytes(content)
    options = {"weight_dtype": "default", "steps": 0, "if_unsure": "warn"}
    prompts = [
        putting_on("warn"),
        loading("FewStepIdentify", file=NAME),
        loading("FewStepModelLoader", model_name=NAME, **options),
    ]
    for prompt in prompts:
        message, kind = refusal(server, prompt)
        assert message.startswith(sentence), message
        assert (kind, "\n" in message, len(message) < 400) == ("ValueError", False, True)
    (networks / NAME).unlink()
    # not the picture of an earlier prompt, which the server would remember
    picture, _ = ran(server, with_lora(speed, seed=100 + list(BROKEN).index(what)))
    assert picture.size == (128, 128)


@pytest.mark.parametrize("if_unsure", ["stop", "warn"])
@pytest.mark.parametrize(
    ("layers", "sentence"),
    [
        (WIDE, "bad.safetensors is for another network than model."),
        (FLUX, "bad.safetensors fits nothing in model."),
    ],
)
def test_a_lora_of_another_architecture_fails_in_a_sentence(
    host, server, loras, speed, layers, sentence, if_unsure
):
    write_sparse(loras / NAME, foreign(layers))
    message, kind = refusal(server, putting_on(if_unsure))
    assert message.startswith(sentence), message
    assert "Load it with the base model" in message or "Load the base model" in message
    assert kind == "ValueError"
    picture, _ = ran(server, with_lora(speed))
    assert picture.size == (128, 128)


def without(lost):
    return {key: tensor for key, tensor in shipped().items() if not key.startswith(lost)}


def renamed(old, new):
    return {key.replace(old, new): tensor for key, tensor in shipped().items()}


@pytest.mark.parametrize(
    ("tensors", "sentence"),
    [
        (
            without("lora_unet_mid_block_attentions_0_proj_in.lora_up"),
            "1 lack one of their two factors: the file is damaged: proj_in (1).",
        ),
        (
            renamed("mid_block_attentions_0_proj_in", "mid_block_attentions_9_proj_in"),
            "1 name no module of this model and would be left out: mid_block_attentions_9_proj_in",
        ),
    ],
)
def test_a_layer_that_is_lost_or_renamed_is_named(host, server, loras, tensors, sentence):
    save_file(tensors, loras / NAME)
    message, kind = refusal(server, putting_on("stop"))
    assert message.startswith("bad.safetensors fits model only in part.")
    assert "78 of the 79 layers" in message and sentence in message
    assert kind == "ValueError"
    report = server.client.run(putting_on("warn"))["report"]["text"][0]
    assert "coverage      partial" in report
    assert sentence in report


def test_a_file_that_has_gone_fails_in_a_sentence(host, server, loras):
    (loras / NAME).write_bytes(b"")
    prompt = putting_on("warn")
    refusal(server, prompt)
    (loras / NAME).unlink()
    with pytest.raises(PromptError, match="bad.safetensors"):
        server.client.run(prompt)

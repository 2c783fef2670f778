"""A LoRA that diffusers is given changes weights as the pack's own merge does."""

import torch
from lora_files import pair
from safetensors.torch import load_file, save_file
from tiny_pipelines import save_sd

from fewstep.demo import weights
from fewstep.headless.diffusers_pipeline import load_pipeline
from fewstep.headless.evaluation_config import Model
from fewstep.headless.even_lora import evened
from fewstep.headless.lora import merge

BLOCK = "lora_unet_down_blocks_0_attentions_0"
ATTENTION = f"{BLOCK}_transformer_blocks_0_attn1"


def several_ranks():
    """Layers whose ranks and alphas differ, one of them a convolution."""
    state = pair(f"{ATTENTION}_to_q", rank=2, width=8, out=8, alpha=1)
    state |= pair(f"{ATTENTION}_to_k", rank=3, width=8, out=8, alpha=6)
    state |= pair(f"{ATTENTION}_to_out_0", rank=2, width=8, out=8)
    convolution = pair(f"{BLOCK}_proj_in", rank=4, width=8, out=8, alpha=2)
    return (
        state
        | {name: tensor[:, :, None, None] for name, tensor in convolution.items() if tensor.ndim}
        | {name: t for name, t in convolution.items() if not t.ndim}
    )


def test_layers_of_several_ranks_and_alphas_are_as_in_our_merge(tmp_path):
    folder, lora = tmp_path / "sd", tmp_path / "mine.safetensors"
    pipeline = save_sd(folder)
    save_file(several_ranks(), lora)
    model = Model("mine", folder, lora=lora)
    found = load_pipeline(model, "unet", pipeline.scheduler, 0.7, torch.float32).unet
    before = {name: tensor.clone() for name, tensor in pipeline.unet.state_dict().items()}
    merge(pipeline.unet, several_ranks(), 0.7)
    expected = pipeline.unet.state_dict()
    assert found.state_dict().keys() == expected.keys()
    torch.testing.assert_close(dict(found.state_dict()), dict(expected), rtol=1e-5, atol=1e-6)
    assert sum(not torch.equal(before[name], expected[name]) for name in before) == 4


def test_what_a_file_changes_stays_the_same():
    state = load_file(weights.student_file("progressive_4_steps"))
    even = evened(state)
    down = [name for name in even if name.endswith("lora_down.weight")]
    assert len({len(even[name]) for name in down}) == 1 and not any(".alpha" in n for n in even)
    for name in down:
        stem = name.removesuffix(".lora_down.weight")
        products = []
        for tensors in (state, even):
            down_, up = (tensors[f"{stem}.lora_{part}.weight"].double() for part in ("down", "up"))
            alpha = tensors.get(f"{stem}.alpha", torch.tensor(len(down_))).item()
            products.append(alpha / len(down_) * up.flatten(1) @ down_.flatten(1))
        torch.testing.assert_close(*products, rtol=1e-6, atol=1e-9)


def test_other_names_are_left_alone():
    state = pair("unet.a.to_q", down="lora_A", up="lora_B")
    assert evened(state) == state

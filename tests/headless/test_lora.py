import pytest
import torch
from lora_files import pair
from torch.func import functional_call

from fewstep.demo.architecture import new_unet
from fewstep.headless.lora import Lora, merge


@pytest.fixture(scope="module")
def unet():
    torch.manual_seed(0)
    return new_unet().eval().requires_grad_(False)


def new_lora(unet, filled=True):
    generator = torch.Generator().manual_seed(1)
    lora = Lora(unet, rank=4, lora_alpha=2.0, generator=generator)
    if filled:
        for up in lora.up:
            up.data.normal_(generator=generator).mul_(0.05)
    return lora


def inputs():
    generator = torch.Generator().manual_seed(2)
    x = torch.randn(2, 4, 16, 16, generator=generator)
    return x, 500, torch.randn(2, 32, 128, generator=generator)


def test_an_untrained_lora_changes_nothing(unet):
    changed = functional_call(unet, new_lora(unet, filled=False).weights(), inputs()).sample
    assert torch.equal(changed, unet(*inputs()).sample)


def test_the_change_is_alpha_over_rank_times_up_times_down(unet):
    lora = new_lora(unet)
    name = "down_blocks.0.resnets.0.conv1"
    i = lora.names.index(name)
    down, up = lora.down[i], lora.up[i]
    assert down.shape == (4, 64, 3, 3) and up.shape == (64, 4, 1, 1)
    x = torch.randn(1, 64, 5, 5, generator=torch.Generator().manual_seed(3))
    conv = torch.nn.functional.conv2d
    by_weights = conv(x, lora.weights()[f"{name}.weight"] - lora.bases[name], padding=1)
    by_layers = 2.0 / 4 * conv(conv(x, down, padding=1), up)
    torch.testing.assert_close(by_weights, by_layers, rtol=1e-4, atol=1e-5)


def test_merging_the_saved_lora_equals_calling_with_its_weights(unet):
    lora = new_lora(unet)
    for parameter in lora.parameters():  # what float16 files can hold
        parameter.data = parameter.data.half().float()
    merged = new_unet().eval()
    merged.load_state_dict(unet.state_dict())
    merge(merged, lora.kohya())
    called = functional_call(unet, lora.weights(), inputs()).sample
    torch.testing.assert_close(merged(*inputs()).sample, called, rtol=1e-5, atol=1e-5)
    assert (called - unet(*inputs()).sample).abs().max() > 1e-2


def test_keys_are_kohyas_and_every_layer_that_lcm_loras_train_is_there(unet):
    state = new_lora(unet).kohya()
    stem = "lora_unet_up_blocks_0_attentions_1_transformer_blocks_0_attn2_to_out_0"
    assert {f"{stem}.{end}" for end in ("lora_down.weight", "lora_up.weight", "alpha")} <= set(
        state
    )
    trained = [
        n for n, m in unet.named_modules() if isinstance(m, torch.nn.Linear | torch.nn.Conv2d)
    ]
    left_out = {"conv_in", "conv_out", "time_embedding.linear_1", "time_embedding.linear_2"}
    assert len(state) == 3 * len(set(trained) - left_out)


def test_a_lora_of_another_network_is_refused_before_anything_changes(unet):
    merged = new_unet()
    before = {k: v.clone() for k, v in merged.state_dict().items()}
    state = new_lora(unet).kohya() | pair("lora_unet_aaa_first")
    with pytest.raises(ValueError, match="unet module 'aaa_first' of the file is none of the tar"):
        merge(merged, state)
    assert all(torch.equal(before[k], v) for k, v in merged.state_dict().items())

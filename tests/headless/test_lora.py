import pytest
import torch
from lora_files import pair
from safetensors.torch import load_file

from fewstep.demo import weights
from fewstep.demo.architecture import new_unet
from fewstep.headless.lora import merge


def test_a_lora_of_another_network_is_refused_before_anything_changes():
    merged = new_unet()
    before = {k: v.clone() for k, v in merged.state_dict().items()}
    state = load_file(weights.LCM_LORA) | pair("lora_unet_aaa_first")
    with pytest.raises(ValueError, match="unet module 'aaa_first' of the file is none of the tar"):
        merge(merged, state)
    assert all(torch.equal(before[k], v) for k, v in merged.state_dict().items())


def test_a_strength_is_a_multiple_of_the_change():
    whole, half, none = (new_unet() for _ in range(3))
    for unet in (whole, half):
        unet.load_state_dict(none.state_dict())
    state = load_file(weights.LCM_LORA)
    merge(whole, state)
    merge(half, state, 0.5)
    path = "down_blocks.0.resnets.0.conv1"
    change = [
        unet.get_submodule(path).weight - none.get_submodule(path).weight for unet in (half, whole)
    ]
    torch.testing.assert_close(2 * change[0], change[1], rtol=1e-4, atol=1e-6)
    assert change[1].abs().max() > 1e-3

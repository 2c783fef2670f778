import pytest
from small_network import Small
from torch import nn

from fewstep.distill.targets import choose, repeated_blocks


class Sequence(nn.Sequential):
    """As ComfyUI's UNets have it: never called as a whole."""


def unet():
    """The shape of an LDM UNet's tree."""
    root = nn.Module()
    root.time_embed = nn.Sequential(nn.Linear(4, 4), nn.SiLU(), nn.Linear(4, 4))
    resnet = nn.Module()
    resnet.in_layers = nn.Sequential(nn.GroupNorm(2, 4), nn.SiLU(), nn.Conv2d(4, 4, 3))
    resnet.emb_layers = nn.Sequential(nn.SiLU(), nn.Linear(4, 4))
    attention = nn.Module()
    attention.transformer_blocks = nn.ModuleList([nn.ModuleDict({"to_q": nn.Linear(4, 4)})])
    down = nn.Module()
    down.op = nn.Conv2d(4, 4, 3, groups=1)
    depthwise = nn.Conv2d(4, 4, 3, groups=4)
    blocks = [Sequence(nn.Conv2d(2, 4, 3)), Sequence(resnet, attention), Sequence(down, depthwise)]
    root.input_blocks = nn.ModuleList(blocks)
    middle = nn.Module()
    middle.proj = nn.Linear(4, 4)
    root.middle_block = Sequence(middle)
    root.out = nn.Sequential(nn.GroupNorm(2, 4), nn.Conv2d(4, 2, 3))
    return root


UNET_LAYERS = [
    "input_blocks.1.0.in_layers.2",
    "input_blocks.1.0.emb_layers.1",
    "input_blocks.1.1.transformer_blocks.0.to_q",
    "input_blocks.2.0.op",
    "middle_block.0.proj",
]


def test_no_pattern_means_every_layer_of_the_blocks_and_none_beside_them():
    assert list(choose(unet())) == UNET_LAYERS
    assert list(choose(Small())) == [f"blocks.{i}.{n}" for i in range(3) for n in ("conv", "emb")]


@pytest.mark.parametrize(
    ("patterns", "places"),
    [
        ("to_q", [2]),
        ("to_q, emb", [1, 2]),
        ("!transformer_blocks", [0, 1, 3, 4]),
        ("input_blocks, !emb", [0, 2, 3]),
        ("blocks.*.op", [3]),
        (" , ", [0, 1, 2, 3, 4]),
    ],
)
def test_patterns_take_and_leave_out(patterns, places):
    assert list(choose(unet(), patterns)) == [UNET_LAYERS[place] for place in places]


@pytest.mark.parametrize("word", ["to_queue", "!to_queue"])
def test_a_pattern_that_fits_nothing_is_refused(word):
    with pytest.raises(ValueError, match=f"pattern '{word}', which fits none of the 5 layers"):
        choose(unet(), f"emb, {word}")


def test_blocks_are_what_the_network_calls():
    root = unet()
    resnet, attention = root.input_blocks[1]
    down = root.input_blocks[2][0]
    found = repeated_blocks(root)
    assert found[:3] == [resnet, attention, down] and root.middle_block[0] in found
    small = Small()
    assert repeated_blocks(small) == list(small.blocks)

import pytest
import torch
from torch import nn

from fewstep.distill.lora import Lora
from fewstep.lora.convert import write_layers
from fewstep.lora.layers import layers_of

LAYERS = {
    "blocks.0.to_q": nn.Linear(8, 6),
    "blocks.0.conv": nn.Conv2d(4, 6, (3, 1), stride=2, padding=(1, 0), dilation=(1, 1)),
    "blocks.1.mix": nn.Conv1d(5, 4, 3),
    "blocks.1.patch": nn.Conv3d(2, 4, (1, 2, 2), stride=(1, 2, 2)),
}


def new(rank=3, lora_alpha=6.0, seed=0, layers=None):
    generator = torch.Generator().manual_seed(seed)
    return Lora(LAYERS if layers is None else layers, rank, lora_alpha, generator)


@pytest.mark.parametrize(
    ("path", "shape"),
    [
        ("blocks.0.to_q", (2, 7, 8)),
        ("blocks.0.conv", (2, 4, 9, 8)),
        ("blocks.1.mix", (2, 5, 11)),
        ("blocks.1.patch", (2, 2, 3, 6, 4)),
    ],
)
def test_what_it_adds_is_the_layer_with_the_product_of_its_parts_as_weight(path, shape):
    lora, layer = new(), LAYERS[path]
    i = lora.paths[path]
    lora.up[i].data.normal_()
    x = torch.randn(shape)
    product = (lora.up[i].flatten(1) @ lora.down[i].flatten(1)).view_as(layer.weight)
    changed = type(layer).__new__(type(layer))
    changed.__dict__ = {**layer.__dict__, "_parameters": {}}
    changed.weight, changed.bias = nn.Parameter(6.0 / 3 * product.detach()), None
    torch.testing.assert_close(lora.added(path, layer, x), changed(x), rtol=1e-5, atol=1e-5)


def test_it_changes_nothing_at_first_and_its_down_parts_are_drawn_from_the_generator():
    first, again, other = new(), new(), new(seed=1)
    for path, layer in LAYERS.items():
        size = {1: (2, 9), 2: (2, 9, 8), 3: (2, 3, 6, 4)}.get(layer.weight.ndim - 2, (2,))
        x = torch.randn(2, layer.weight.shape[1], *size[1:])
        assert not torch.any(first.added(path, layer, x))
    assert all(torch.equal(a, b) for a, b in zip(first.down, again.down, strict=True))
    assert not any(torch.equal(a, b) for a, b in zip(first.down, other.down, strict=True))


def test_it_adds_nothing_to_a_layer_that_is_not_its_own():
    assert new().added("blocks.7.to_q", nn.Linear(8, 6), torch.ones(1, 8)) == 0


def test_a_file_of_it_is_read_back_as_the_same_layers():
    lora = new()
    tensors, _ = write_layers(lora.layers("unet"), "kohya", {"unet": list(lora.paths)})
    read = {place.module: layer for place, layer in layers_of(tensors).items()}
    assert len(read) == len(LAYERS)
    for path, i in lora.paths.items():
        layer = read[path.replace(".", "_")]
        assert torch.equal(layer.down, lora.down[i].half()) and layer.alpha == 6.0


def test_half_precision_inputs_are_answered_in_half_precision_with_weights_in_full():
    lora = new()
    added = lora.added("blocks.0.to_q", LAYERS["blocks.0.to_q"], torch.ones(1, 8).bfloat16())
    assert added.dtype == torch.bfloat16
    assert all(parameter.dtype == torch.float32 for parameter in lora.parameters())


@pytest.mark.parametrize(
    ("rank", "path", "most"), [(0, "to_q", 6), (7, "to_q", 6), (5, "blocks.1.mix", 4)]
)
def test_a_rank_that_a_layer_cannot_have_is_refused(rank, path, most):
    layers = {name: layer for name, layer in LAYERS.items() if path in name}
    with pytest.raises(ValueError, match=rf"rank is {rank};.*1 to {most} is allowed"):
        new(rank, layers=layers)


def test_layers_it_cannot_change_are_refused_by_name():
    with pytest.raises(ValueError, match="blocks.0.norm is a LayerNorm"):
        new(1, layers={"blocks.0.norm": nn.LayerNorm(4)})
    with pytest.raises(ValueError, match="blocks.0.dw is a Conv2d"):
        new(1, layers={"blocks.0.dw": nn.Conv2d(4, 4, 3, groups=2)})
    with pytest.raises(ValueError, match="no layer is to be trained"):
        new(layers={})

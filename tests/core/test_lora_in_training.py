import pytest
import torch
from torch import nn

from fewstep.distill.lora import Lora, joined
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


def test_its_down_parts_start_as_torch_starts_a_linear_layer():
    (down,) = new(layers={"to_q": nn.Linear(400, 400)}, rank=300).down
    bound = 1 / 20
    assert down.abs().max() <= bound
    # evenly spread, 5 standard errors of 120,000 numbers
    assert abs(down.std() / (bound / 3**0.5) - 1) < 5 / (2 * 120_000) ** 0.5


def filled(seed, rank, lora_alpha, layers=None):
    lora = new(rank, lora_alpha, seed, layers)
    for up in lora.up:
        up.data.normal_(generator=torch.Generator().manual_seed(seed))
    return lora


def change_of(layers, path):
    """What a file's layer adds to a weight, by LoRA's own formula."""
    layer = layers[path]
    product = layer.up.double().flatten(1) @ layer.down.double().flatten(1)
    return layer.alpha / len(layer.down) * product


def test_several_joined_change_as_much_as_all_of_them_together():
    some = {path: LAYERS[path] for path in list(LAYERS)[:2]}
    first, second = filled(1, 3, 6.0), filled(2, 2, 1.0, some)
    both = joined([first, second])
    for path, layer in LAYERS.items():
        size = {2: (8,), 3: (5, 9), 4: (4, 9, 8), 5: (2, 3, 6, 4)}[layer.weight.ndim]
        x = torch.randn(2, *size, generator=torch.Generator().manual_seed(0))
        wanted = first.added(path, layer, x) + second.added(path, layer, x)
        torch.testing.assert_close(both.added(path, layer, x), wanted, rtol=1e-4, atol=1e-4)
    read = {module.path: layer for module, layer in both.layers("unet").items()}
    parts = [{m.path: y for m, y in lora.layers("unet").items()} for lora in (first, second)]
    for path in some:
        assert len(read[path].down) == 5
        wanted = sum(change_of(part, path) for part in parts)
        torch.testing.assert_close(change_of(read, path), wanted, rtol=5e-3, atol=5e-3)


def test_layers_of_a_file_become_the_same_change_again():
    lora = filled(1, 3, 6.0)
    read = {module.path: layer for module, layer in lora.layers("unet").items()}
    again = {m.path: y for m, y in Lora.of(read).layers("unet").items()}
    bare = Lora.of({path: layer._replace(alpha=None) for path, layer in read.items()})
    for path in LAYERS:
        torch.testing.assert_close(
            change_of(again, path), change_of(read, path), rtol=5e-3, atol=5e-3
        )
        # without an alpha the scale is 1
        i = bare.paths[path]
        assert torch.equal(bare.up[i], read[path].up.float())


@pytest.mark.parametrize("part", ["mid", "dora_scale"])
def test_a_layer_that_is_no_plain_lora_is_refused(part):
    read = {module.path: layer for module, layer in new().layers("unet").items()}
    path = next(iter(read))
    read[path] = read[path]._replace(**{part: torch.ones(1)})
    with pytest.raises(ValueError, match=f"{path} is changed by something else than a plain LoRA"):
        Lora.of(read)


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

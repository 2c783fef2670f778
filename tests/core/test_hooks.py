import pytest
import torch
from small_network import SHAPE, SmallNetwork

from fewstep.distill.lora import Lora
from fewstep.distill.network import denoiser

X = torch.randn(3, *SHAPE, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
SIGMA = torch.tensor([9.0, 1.0, 0.1])
ROWS = torch.tensor([0, 1, 4])


def changed(network, seed=0):
    """A LoRA that changes something."""
    generator = torch.Generator().manual_seed(seed)
    lora = Lora(network.hooks.layers, 2, 2.0, generator)
    for up in lora.up:
        up.data.normal_(std=0.5, generator=generator)
    return lora.double()


def test_without_a_change_the_network_computes_what_it_always_did():
    network = SmallNetwork()
    before = denoiser(network, ROWS)(X, SIGMA)
    lora = changed(network)
    with_lora = denoiser(network, ROWS, lora)(X, SIGMA)
    assert not torch.equal(before, with_lora)
    assert torch.equal(before, denoiser(network, ROWS)(X, SIGMA))
    network.hooks.close()
    assert torch.equal(before, denoiser(network, ROWS)(X, SIGMA))
    # with its hooks gone a change reaches nothing
    assert torch.equal(before, denoiser(network, ROWS, lora)(X, SIGMA))


def test_what_is_on_is_off_again_after_an_exception():
    network = SmallNetwork()
    before = denoiser(network, ROWS)(X, SIGMA)
    with pytest.raises(RuntimeError, match="here"), network.hooks.using(changed(network)):
        raise RuntimeError("here")
    assert torch.equal(before, denoiser(network, ROWS)(X, SIGMA))


def test_changes_add_up_and_the_inner_ones_hold():
    network = SmallNetwork()
    first, second = changed(network, 1), changed(network, 2)
    both = denoiser(network, ROWS, first, second)(X, SIGMA)
    other_way = denoiser(network, ROWS, second, first)(X, SIGMA)
    torch.testing.assert_close(both, other_way)
    with network.hooks.using(first):
        inner = denoiser(network, ROWS, second)(X, SIGMA)
    torch.testing.assert_close(inner, denoiser(network, ROWS, second)(X, SIGMA))
    assert (both - inner).abs().max() > 1e-3


def test_a_change_equals_the_weights_it_stands_for():
    network = SmallNetwork()
    lora = changed(network)
    hooked = denoiser(network, ROWS, lora)(X, SIGMA)
    with torch.no_grad():
        for path, i in lora.paths.items():
            weight = network.model.get_submodule(path).weight
            delta = lora.up[i].flatten(1) @ lora.down[i].flatten(1)
            weight += lora.lora_alpha / lora.rank * delta.view_as(weight)
    torch.testing.assert_close(denoiser(network, ROWS)(X, SIGMA), hooked)


@pytest.mark.parametrize("is_late", [False, True])
def test_computing_blocks_twice_gives_the_same_gradient(is_late):
    gradients = []
    for is_checkpointed in (False, True):
        network = SmallNetwork(is_checkpointed=is_checkpointed)
        lora = changed(network)
        loss = denoiser(network, ROWS, lora)(X, SIGMA).square().sum()
        other = changed(network, 7)
        # another change is on by the time of the backward pass, as with a target or fake score
        with network.hooks.using(*[other] * is_late):
            loss.backward()
        assert all(p.grad is None for p in other.parameters())
        gradients.append([p.grad for p in lora.parameters()])
        network.hooks.close()
        assert "forward" not in vars(network.model.blocks[0])
    for kept, again in zip(*gradients, strict=True):
        torch.testing.assert_close(kept, again, rtol=0, atol=0)


def test_blocks_are_computed_twice_only_for_a_gradient():
    network = SmallNetwork(is_checkpointed=True)
    calls = []
    network.model.blocks[1].conv.register_forward_hook(lambda *_: calls.append(1))
    lora = changed(network)
    with torch.no_grad():
        denoiser(network, ROWS, lora)(X, SIGMA)
    assert len(calls) == 1
    denoiser(network, ROWS, lora)(X, SIGMA).sum().backward()
    assert len(calls) == 3


def test_a_forward_that_stood_in_the_way_is_put_back():
    network = SmallNetwork()
    block = network.model.blocks[0]
    mine = block.forward = lambda x, states: x
    from fewstep.distill.hooks import Hooks

    hooks = Hooks({}, [block])
    assert block.forward is not mine
    hooks.close()
    assert block.forward is mine

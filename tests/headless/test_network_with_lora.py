"""A diffusers network is trained for through its hooks alone, and is the same without them."""

import pytest
import torch
from tiny_models import LATENT, conditions, tiny_flux, tiny_sd3, tiny_sdxl
from tiny_networks import ROWS, TABLE, drawn, filled, flux_network, levels, unet_network
from tiny_unet import tiny_unet

from fewstep.diffusion.prediction import EPS, FLOW_VELOCITY, V
from fewstep.diffusion.sigmas import sigma_table
from fewstep.distill.network import denoiser
from fewstep.headless.blocks import blocks
from fewstep.headless.families import family_of
from fewstep.headless.lora import merge
from fewstep.headless.network import DiffusersNetwork
from fewstep.headless.told_unet import add_guidance_input
from fewstep.lora.convert import write_layers

# every Linear and Conv2d of an SD UNet that published LCM-LoRAs train
TARGETS = (
    "to_q",
    "to_k",
    "to_v",
    "to_out.0",
    "proj_in",
    "proj_out",
    "ff.net.0.proj",
    "ff.net.2",
    "conv1",
    "conv2",
    "conv_shortcut",
    "downsamplers.0.conv",
    "upsamplers.0.conv",
    "time_emb_proj",
)


@torch.no_grad()
def test_a_lora_in_training_is_its_kohya_file_merged():
    network, x = unet_network(), 4.0 * drawn(2, *LATENT)
    lora = filled(network)
    found = denoiser(network, ROWS, lora)(x, levels())
    file, _ = write_layers(lora.layers("unet"), "kohya", {"unet": list(lora.paths)})
    merged = tiny_unet().eval()
    merge(merged, file)
    expected = unet_network(merged).denoise(x, levels(), ROWS)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
    assert (found - network.denoise(x, levels(), ROWS)).abs().max() > 1e-2


@pytest.mark.parametrize("is_checkpointed", [False, True])
@pytest.mark.parametrize("make", [unet_network, flux_network])
def test_a_gradient_arrives_at_every_layer(make, is_checkpointed):
    network = make(is_checkpointed=is_checkpointed)
    lora = filled(network)
    x = drawn(2, *LATENT)
    denoiser(network, ROWS, lora)(x, torch.tensor([0.9, 0.5])).square().sum().backward()
    for path, i in lora.paths.items():
        assert lora.down[i].grad.abs().max() > 0, path
        assert lora.up[i].grad.abs().max() > 0, path
    assert all(weight.grad is None for weight in network.model.parameters())


@pytest.mark.parametrize(("is_checkpointed", "times"), [(False, 1), (True, 2)])
def test_checkpointed_blocks_are_computed_again_for_the_gradient(is_checkpointed, times):
    network = unet_network(is_checkpointed=is_checkpointed)
    passes = []
    watched = network.model.down_blocks[1].resnets[0].conv1
    watched.register_forward_hook(lambda *_: passes.append(1))
    denoiser(network, ROWS, filled(network))(drawn(2, *LATENT), levels()).sum().backward()
    assert len(passes) == times


def test_checkpointing_changes_no_gradient():
    gradients = []
    for is_checkpointed in (False, True):
        network = unet_network(is_checkpointed=is_checkpointed)
        lora = filled(network)
        denoiser(network, ROWS, lora)(drawn(2, *LATENT), levels()).square().sum().backward()
        gradients.append([parameter.grad for parameter in lora.parameters()])
    for kept, computed_again in zip(*gradients, strict=True):
        torch.testing.assert_close(kept, computed_again)


@pytest.mark.parametrize("make", [unet_network, flux_network])
def test_a_closed_network_is_bit_for_bit_what_it_was(make):
    network = make(is_checkpointed=True)
    x, sigma = drawn(2, *LATENT), torch.tensor([0.9, 0.5])
    weights = {name: weight.clone() for name, weight in network.model.state_dict().items()}
    before = make().denoise(x, sigma, ROWS)
    lora = filled(network)
    denoiser(network, ROWS, lora)(x, sigma).sum().backward()
    network.hooks.close()
    assert torch.equal(network.denoise(x, sigma, ROWS), before)
    assert all(torch.equal(weights[n], w) for n, w in network.model.state_dict().items())
    assert not any(module._forward_hooks for module in network.model.modules())
    assert not any("forward" in vars(module) for module in network.model.modules())


@pytest.mark.parametrize("make", [tiny_unet, tiny_sdxl])
def test_the_layers_of_a_unet_are_those_of_published_loras(make):
    model = make().eval()
    given = conditions(*family_of(model).conditions(model))
    network = DiffusersNetwork(model, EPS, given, table=TABLE)
    published = {name for name, _ in model.named_modules() if name.endswith(TARGETS)}
    assert set(network.hooks.layers) == published


def test_the_layers_of_transformers_are_all_linear_ones_of_their_blocks():
    for model in (tiny_flux(), tiny_sd3()):
        network = DiffusersNetwork(model, FLOW_VELOCITY, conditions("states", "pooled"))
        linear = [n for n, m in model.named_modules() if isinstance(m, torch.nn.Linear)]
        assert set(network.hooks.layers) == {n for n in linear if "transformer_blocks" in n}


def test_blocks_are_the_repeated_parts_and_none_holds_another():
    kinds = [type(block).__name__ for block in blocks(tiny_sdxl())]
    # 1 + 1 + 2 + 2 + 2 resnets; 2 transformer blocks in each of 1 + 1 + 2 attentions
    assert kinds.count("ResnetBlock2D") == 8 and kinds.count("BasicTransformerBlock") == 8
    assert len(kinds) == 16
    found = blocks(tiny_flux())
    assert len(found) == 3
    assert not any(one in list(other.modules())[1:] for one in found for other in found)


def test_a_told_unet_hears_guidance_through_its_lora_alone():
    network = unet_network(add_guidance_input(tiny_unet().eval()))
    x, told = 4.0 * drawn(2, *LATENT), torch.tensor([5.0, 5.0])
    plain = unet_network().denoise(x, levels(), ROWS)
    with torch.no_grad():
        assert torch.equal(network.denoise(x, levels(), ROWS, told), plain)
    lora = filled(network)
    assert "time_embedding.cond_proj" in lora.paths
    five = denoiser(network, ROWS, lora, guidance=told)(x, levels())
    nine = denoiser(network, ROWS, lora, guidance=torch.tensor([9.0, 5.0]))(x, levels())
    torch.testing.assert_close(five[1], nine[1])
    assert (five[0] - nine[0]).abs().max() > 1e-3
    nine.sum().backward()
    assert lora.up[lora.paths["time_embedding.cond_proj"]].grad.abs().max() > 0


def test_the_fingerprint_tells_weights_conditions_levels_and_guidance():
    plain = unet_network().fingerprint
    assert unet_network().fingerprint == plain
    assert unet_network(add_guidance_input(tiny_unet().eval())).fingerprint == plain
    changed = tiny_unet().eval()
    with torch.no_grad():
        changed.conv_in.bias[0] += 1e-3
    trained = add_guidance_input(tiny_unet().eval())
    with torch.no_grad():
        trained.time_embedding.cond_proj.weight[0, 0] = 1.0
    told = [flux_network(tiny_flux(True), guidance=g).fingerprint for g in (3.5, 4.0)]
    others = {
        unet_network(changed).fingerprint,
        unet_network(trained).fingerprint,
        unet_network(prediction=V).fingerprint,
        DiffusersNetwork(
            tiny_unet().eval(), EPS, conditions("states", seed=5), table=TABLE
        ).fingerprint,
        DiffusersNetwork(
            tiny_unet().eval(), EPS, conditions("states"), table=sigma_table(last_beta=0.02)
        ).fingerprint,
        *told,
    }
    assert len(others) == 7 and plain not in others


def test_a_network_in_bfloat16_gives_estimates_and_gradients_in_float32():
    network = unet_network(tiny_unet().eval().bfloat16())
    x = 4.0 * drawn(2, *LATENT)
    lora = filled(network)
    found = denoiser(network, ROWS, lora)(x, levels())
    assert found.dtype == torch.float32
    exact = unet_network()
    expected = denoiser(exact, ROWS, lora)(x, levels())
    # bfloat16 has 8 bits, and what it rounds is multiplied by the level
    error = (found - expected).abs() / levels().view(-1, 1, 1, 1)
    assert 0 < error.max() < 0.1
    found.sum().backward()
    assert lora.up[0].grad.dtype == torch.float32

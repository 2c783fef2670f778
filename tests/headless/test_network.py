"""A diffusers network in training predicts what diffusers' own call of it does."""

import pytest
import torch
from tiny_models import LATENT, conditions, tiny_flux, tiny_sd3, tiny_sdxl
from tiny_networks import ROWS, TABLE, TIMESTEPS, drawn, flux_network, levels, unet_network
from tiny_unet import tiny_unet

from fewstep.demo import weights
from fewstep.demo.architecture import new_flow_transformer
from fewstep.diffusion.prediction import EPS, FLOW_VELOCITY, V
from fewstep.diffusion.process import FLOW, VE
from fewstep.distill.network import NEGATIVE, denoiser, guided_denoiser
from fewstep.headless.families import family_of, prediction_of
from fewstep.headless.flow_pipeline import denoised_of
from fewstep.headless.network import DiffusersNetwork
from fewstep.headless.pipeline import load_demo

CAPTIONS = ["a red circle on a gray background", "a blue square left of a green circle"]


def called_with_eps(model, x, rows, given):
    """What a DDPM network is asked, sample by sample, at its timesteps."""
    outputs = [
        model(x[i : i + 1] / (1 + TABLE[t] ** 2) ** 0.5, t, given["states"][row][None]).sample
        for i, (t, row) in enumerate(zip(TIMESTEPS, rows, strict=True))
    ]
    return torch.cat(outputs)


@torch.no_grad()
@pytest.mark.parametrize("rows", [(2, 0), (NEGATIVE, 1)])
def test_an_eps_unets_estimate_is_x_less_its_noise(rows):
    network, x = unet_network(), 4.0 * drawn(2, *LATENT)
    eps = called_with_eps(network.model, x, rows, conditions("states"))
    found = network.denoise(x, levels(), torch.tensor(rows))
    torch.testing.assert_close(found, x - levels().view(-1, 1, 1, 1) * eps, rtol=1e-5, atol=1e-5)
    assert network.process is VE and found.dtype == torch.float32 and network.rows == 3


@torch.no_grad()
def test_a_v_unets_estimate_is_alpha_x_less_sigma_v_of_the_vp_form():
    network, x = unet_network(prediction=V), 4.0 * drawn(2, *LATENT)
    v = called_with_eps(network.model, x, ROWS, conditions("states"))
    alpha = 1 / (1 + levels().view(-1, 1, 1, 1) ** 2).sqrt()
    sigma_vp = (1 - alpha**2).sqrt()
    expected = alpha * (alpha * x) - sigma_vp * v
    torch.testing.assert_close(network.denoise(x, levels(), ROWS), expected, rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_sdxl_is_told_its_pooled_text_and_its_sizes():
    given = conditions("states", "pooled", "time_ids")
    network = DiffusersNetwork(tiny_sdxl(), EPS, given, table=TABLE)
    x = 4.0 * drawn(2, *LATENT)
    eps = network.model(
        x / (1 + levels().view(-1, 1, 1, 1) ** 2).sqrt(),
        torch.tensor(TIMESTEPS),
        given["states"][ROWS],
        added_cond_kwargs={
            "text_embeds": given["pooled"][ROWS],
            "time_ids": given["time_ids"][ROWS],
        },
    ).sample
    expected = x - levels().view(-1, 1, 1, 1) * eps
    torch.testing.assert_close(network.denoise(x, levels(), ROWS), expected, rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_a_network_of_several_sizes_is_told_that_of_its_latents():
    given = conditions("states", "pooled", "time_ids")
    told = {size: conditions("time_ids", seed=seed) for size, seed in (((8, 8), 4), ((8, 6), 9))}
    plain = DiffusersNetwork(tiny_sdxl(), EPS, given, table=TABLE)
    time_ids = given.pop("time_ids")
    network = DiffusersNetwork(tiny_sdxl(), EPS, given, told, table=TABLE)
    alone = DiffusersNetwork(tiny_sdxl(), EPS, given, {(8, 6): told[8, 6]}, table=TABLE)
    assert network.rows == plain.rows and network.fingerprint == alone.fingerprint
    for size, of_size in told.items():
        own = DiffusersNetwork(tiny_sdxl(), EPS, {**given, **of_size}, table=TABLE)
        x = 4.0 * drawn(2, 4, *size)
        assert torch.equal(network.denoise(x, levels(), ROWS), own.denoise(x, levels(), ROWS))
    assert not torch.equal(time_ids, told[8, 6]["time_ids"])


@torch.no_grad()
def test_sd3_is_told_a_thousand_times_its_level():
    given = conditions("states", "pooled")
    network = DiffusersNetwork(tiny_sd3(), FLOW_VELOCITY, given)
    x, sigma = drawn(2, *LATENT), torch.tensor([0.9, 0.25])
    flow = network.model(
        hidden_states=x,
        timestep=torch.tensor([900.0, 250.0]),
        encoder_hidden_states=given["states"][ROWS],
        pooled_projections=given["pooled"][ROWS],
    ).sample
    expected = x - sigma.view(-1, 1, 1, 1) * flow
    torch.testing.assert_close(network.denoise(x, sigma, ROWS), expected, rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_flux_dev_is_told_the_models_guidance_or_that_of_the_pass():
    network = flux_network(tiny_flux(guidance_embeds=True), guidance=3.5)
    x, sigma = drawn(2, *LATENT), torch.tensor([0.9, 0.25])
    own = network.denoise(x, sigma, ROWS)
    assert torch.equal(own, network.denoise(x, sigma, ROWS, torch.tensor([3.5, 3.5])))
    other = network.denoise(x, sigma, ROWS, torch.tensor([3.5, 1.0]))
    torch.testing.assert_close(own[0], other[0])
    assert (own[1] - other[1]).abs().max() > 1e-4
    assert network.process is FLOW and network.table is None


@torch.no_grad()
def test_the_shipped_model_predicts_what_its_pipeline_does():
    pipeline = load_demo()
    states = pipeline.encode([*CAPTIONS, ""])
    network = DiffusersNetwork(pipeline.unet, EPS, {"states": states}, table=TABLE)
    x, rows = 5.0 * drawn(2, 4, 16, 16), torch.tensor([0, 1])
    for sigma in (TABLE[999], TABLE[300], 1.7):
        expected = pipeline.denoiser(CAPTIONS)(x, sigma)
        found = denoiser(network, rows)(x, sigma)
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
        guided = guided_denoiser(network, rows, torch.tensor([4.0, 4.0]))(x, sigma)
        torch.testing.assert_close(
            guided, pipeline.denoiser(CAPTIONS, 4.0)(x, sigma), rtol=1e-5, atol=1e-4
        )


@torch.no_grad()
def test_the_shipped_told_model_predicts_what_its_pipeline_does():
    pipeline = load_demo(unet=weights.LCM_UNET)
    states = pipeline.encode([*CAPTIONS, ""])
    network = DiffusersNetwork(pipeline.unet, EPS, {"states": states}, table=TABLE)
    x, rows, told = 5.0 * drawn(2, 4, 16, 16), torch.tensor([0, 1]), torch.tensor([3.0, 3.0])
    found = denoiser(network, rows, guidance=told)(x, TABLE[759])
    expected = pipeline.denoiser(CAPTIONS, guidance=3.0)(x, TABLE[759])
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-4)
    # what is told nothing hears 1, which is none
    untold = denoiser(network, rows)(x, TABLE[759])
    expected = pipeline.denoiser(CAPTIONS, guidance=1.0)(x, TABLE[759])
    torch.testing.assert_close(untold, expected, rtol=1e-5, atol=1e-4)


@torch.no_grad()
def test_a_flow_teacher_of_the_demo_predicts_what_its_pipeline_does():
    torch.manual_seed(6)
    transformer = new_flow_transformer().eval()
    for weight in transformer.parameters():
        weight.add_(0.05 * torch.randn_like(weight))
    states, pooled = drawn(4, 32, 128), drawn(4, 128)
    given = {"states": states, "pooled": pooled}
    network = DiffusersNetwork(transformer, FLOW_VELOCITY, given)
    x, sigma = drawn(2, 4, 16, 16), torch.tensor([0.9, 0.25])
    expected = denoised_of(transformer, x, sigma, states[ROWS], pooled[ROWS])
    found = network.denoise(x, sigma, ROWS)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
    assert (found - x).abs().max() > 0.1


@pytest.mark.parametrize(
    ("make", "complaint"),
    [
        (lambda: unet_network(torch.nn.Linear(2, 2)), "^the model is a Linear; allowed is one of"),
        (
            lambda: DiffusersNetwork(tiny_sdxl(), EPS, conditions("states"), table=TABLE),
            "^conditions are {'states': .*takes states, pooled, time_ids",
        ),
        (
            lambda: DiffusersNetwork(
                tiny_flux(),
                FLOW_VELOCITY,
                {**conditions("states"), **conditions("pooled", rows=2)},
            ),
            r"^conditions are .*'pooled': \(3, 8\)",
        ),
        (
            lambda: DiffusersNetwork(tiny_unet(), EPS, conditions("states", rows=0), table=TABLE),
            "^there are no prompts",
        ),
        (lambda: DiffusersNetwork(tiny_unet(), EPS, conditions("states")), "^table is missing"),
        (lambda: flux_network(table=TABLE), "^table is given"),
        (lambda: flux_network(tiny_flux(True)), "^guidance is None; models like FLUX.1-dev must"),
        (lambda: unet_network(guidance=3.5), "^guidance is 3.5; models like FLUX.1-dev"),
        (lambda: unet_network(layers="to_queue"), "pattern 'to_queue', which fits none"),
    ],
)
def test_what_does_not_fit_the_network_is_refused(make, complaint):
    with pytest.raises(ValueError, match=complaint):
        make()


def test_the_prediction_is_read_from_a_schedulers_config():
    unet, flux = family_of(tiny_unet()), family_of(tiny_flux())
    assert prediction_of(unet, "epsilon") is EPS
    assert prediction_of(unet, "v_prediction") is V
    assert prediction_of(flux) is FLOW_VELOCITY
    with pytest.raises(ValueError, match="^prediction_type of the scheduler is 'sample'; allowed"):
        prediction_of(unet, "sample")

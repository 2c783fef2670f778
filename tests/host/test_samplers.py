"""Our samplers in the real host: bit-identical to core's where they are the same algorithm."""

import importlib

import pytest
import torch

KINDS = ["eps", "v", "flow"]
SAME = ["lcm", "euler"]


@pytest.fixture(scope="module")
def runs(host):
    return importlib.import_module("host.runs")


def both(runs, name, latent=None):
    """Our sampler and core's of one name, the same step noise in both."""
    ours = runs.lcm() if name == "lcm" else runs.euler()
    return ours, runs.core(name, latent)


# --- equal to core ------------------------------------------------------------------------------


@pytest.mark.parametrize("steps", range(1, 9))
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", SAME)
def test_equals_cores_sampler_at_difference_zero(host, runs, name, kind, steps):
    model = host.tiny_model(kind)
    sigmas = runs.sigmas(model, steps=steps)
    ours, theirs = (runs.sample(model, sampler, sigmas) for sampler in both(runs, name))
    assert runs.difference(ours, theirs) == 0.0


@pytest.mark.parametrize("scheduler", ["karras", "sgm_uniform", "simple", "beta", "normal"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", SAME)
def test_equals_cores_sampler_on_cores_schedules(host, runs, name, kind, scheduler):
    import comfy.samplers

    model = host.tiny_model(kind)
    sampling = model.get_model_object("model_sampling")
    sigmas = comfy.samplers.calculate_sigmas(sampling, scheduler, 3)
    # with a picture, since some of them start below the top, where core's noise is too weak
    latent = runs.picture()
    ours, theirs = (
        runs.sample(model, sampler, sigmas, latent) for sampler in both(runs, name, latent)
    )
    assert runs.difference(ours, theirs) == 0.0


@pytest.mark.parametrize("sampling", ["lcm", "x0", "v_prediction"])
@pytest.mark.parametrize("name", SAME)
def test_equals_cores_sampler_on_a_patched_model(host, runs, name, sampling):
    from comfy_extras.nodes_model_advanced import ModelSamplingDiscrete

    (model,) = ModelSamplingDiscrete().patch(host.tiny_model("eps"), sampling, False)
    sigmas = runs.sigmas(model, spacing="lcm", steps=4)
    ours, theirs = (runs.sample(model, sampler, sigmas) for sampler in both(runs, name))
    assert runs.difference(ours, theirs) == 0.0


@pytest.mark.parametrize("cfg", [1.0, 7.5])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", SAME)
def test_equals_cores_sampler_at_every_cfg_in_both_sampling_nodes(host, runs, name, kind, cfg):
    model = host.tiny_model(kind)
    sigmas = runs.sigmas(model, steps=3)
    ours, theirs = both(runs, name)
    custom = runs.sample(model, ours, sigmas, cfg=cfg)
    ours, theirs = both(runs, name)
    advanced = runs.sample_advanced(model, ours, sigmas, cfg=cfg)
    expected = runs.sample_advanced(model, theirs, sigmas, cfg=cfg)
    assert runs.difference(custom, expected) == 0.0
    assert runs.difference(advanced, expected) == 0.0


@pytest.mark.parametrize("kind", KINDS)
def test_a_single_picture_has_the_step_noise_that_core_draws_on_the_cpu(host, runs, kind):
    import comfy.samplers
    from comfy.k_diffusion.sampling import default_noise_sampler

    x = runs.empty()["samples"]
    first = torch.randn(x.shape, generator=torch.Generator().manual_seed(runs.SEED))
    if torch.equal(default_noise_sampler(x, seed=runs.SEED)(None, None), first):
        pytest.skip("this ComfyUI takes the initial noise as its first step noise again")
    model = host.tiny_model(kind)
    sigmas = runs.sigmas(model, steps=4)
    theirs = runs.sample(model, comfy.samplers.ksampler("lcm"), sigmas)
    assert runs.difference(runs.sample(model, runs.lcm(), sigmas), theirs) == 0.0


@pytest.mark.parametrize("name", SAME)
def test_equals_cores_sampler_on_a_model_with_louder_noise(host, runs, name):
    model = host.tiny_model("flow", noise_scale=8.0)
    if not hasattr(model.get_model_object("model_sampling"), "noise_scale"):
        pytest.skip("this ComfyUI has no models whose noise is scaled")
    sigmas = runs.sigmas(model, steps=4)
    ours, theirs = (runs.sample(model, sampler, sigmas) for sampler in both(runs, name))
    assert runs.difference(ours, theirs) == 0.0


# --- in the graphs that people build --------------------------------------------------------------


def inpaint(host, runs):
    mask = torch.zeros(1, 1, 8, 8)
    mask[..., 2:6, 1:5] = 1.0
    mask[..., 6:, :] = 0.4
    return {"latent": runs.picture() | {"noise_mask": mask}}


def image_to_image(host, runs):
    return {"latent": runs.picture(), "denoise": 0.5}


def batch(host, runs):
    return {"latent": runs.empty(3)}


def chosen_from_a_batch(host, runs):
    return {"latent": runs.picture(3) | {"batch_index": [4, 0, 2]}}


def areas(host, runs):
    import nodes

    left, right = host.conditioning(5), host.conditioning(6)
    (left,) = nodes.ConditioningSetArea().append(left, 32, 64, 0, 0, 1.0)
    (right,) = nodes.ConditioningSetArea().append(right, 40, 48, 24, 16, 0.7)
    return {"positive": host.conditioning(1) + left + right}


def control(host, runs):
    import nodes
    from comfy.cldm.cldm import ControlNet as Network
    from comfy.controlnet import ControlNet

    network = Network(hint_channels=3, **host.convert_config(host.UNET)).eval()
    host.initialise(network, seed=8)
    net = ControlNet(network, load_device=torch.device("cpu"))
    image = torch.rand(1, 64, 64, 3, generator=torch.Generator().manual_seed(9))
    apply = nodes.ControlNetApplyAdvanced().apply_controlnet
    positive, negative = apply(
        host.conditioning(1), host.conditioning(2), net, image, 0.8, 0.0, 0.75
    )
    return {"positive": positive, "negative": negative}


SCENES = [inpaint, image_to_image, batch, chosen_from_a_batch, areas, control]


def run_scene(runs, model, sampler, scene):
    scene = dict(scene)
    sigmas = runs.sigmas(model, steps=4, denoise=scene.pop("denoise", 1.0))
    return runs.sample(model, sampler, sigmas, **scene)


@pytest.mark.parametrize("scene", SCENES)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", SAME)
def test_equals_cores_sampler_in_every_kind_of_graph(host, runs, name, kind, scene):
    model, inputs = host.tiny_model(kind), scene(host, runs)
    ours, theirs = (
        run_scene(runs, model, sampler, inputs)
        for sampler in both(runs, name, inputs.get("latent"))
    )
    assert runs.difference(ours, theirs) == 0.0


@pytest.mark.parametrize("scene", [inpaint, areas, control])
def test_what_a_graph_adds_has_an_effect(host, runs, scene):
    model, inputs = host.tiny_model(), scene(host, runs)
    plain = runs.sample(model, runs.euler(), runs.sigmas(model, steps=4))
    assert runs.difference(run_scene(runs, model, runs.euler(), inputs), plain) > 1e-3


def test_inpainting_leaves_the_unmasked_part_of_the_picture_alone(host, runs):
    inputs = inpaint(host, runs)
    latent = inputs["latent"]
    model = host.tiny_model()
    painted = run_scene(runs, model, runs.lcm(), inputs)
    kept = (latent["noise_mask"] == 0).expand_as(painted)
    torch.testing.assert_close(painted[kept], latent["samples"][kept], rtol=1e-5, atol=1e-5)
    assert (painted - latent["samples"])[~kept].abs().mean() > 1e-2


# --- TCD ------------------------------------------------------------------------------------------

# float32 latents of up to 60 and a network in between: core's euler itself moves by 1e-5 when its
# step is written in the other order
FLOAT32 = {"rtol": 1e-4, "atol": 1e-4}


@pytest.mark.parametrize("steps", [1, 2, 3, 4, 6, 7, 8])
@pytest.mark.parametrize("kind", KINDS)
def test_tcd_at_eta_0_is_ddim(host, runs, kind, steps):
    model = host.tiny_model(kind)
    sigmas = runs.sigmas(model, steps=steps)
    theirs = runs.sample(model, runs.core("euler"), sigmas)
    torch.testing.assert_close(runs.sample(model, runs.tcd(0.0), sigmas), theirs, **FLOAT32)


def tcd_of_the_paper(grid, eta):
    """arXiv:2402.19159, algorithm 2, in the paper's own variance-preserving terms."""
    roots = torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64)
    alpha_bar = torch.cumprod(1 - roots**2, dim=0)

    def sample(model, x, sigmas, extra_args=None, callback=None, disable=None):
        generator = torch.Generator().manual_seed(extra_args["seed"] + 1)
        x = x * alpha_bar[grid[0]].sqrt()
        for t, t_next in zip(grid, [*grid[1:], None], strict=True):
            a = alpha_bar[t]
            sigma = ((1 - a) / a).sqrt()
            x0 = model((x / a.sqrt()).float(), sigma.float().expand(len(x)), **extra_args)
            if t_next is None:
                return x0
            eps = (x - a.sqrt() * x0) / (1 - a).sqrt()
            a_s, a_next = alpha_bar[int((1 - eta) * t_next)], alpha_bar[t_next]
            x_s = a_s.sqrt() * x0 + (1 - a_s).sqrt() * eps
            noise = torch.randn(x.shape, generator=generator)
            x = (a_next / a_s).sqrt() * x_s + (1 - a_next / a_s).sqrt() * noise

    return sample


@pytest.mark.parametrize("eta", [0.3, 0.5, 1.0])
@pytest.mark.parametrize("kind", ["eps", "v"])
def test_tcd_is_the_papers_algorithm(host, runs, kind, eta):
    from comfy.samplers import KSAMPLER

    model = host.tiny_model(kind, network=host.UNET)
    sigmas = runs.sigmas(model, spacing="lcm", steps=4)
    paper = KSAMPLER(tcd_of_the_paper([999, 759, 499, 259], eta))
    expected = runs.sample(model, paper, sigmas)
    torch.testing.assert_close(runs.sample(model, runs.tcd(eta), sigmas), expected, **FLOAT32)


@pytest.mark.parametrize("eta", [0.3, 1.0])
def test_tcd_on_a_flow_model_lands_at_the_remaining_share_of_the_level(host, runs, eta):
    from comfy.samplers import KSAMPLER

    def by_hand(model, x, sigmas, extra_args=None, callback=None, disable=None):
        generator = torch.Generator().manual_seed(extra_args["seed"] + 1)
        for sigma, sigma_next in zip(sigmas[:-1], sigmas[1:], strict=True):
            x0 = model(x, sigma.expand(len(x)), **extra_args)
            velocity = (x - x0) / sigma
            low = (1 - eta) * sigma_next
            x = x0 + low * velocity
            if sigma_next > 0:
                shrink = (1 - sigma_next) / (1 - low)
                spread = (sigma_next**2 - (shrink * low) ** 2).sqrt()
                x = shrink * x + spread * torch.randn(x.shape, generator=generator)
        return x

    model = host.tiny_model("flow", shift=3.0)
    sigmas = runs.sigmas(model, steps=4)
    expected = runs.sample(model, KSAMPLER(by_hand), sigmas)
    torch.testing.assert_close(runs.sample(model, runs.tcd(eta), sigmas), expected, **FLOAT32)


# --- seeds ----------------------------------------------------------------------------------------

# a network rounds otherwise for one row than for three, and a level of 14.6 multiplies that
BATCH = {"rtol": 1e-3, "atol": 1e-3}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["lcm", "tcd"])
def test_a_seed_gives_the_same_picture_alone_and_in_a_batch(host, runs, name, kind):
    model = host.tiny_model(kind)
    sigmas = runs.sigmas(model, steps=4)
    sampler = runs.lcm() if name == "lcm" else runs.tcd(0.5)
    alone = runs.sample(model, sampler, sigmas, runs.empty(1))
    together = runs.sample(model, sampler, sigmas, runs.empty(3))
    torch.testing.assert_close(together[:1], alone, **BATCH)
    assert runs.difference(together[:1], together[1:2]) > 1e-2


def test_euler_makes_a_picture_of_a_batch_again_by_its_batch_index(host, runs):
    model = host.tiny_model()
    sigmas = runs.sigmas(model, steps=4)
    together = runs.sample(model, runs.euler(), sigmas, runs.empty(3))
    again = runs.sample(model, runs.euler(), sigmas, runs.empty(1) | {"batch_index": [2]})
    torch.testing.assert_close(again, together[2:], **BATCH)


@pytest.mark.parametrize("name", ["lcm", "tcd", "euler"])
def test_sampling_twice_gives_the_same_bits_and_another_seed_another_picture(host, runs, name):
    model = host.tiny_model()
    sigmas = runs.sigmas(model, steps=3)
    sampler = {"lcm": runs.lcm, "tcd": lambda: runs.tcd(0.5), "euler": runs.euler}[name]()
    first = runs.sample(model, sampler, sigmas)
    assert runs.difference(runs.sample(model, sampler, sigmas), first) == 0.0
    assert runs.difference(runs.sample(model, sampler, sigmas, seed=4), first) > 1e-2


# --- where a run starts ---------------------------------------------------------------------------


def first_input(runs, model, sampler, sigmas, latent=None):
    model, passes = runs.watched(model)
    runs.sample(model, sampler, sigmas, latent, cfg=1.0)
    return passes[0].x


def initial_noise():
    return torch.randn((1, 4, 8, 8), generator=torch.Generator().manual_seed(3))


@pytest.mark.parametrize("name", ["lcm", "tcd", "euler"])
@pytest.mark.parametrize("kind", ["eps", "v"])
@pytest.mark.parametrize("timestep", ["999", "799", "399", "19"])
def test_an_empty_latent_feeds_the_network_the_plain_noise(host, runs, name, kind, timestep):
    model = host.tiny_model(kind)
    sigmas = runs.sigmas(model, "timesteps", timesteps=timestep)
    sampler = {"lcm": runs.lcm, "tcd": lambda: runs.tcd(0.3), "euler": runs.euler}[name]()
    seen = first_input(runs, model, sampler, sigmas)
    torch.testing.assert_close(seen, initial_noise(), rtol=1e-5, atol=1e-6)


def test_core_feeds_the_network_too_little_noise_below_the_top(host, runs):
    model = host.tiny_model()
    sigmas = runs.sigmas(model, "timesteps", timesteps="399")
    seen = first_input(runs, model, runs.core("euler"), sigmas)
    assert (seen.std() / initial_noise().std()).item() == pytest.approx(0.757, abs=1e-3)


def test_start_sigma_is_cores_euler_below_the_top(host, runs):
    model = host.tiny_model()
    sigmas = runs.sigmas(model, "timesteps", timesteps="399, 199")
    ours, theirs = (
        runs.sample(model, sampler, sigmas) for sampler in (runs.euler("sigma"), runs.core("euler"))
    )
    assert runs.difference(ours, theirs) == 0.0


def test_start_sigma_is_0_234_percent_less_than_cores_euler_at_the_top(host, runs):
    model = host.tiny_model()
    sigmas = runs.sigmas(model, steps=2)
    ours, theirs = (
        first_input(runs, model, sampler, sigmas)
        for sampler in (runs.euler("sigma"), runs.core("euler"))
    )
    torch.testing.assert_close(theirs, 1.002338 * ours, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("start", ["unit variance", "sigma"])
def test_start_changes_nothing_for_a_picture(host, runs, kind, start):
    model = host.tiny_model(kind)
    sigmas = runs.sigmas(model, "timesteps", timesteps="399")
    ours, theirs = (
        first_input(runs, model, sampler, sigmas, runs.picture())
        for sampler in (runs.euler(start), runs.core("euler"))
    )
    assert runs.difference(ours, theirs) == 0.0


@pytest.mark.parametrize("timestep, expected", [("999", 1.0), ("499", 0.5**0.5)])
def test_an_empty_latent_of_a_flow_starts_with_the_spread_of_its_level(
    host, runs, timestep, expected
):
    model = host.tiny_model("flow")
    sigmas = runs.sigmas(model, "timesteps", timesteps=timestep)
    seen = first_input(runs, model, runs.euler(), sigmas)
    torch.testing.assert_close(seen, expected * initial_noise(), rtol=1e-5, atol=1e-6)


# --- bad input ------------------------------------------------------------------------------------


def spoiled(value):
    def spoil(runs):
        latent = runs.picture()
        latent["samples"][0, 1, 2, 3] = value
        return latent

    return spoil


REFUSED = [
    ([14.0, 3.0, 5.0, 0.0], None, r"sigmas\[2\] is 5 after 3; the levels must fall at every step"),
    ([14.0, 3.0, 3.0, 0.0], None, r"sigmas\[2\] is 3 after 3.*Remove repeated levels, or reverse"),
    ([3.0, -1.0], None, r"sigmas\[1\] is -1; allowed is a number from 0 to inf for a VE model"),
    ([3.0, float("nan"), 0.0], None, r"sigmas\[1\] is nan; allowed is a number from 0"),
    ([14.0, 0.0], spoiled(float("nan")), r"latent_image has 1 of 256 values that are NaN or infin"),
    ([3.0, 0.0], spoiled(float("inf")), r"latent_image has 1 of 256 values.*Look for the fault"),
]


@pytest.mark.parametrize("levels, latent, complaint", REFUSED)
@pytest.mark.parametrize("name", ["lcm", "tcd", "euler"])
def test_bad_input_is_refused_before_the_first_pass(host, runs, name, levels, latent, complaint):
    model, passes = runs.watched(host.tiny_model())
    sampler = {"lcm": runs.lcm, "tcd": lambda: runs.tcd(0.3), "euler": runs.euler}[name]()
    with pytest.raises(ValueError, match=complaint):
        runs.sample(model, sampler, torch.tensor(levels), latent and latent(runs))
    assert passes == []


@pytest.mark.parametrize("name", ["lcm", "tcd", "euler"])
def test_levels_of_an_sd_model_are_refused_on_a_flow_model(host, runs, name):
    model, passes = runs.watched(host.tiny_model("flow"))
    sampler = {"lcm": runs.lcm, "tcd": lambda: runs.tcd(0.3), "euler": runs.euler}[name]()
    sigmas = runs.sigmas(host.tiny_model("eps"))
    with pytest.raises(
        ValueError, match=r"sigmas\[0\] is 14\.6.*to 1 for a FLOW model.*Make the s"
    ):
        runs.sample(model, sampler, sigmas)
    assert passes == []


@pytest.mark.parametrize("name", ["lcm", "tcd", "euler"])
def test_empty_sigmas_make_no_pass(host, runs, name):
    """ComfyUI itself gives the latent back, without asking the sampler, which would refuse."""
    model, passes = runs.watched(host.tiny_model())
    sampler = {"lcm": runs.lcm, "tcd": lambda: runs.tcd(0.3), "euler": runs.euler}[name]()
    latent = runs.picture()
    kept = runs.sample(model, sampler, torch.tensor([]), latent)
    assert torch.equal(kept, latent["samples"])
    assert passes == []

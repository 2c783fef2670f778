"""A negative prompt at cfg 1 is normalised attention guidance, in one pass for each step."""

import importlib
import math
from functools import partial

import pytest
import torch
from torch.nn import functional

SCALE, TAU, ALPHA = 4.0, 2.5, 0.5


@pytest.fixture(scope="module")
def runs(host):
    return importlib.import_module("host.runs")


@pytest.fixture(scope="module")
def model(host):
    return host.tiny_model()


def with_negative(model, words, scale=SCALE, tau=TAU, alpha=ALPHA):
    node = importlib.import_module("fewstep.nodes").FewStepNegative
    return node.execute(model, words, scale, tau, alpha)[0]


def made(runs, model, *, cfg=1.0, batch=1, **prompts):
    levels = runs.sigmas(model, steps=2)
    return runs.sample(model, runs.core("euler"), levels, runs.empty(batch), cfg=cfg, **prompts)


def formula(positive, negative, scale=SCALE, tau=TAU, alpha=ALPHA):
    """The paper's, as other programs write it."""
    guided = positive * (scale + 1) - negative * scale
    ratio = guided.norm(p=1, dim=-1, keepdim=True) / positive.norm(p=1, dim=-1, keepdim=True)
    return alpha * guided * ratio.clamp(max=tau) / ratio + (1 - alpha) * positive


def assert_equal(latents, expected):
    """To 1e-5 of the largest number, which is the noise of a run's first level."""
    assert latents.shape == expected.shape and expected.isfinite().all()
    assert (latents - expected).abs().max() <= 1e-5 * expected.abs().max()


# --- SD and SDXL ----------------------------------------------------------------------------------


def by_hand(attention, negative):
    """A cross attention that does it with torch alone, in the rows of the positive prompt."""

    def attend(x, words):
        parts = attention.to_q(x), attention.to_k(words), attention.to_v(words)
        heads = [part.unflatten(2, (attention.heads, -1)).transpose(1, 2) for part in parts]
        return functional.scaled_dot_product_attention(*heads).transpose(1, 2).flatten(2)

    def forward(x, context=None, value=None, mask=None, transformer_options=None):
        positive = attend(x, context)
        guided = formula(positive, attend(x, negative.expand(len(x), -1, -1)))
        kinds = transformer_options["cond_or_uncond"]
        is_positive = torch.tensor(kinds).repeat_interleave(len(x) // len(kinds)) == 0
        return attention.to_out(torch.where(is_positive[:, None, None], guided, positive))

    return forward


def made_by_hand(runs, model, monkeypatch, negative, /, **others):
    """Latents of a run with the cross attention of by_hand; others is what made takes."""
    with monkeypatch.context() as patched:
        for name, module in model.model.diffusion_model.named_modules():
            if name.endswith("attn2"):
                patched.setattr(module, "forward", by_hand(module, negative[0][0]))
        return made(runs, model, **others)


@pytest.fixture
def expected(runs, model, monkeypatch):
    """(negative, what made takes) -> latents of the same run done by hand."""
    return partial(made_by_hand, runs, model, monkeypatch)


@pytest.mark.parametrize("tokens", [(7, 7), (77, 154), (154, 77), (77, 50)])
@pytest.mark.parametrize("batch", [1, 2])
def test_cross_attention_is_the_papers_formula_worked_out_by_hand(
    host, runs, model, expected, tokens, batch
):
    positive, negative = host.conditioning(1, tokens[0]), host.conditioning(5, tokens[1])
    ours = made(runs, with_negative(model, negative), positive=positive, batch=batch)
    others = expected(negative, positive=positive, batch=batch)
    assert_equal(ours, others)
    assert runs.difference(ours, made(runs, model, positive=positive, batch=batch)) > 0.01


def test_every_block_of_sdxl_looks_at_both_prompts(host, runs, monkeypatch):
    net = importlib.import_module("host.cached_runs").network("SDXL")
    negative = importlib.import_module("host.tiny_dits").words(5, 9)
    prompts = {"positive": net.positive, "negative": net.negative}
    ours = made(runs, with_negative(net.model, negative), **prompts)
    assert_equal(ours, made_by_hand(runs, net.model, monkeypatch, negative, **prompts))
    assert runs.difference(ours, made(runs, net.model, **prompts)) > 0.01


@pytest.mark.parametrize("tokens", [(7, 7), (77, 154)])
def test_with_cfg_the_rows_of_the_samplers_own_negative_prompt_stay_as_they_are(
    host, runs, model, expected, tokens
):
    prompts = {"positive": host.conditioning(1, 7), "negative": host.conditioning(2, tokens[0])}
    negative = host.conditioning(5, tokens[1])
    ours = made(runs, with_negative(model, negative), cfg=2.0, batch=2, **prompts)
    others = expected(negative, cfg=2.0, batch=2, **prompts)
    assert_equal(ours, others)


def halves(host):
    """A prompt of two areas, as a workflow makes it."""
    nodes = importlib.import_module("nodes")
    parts = [
        nodes.ConditioningSetArea().append(host.conditioning(seed, tokens), 32, 64, x, 0, 1.0)[0]
        for seed, tokens, x in ((1, 7, 0), (3, 14, 32))
    ]
    return parts[0] + parts[1]


def test_a_prompt_of_areas_is_guided_in_all_of_them(host, runs, model, expected):
    negative = host.conditioning(5, 9)
    ours = made(runs, with_negative(model, negative), positive=halves(host))
    others = expected(negative, positive=halves(host))
    assert_equal(ours, others)
    assert runs.difference(ours, made(runs, model, positive=halves(host))) > 0.01


@pytest.mark.parametrize("off", [{"scale": 0.0}, {"alpha": 0.0}])
def test_off_is_bit_identical_and_nothing_is_put_up(host, runs, model, off):
    ours = with_negative(model, host.conditioning(5), **off)
    assert torch.equal(made(runs, ours, batch=2), made(runs, model, batch=2))
    assert ours.wrappers == model.wrappers and ours.model_options == model.model_options


def test_a_negative_prompt_like_the_prompt_changes_nothing(host, runs, model):
    ours = made(runs, with_negative(model, host.conditioning(1)), positive=host.conditioning(1))
    plain = made(runs, model, positive=host.conditioning(1))
    assert_equal(ours, plain)


def test_a_negative_prompt_of_a_batch_has_one_row_for_each_picture(host, runs, model):
    both = [[torch.cat([host.conditioning(seed)[0][0] for seed in (5, 6)]), {}]]
    ours = made(runs, with_negative(model, both), batch=2)
    for row, seed in enumerate((5, 6)):
        alone = made(runs, with_negative(model, host.conditioning(seed)), batch=2)
        assert_equal(ours[row], alone[row])
    assert (ours[0] - ours[1]).abs().max() > 0.01


def test_4_steps_are_4_passes_with_a_row_for_each_picture(host, runs, model):
    watched, passes = runs.watched(with_negative(model, host.conditioning(5)))
    levels = runs.sigmas(watched, steps=4)
    runs.sample(watched, runs.core("euler"), levels, runs.empty(2), cfg=1.0)
    assert [len(one.timesteps) for one in passes] == [2, 2, 2, 2]


def test_prompts_one_after_the_other_and_an_interrupted_one_leave_nothing_behind(host, runs, model):
    from comfy.ldm.modules import attention
    from comfy.ldm.modules.diffusionmodules import openaimodel

    functions = attention.optimized_attention, openaimodel.UNetModel.forward
    first, second = (with_negative(model, host.conditioning(seed)) for seed in (5, 6))
    plain, one, two = (made(runs, each) for each in (model, first, second))

    class Stopped(Exception):
        pass

    def stop(*_, **__):
        raise Stopped

    stopped = first.clone()
    stopped.add_wrapper_with_key("diffusion_model", "test", stop)
    guider = importlib.import_module("comfy.samplers").CFGGuider(stopped)
    guider.set_conds(host.conditioning(1), host.conditioning(2))
    guider.set_cfg(1.0)
    noise = torch.zeros(1, *runs.LATENT)
    with pytest.raises(Stopped):
        guider.sample(noise, noise, runs.core("euler"), runs.sigmas(model, steps=2))
    assert set(guider.conds) == {"positive", "negative"}
    assert guider.model_options["transformer_options"] == {}
    for each, expected in ((second, two), (model, plain), (first, one), (model, plain)):
        assert torch.equal(made(runs, each), expected)
    assert (attention.optimized_attention, openaimodel.UNetModel.forward) == functions


def test_a_controlnet_sees_the_prompt_alone(host, runs, monkeypatch):
    controls = importlib.import_module("host.test_speed_style_controlnet")
    control_net = controls.control_net.__wrapped__(host)
    demo, clip, _ = controls.demo()
    positive, negative = controls.controlled(
        (controls.encode(clip, controls.CAPTION), controls.encode(clip, "")), control_net, 1.0
    )
    seen = []
    hook = control_net.control_model.register_forward_hook(
        lambda module, args, kwargs, output: seen.append(
            (kwargs["context"].clone(), output["output"][0].clone())
        ),
        with_kwargs=True,
    )
    outputs = []
    for each in (demo, with_negative(demo, negative)):
        levels, latent = runs.sigmas(each, steps=1), {"samples": torch.zeros(1, 4, 16, 16)}
        sampled = runs.sample(
            each, runs.core("euler"), levels, latent, cfg=1.0, positive=positive, negative=negative
        )
        outputs.append(sampled)
    hook.remove()
    assert len(seen) == 2
    assert all(torch.equal(a, b) for a, b in zip(*seen, strict=True))
    assert runs.difference(*outputs) > 0.01


def test_it_works_with_a_lora_which_comes_before_or_after_it(host, runs, model):
    loaded, negative = host.with_lora, host.conditioning(5)
    before = made(runs, with_negative(loaded(model), negative))
    after = made(runs, loaded(with_negative(model, negative)))
    assert torch.equal(before, after)
    assert runs.difference(before, made(runs, with_negative(model, negative))) > 1e-3
    assert runs.difference(before, made(runs, loaded(model))) > 1e-3


# --- joint attention ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def dits(host):
    return importlib.import_module("host.tiny_dits")


@pytest.fixture(params=["FLUX", "FLUX.2", "Chroma", "SD3", "Qwen-Image"])
def name(request, dits):
    """A network that this ComfyUI has, and has the hooks for."""
    from comfy import supported_models

    if not hasattr(supported_models, dits.NETWORKS[request.param][0]):
        pytest.skip("this ComfyUI does not have the network")
    return request.param


def refused_here(name):
    model = importlib.import_module("comfy.ldm.qwen_image.model")
    method = model.QwenImageTransformer2DModel._forward
    return name == "Qwen-Image" and "post_input" not in method.__code__.co_consts


def drawn(dits, name, model, positive, *, cfg=1.0, negative=None, batch=1, steps=2):
    nodes = importlib.import_module("nodes")
    prompts = positive, negative or dits.words(2, 5)
    latent = dits.latent(name, batch)
    return nodes.KSampler().sample(*(model, 3, steps, cfg, "euler", "simple", *prompts, latent))[0][
        "samples"
    ]


def doubled(value, batch):
    if isinstance(value, list):
        return [doubled(one, batch) for one in value]
    is_of_rows = torch.is_tensor(value) and len(value) == batch
    return torch.cat([value, value]) if is_of_rows else value


class Streams:
    """Both prompts as rows of their own, whose pictures are made one in every attention."""

    def __init__(self, negative):
        self.negative = negative
        self.lengths = self.text = None

    def apply(self, executor, x, sigma, concat, context, control, options, **conditions):
        batch, self.lengths = len(x), (context.shape[1], self.negative.shape[1])
        self.text = max(self.lengths)
        rows = context, self.negative.expand(batch, -1, -1)
        padded = [functional.pad(row, (0, 0, 0, self.text - row.shape[1])) for row in rows]
        twice = {key: doubled(value, batch) for key, value in conditions.items()}
        options = {**options, "optimized_attention_override": self.attend}
        two = torch.cat([x, x]), torch.cat([sigma, sigma])
        return executor(*two, concat, torch.cat(padded), control, options, **twice)[:batch]

    def attend(self, function, q, k, v, heads, *_, **named):
        axis = 2 if named.get("skip_reshape") else 1
        parts = [self.heads(part, heads) if axis == 1 else part for part in (q, k, v)]
        if self.tokens_of(parts) < self.text:
            return self.merged(functional.scaled_dot_product_attention(*parts))
        batch, result = len(q) // 2, []
        for row, length in enumerate(self.lengths):
            own = [part[row * batch : (row + 1) * batch] for part in parts]
            kept = [torch.cat([p[:, :, :length], p[:, :, self.text :]], 2) for p in own]
            result.append(self.merged(functional.scaled_dot_product_attention(*kept)))
        pictures = [out[:, length:] for out, length in zip(result, self.lengths, strict=True)]
        guided = formula(*pictures)
        texts = [
            functional.pad(out[:, :length], (0, 0, 0, self.text - length))
            for out, length in zip(result, self.lengths, strict=True)
        ]
        return torch.cat([torch.cat([text, guided], 1) for text in texts])

    def tokens_of(self, parts):
        # pictures here have 6 tokens, and prompts have more
        return parts[0].shape[2]

    def heads(self, part, heads):
        return part.flatten(2).unflatten(2, (heads, -1)).transpose(1, 2)

    def merged(self, out):
        return out.transpose(1, 2).flatten(2)


@pytest.mark.parametrize("tokens", [(9, 9), (8, 13), (13, 8)])
def test_joint_attention_is_two_streams_with_one_picture(dits, name, tokens):
    if refused_here(name):
        pytest.skip("refused in this ComfyUI")
    model = dits.tiny_dit(name)
    positive, negative = dits.words(1, tokens[0]), dits.words(5, tokens[1])
    ours = drawn(dits, name, with_negative(model, negative), positive, batch=2)
    reference = model.clone()
    words = negative[0][0]
    if name == "FLUX.2":
        # as ComfyUI fills it up
        words = functional.pad(words, (0, 0, 512 - words.shape[1], 0))
    reference.add_wrapper_with_key("apply_model", "test", Streams(words).apply)
    others = drawn(dits, name, reference, positive, batch=2)
    assert_equal(ours, others)
    assert (ours - drawn(dits, name, model, positive, batch=2)).abs().max() > 1e-3


def test_joint_attention_with_twice_the_same_prompt_is_a_plain_run(dits, name):
    if refused_here(name):
        pytest.skip("refused in this ComfyUI")
    model, positive = dits.tiny_dit(name), dits.words(1, 9)
    ours = drawn(dits, name, with_negative(model, positive), positive)
    assert_equal(ours, drawn(dits, name, model, positive))


def test_off_joint_attention_is_bit_identical(dits, name):
    if refused_here(name):
        pytest.skip("refused in this ComfyUI")
    model, positive = dits.tiny_dit(name), dits.words(1, 9)
    plain = drawn(dits, name, model, positive)
    for settings in ((0.0, 2.5, 0.25), (4.0, 2.5, 0.0)):
        off = with_negative(model, dits.words(5, 7), *settings)
        assert torch.equal(drawn(dits, name, off, positive), plain)


def test_with_cfg_joint_attention_leaves_the_negative_rows_as_they_are(dits):
    model, positive, negative = dits.tiny_dit("FLUX"), dits.words(1, 9), dits.words(2, 9)
    ours = with_negative(model, dits.words(5, 7))
    # cfg weighs the two predictions: at one step the latents are linear in them
    noisy = {
        cfg: drawn(dits, "FLUX", ours, positive, negative=negative, cfg=cfg, steps=1)
        for cfg in (1.0, 2.0)
    }
    plain = drawn(dits, "FLUX", model, negative, steps=1)
    assert_equal(noisy[2.0], 2 * noisy[1.0] - plain)


def test_a_reference_picture_is_guided_with_the_picture(dits):
    helpers = importlib.import_module("node_helpers")
    model, negative = dits.tiny_dit("FLUX"), dits.words(5, 8)
    seen = torch.randn(1, 16, 4, 4, generator=torch.Generator().manual_seed(4))
    positive = helpers.conditioning_set_values(
        dits.words(1, 9), {"reference_latents": [seen]}, append=True
    )
    reference = model.clone()
    reference.add_wrapper_with_key("apply_model", "test", Streams(negative[0][0]).apply)
    ours = drawn(dits, "FLUX", with_negative(model, negative), positive, batch=2)
    others = drawn(dits, "FLUX", reference, positive, batch=2)
    assert_equal(ours, others)
    assert (ours - drawn(dits, "FLUX", model, positive, batch=2)).abs().max() > 1e-3


def test_the_attention_of_another_node_is_still_called(dits):
    model, calls = dits.tiny_dit("FLUX"), []

    def counted(function, *args, **kwargs):
        calls.append(args[0].shape[2])
        return function(*args, **kwargs)

    model.model_options["transformer_options"]["optimized_attention_override"] = counted
    ours = with_negative(model, dits.words(5, 7))
    drawn(dits, "FLUX", ours, dits.words(1, 9), steps=1)
    # a double and a single block, each with [9, 6] and [7, 6] tokens
    assert calls == [15, 13, 15, 13]


# --- refusals -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"scale": math.nan}, "scale is nan; allowed"),
        ({"scale": -1.0}, "scale is -1; allowed"),
        ({"tau": 0.5}, "tau is 0.5; allowed"),
        ({"alpha": 1.5}, "alpha is 1.5; allowed"),
    ],
)
def test_numbers_out_of_range_are_refused_in_the_node(host, model, settings, message):
    with pytest.raises(ValueError, match=message):
        with_negative(model, host.conditioning(5), **settings)


@pytest.mark.parametrize(
    ("kept", "message"),
    [
        ({"area": (1, 1, 0, 0)}, "negative is limited to area; allowed is a prompt for the whole"),
        ({"mask": torch.ones(1, 8, 8)}, "negative is limited to mask; allowed"),
        ({"start_percent": 0.5}, "negative is limited to a part of the run; allowed"),
    ],
)
def test_a_negative_prompt_with_limits_is_refused_in_the_node(host, model, kept, message):
    ((words, _),) = host.conditioning(5)
    with pytest.raises(ValueError, match=message):
        with_negative(model, [[words, kept]])


def test_a_negative_prompt_of_no_or_several_parts_is_refused_in_the_node(host, model):
    with pytest.raises(ValueError, match="negative has 2 parts; allowed is one"):
        with_negative(model, host.conditioning(5) + host.conditioning(6))
    with pytest.raises(ValueError, match="negative has 0 parts; allowed is one"):
        with_negative(model, [])
    with pytest.raises(ValueError, match="negative has 1 parts; allowed is one with tokens"):
        with_negative(model, host.conditioning(5, tokens=0))


def test_a_second_negative_prompt_is_refused_in_the_node(host, model):
    with pytest.raises(ValueError, match="has a negative prompt of Negative .FewStep. already"):
        with_negative(with_negative(model, host.conditioning(5)), host.conditioning(6))


def test_a_network_that_it_does_not_know_is_refused_by_name(host):
    class Strange(torch.nn.Module):
        pass

    model = host.tiny_model()
    model.model.diffusion_model = Strange()
    with pytest.raises(ValueError, match="with the network Strange, which Negative .FewStep. does"):
        with_negative(model, host.conditioning(5))


def test_a_network_whose_tokens_cannot_be_numbered_is_refused(dits, monkeypatch):
    flux = importlib.import_module("comfy.ldm.flux.model").Flux
    model = dits.tiny_dit("FLUX")
    monkeypatch.setattr(flux, "forward_orig", lambda self: None)
    with pytest.raises(ValueError, match="cannot number the tokens of a second prompt for it"):
        with_negative(model, dits.words(5, 7))


def test_qwen_image_is_refused_where_comfyui_does_not_have_the_hook(dits):
    model = dits.tiny_dit("Qwen-Image")
    if not refused_here("Qwen-Image"):
        with_negative(model, dits.words(5, 7))
        return
    with pytest.raises(ValueError, match="cannot number the tokens of a second prompt for it"):
        with_negative(model, dits.words(5, 7))


def test_sd3_that_mixes_the_tokens_of_the_prompt_is_refused(dits, monkeypatch):
    model = dits.tiny_dit("SD3")
    monkeypatch.setattr(model.model.diffusion_model, "register_length", 4)
    with pytest.raises(ValueError, match="layers that mix the tokens of the prompt"):
        with_negative(model, dits.words(5, 7))


def test_a_unet_for_video_is_refused(host, model, monkeypatch):
    network = model.model.diffusion_model
    monkeypatch.setattr(network.middle_block[1], "time_stack", [], raising=False)
    with pytest.raises(ValueError, match="model is a UNet for video"):
        with_negative(model, host.conditioning(5))


def theirs(q, k, v, options):
    return q


@pytest.mark.parametrize("number", [0, None])
def test_cross_attention_that_another_node_has_is_refused(host, runs, model, number):
    def occupied(model):
        model = model.clone()
        model.set_model_attn2_replace(theirs, "middle", 0, number)
        return model

    message = "cross attention of block .'middle', 0.* is replaced by .*host.test_negative.theirs"
    with pytest.raises(ValueError, match=message):
        with_negative(occupied(model), host.conditioning(5))
    # a node that comes later is found before the first pass
    watched, passes = runs.watched(occupied(with_negative(model, host.conditioning(5))))
    with pytest.raises(ValueError, match=message):
        made(runs, watched)
    assert passes == []


def test_a_node_that_adds_tokens_to_the_prompt_is_refused(dits):
    def longer(tokens):
        return tokens

    model = dits.tiny_dit("FLUX")
    model.set_model_patch(longer, "post_input")
    with pytest.raises(ValueError, match="longer, a part of another node, changes the tokens"):
        with_negative(model, dits.words(5, 7))


@pytest.mark.parametrize("where", ["positive", "negative"])
def test_a_prompt_with_an_attention_mask_is_refused_before_the_first_pass(dits, runs, where):
    prompts = {"positive": dits.words(1, 9), "negative": dits.words(5, 9)}
    mask = {"attention_mask": torch.ones(1, 15, 15), "attention_mask_img_shape": (2, 3)}
    prompts[where][0][1].update(mask)
    model, passes = runs.watched(with_negative(dits.tiny_dit("FLUX"), prompts["negative"]))
    with pytest.raises(ValueError, match="a prompt carries an attention mask"):
        drawn(dits, "FLUX", model, prompts["positive"])
    assert passes == []


def test_a_guider_of_more_prompts_is_refused_before_the_first_pass(host, runs, model):
    nodes = importlib.import_module("comfy_extras.nodes_custom_sampler")
    watched, passes = runs.watched(with_negative(model, host.conditioning(5)))
    guider = nodes.Guider_DualCFG(watched)
    guider.set_conds(*(host.conditioning(seed) for seed in (1, 2, 3)))
    guider.set_cfg(2.0, 2.0)
    noise = torch.zeros(1, *runs.LATENT)
    with pytest.raises(ValueError, match="the guider takes the prompts .*middle"):
        guider.sample(noise, noise, runs.core("euler"), runs.sigmas(model, steps=2))
    assert passes == []

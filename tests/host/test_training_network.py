import pytest
import torch
from torch import nn

SHAPE = (4, 8, 8)


def words(host, count=3, tokens=7):
    return [host.conditioning(10 + i, tokens) for i in range(count)], host.conditioning(9)


def inputs(count=3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(count, *SHAPE, generator=generator)
    return x, torch.tensor([0.9, 0.5, 0.1])[:count], torch.arange(count)


def changed(network, seed=0):
    from fewstep.distill.lora import Lora

    generator = torch.Generator().manual_seed(seed)
    lora = Lora(network.hooks.layers, 2, 2.0, generator)
    for up in lora.up:
        up.data.normal_(std=0.2, generator=generator)
    return lora


@pytest.mark.parametrize("kind", ["eps", "v", "flow"])
def test_a_network_in_training_predicts_what_comfyui_samples_with(host, kind):
    from comfy import samplers

    from fewstep.distill.network import guided_denoiser
    from fewstep.nodes.host.training import network_of

    model = host.tiny_model(kind)
    positive, negative = words(host)
    x, sigma, rows = inputs()
    seen, at = [], (x, sigma)

    def sampler(wrapped, x, sigmas, extra_args=None, callback=None, disable=None):
        seen.extend(wrapped(y[None], s[None], **extra_args) for y, s in zip(*at, strict=True))
        return x

    for i in range(3):
        guider = samplers.CFGGuider(model)
        guider.set_conds(positive[i], negative)
        guider.set_cfg(3.0)
        seen.clear()
        noise = torch.zeros(1, *SHAPE)
        guider.sample(noise, noise, samplers.KSAMPLER(sampler), torch.tensor([0.9, 0.0]))
        with network_of(model, positive, negative) as network, torch.no_grad():
            ours = guided_denoiser(network, rows[i : i + 1], torch.tensor([3.0]))(
                x[i : i + 1], sigma[i : i + 1]
            )
        torch.testing.assert_close(ours, seen[i], rtol=1e-4, atol=1e-4)


def test_each_sample_of_a_batch_is_told_its_own_guidance(host):
    from fewstep.guidance.embedded import COND_PROJ
    from fewstep.nodes.host.training import network_of

    positive, negative = words(host)
    x, sigma, rows = inputs()
    told = torch.tensor([1.5, 4.0, 7.0])
    with (
        network_of(host.tiny_model("eps"), positive, negative, is_told=True) as network,
        torch.no_grad(),
    ):
        silent = network.denoise(x, sigma, rows)
        assert torch.equal(network.denoise(x, sigma, rows, told), silent)
        weight = network.hooks.layers[COND_PROJ].weight
        weight.normal_(generator=torch.Generator().manual_seed(0))
        together = network.denoise(x, sigma, rows, told)
        for i in range(3):
            one = slice(i, i + 1)
            alone = network.denoise(x[one], sigma[one], rows[one], told[one])
            torch.testing.assert_close(together[one], alone, rtol=1e-4, atol=1e-4)
            assert not torch.equal(alone, silent[one])


def test_each_row_of_a_batch_has_its_own_prompt(host):
    from fewstep.distill.network import NEGATIVE, denoiser
    from fewstep.nodes.host.training import network_of

    positive, negative = words(host)
    x, sigma, _ = inputs()
    same = x[:1].expand(3, -1, -1, -1), sigma[:1].expand(3)
    with network_of(host.tiny_model(), positive, negative) as network, torch.no_grad():
        rows = torch.tensor([2, NEGATIVE, 0])
        batch = denoiser(network, rows)(*same)
        for i in range(3):
            alone = denoiser(network, rows[i : i + 1])(same[0][:1], same[1][:1])
            torch.testing.assert_close(batch[i : i + 1], alone, rtol=1e-5, atol=1e-5)
        assert (batch[0] - batch[2]).abs().max() > 1e-3


def test_prompts_of_lengths_that_cannot_share_a_pass_take_several(host):
    from fewstep.distill.network import denoiser
    from fewstep.nodes.host.training import network_of

    positive = [host.conditioning(1, 7), host.conditioning(2, 77), host.conditioning(3, 7)]
    x, sigma, rows = inputs()
    with network_of(host.tiny_model(), positive, host.conditioning(9)) as network, torch.no_grad():
        batch = denoiser(network, rows)(x, sigma)
        for i in range(3):
            alone = denoiser(network, rows[i : i + 1])(x[i : i + 1], sigma[i : i + 1])
            torch.testing.assert_close(batch[i : i + 1], alone, rtol=1e-5, atol=1e-5)


def test_inside_inference_mode_a_student_gets_gradients_and_the_teacher_none(host):
    from fewstep.distill.network import denoiser
    from fewstep.nodes.host.training import network_of

    x, sigma, rows = inputs()
    with torch.inference_mode():
        # as in ComfyUI, weights and prompts are made in inference mode
        model = host.tiny_model()
        positive, negative = words(host)
        assert next(model.model.diffusion_model.parameters()).is_inference()
        with network_of(model, positive, negative) as network:
            lora = changed(network)
            denoiser(network, rows, lora)(x.clone(), sigma.clone()).square().sum().backward()
            assert all(p.grad.abs().sum() > 0 for p in lora.parameters())
            weights = list(model.model.diffusion_model.parameters())
            assert all(w.grad is None and not w.requires_grad for w in weights)


@pytest.mark.parametrize("ending", ["fine", "exception"])
def test_with_the_lora_off_the_model_is_bit_for_bit_what_it_was(host, ending):
    from host import runs

    from fewstep.distill.network import denoiser
    from fewstep.nodes.host.training import network_of

    model = host.tiny_model()
    positive, negative = words(host)
    picture = lambda: runs.sample(model, runs.euler(), runs.sigmas(model))
    before, weights = picture(), [p.clone() for p in model.model.diffusion_model.parameters()]
    x, sigma, rows = inputs()
    try:
        with network_of(model, positive, negative, is_checkpointed=True) as network:
            off = denoiser(network, rows)(x, sigma)
            lora = changed(network)
            optimizer = torch.optim.AdamW(lora.parameters(), lr=0.1)
            denoiser(network, rows, lora)(x, sigma).square().sum().backward()
            optimizer.step()
            assert torch.equal(denoiser(network, rows)(x, sigma), off)
            during = picture()
            if ending == "exception":
                with network.hooks.using(lora):
                    raise RuntimeError("in the middle")
    except RuntimeError:
        assert ending == "exception"
    assert torch.equal(before, during) and torch.equal(before, picture())
    after = model.model.diffusion_model.parameters()
    assert all(torch.equal(a, b) for a, b in zip(weights, after, strict=True))


def test_a_trained_lora_makes_the_same_picture_through_the_loader(host, tmp_path):
    from host import runs
    from safetensors.torch import save_file

    from fewstep.lora.header import read_header
    from fewstep.nodes.host.loras import fit_of, with_lora
    from fewstep.nodes.host.training import network_of
    from fewstep.nodes.students import tensors_of

    model = host.tiny_model()
    positive, negative = words(host)
    picture = lambda model: runs.sample(model, runs.euler(), runs.sigmas(model))
    with network_of(model, positive, negative) as network, torch.no_grad():
        lora = changed(network)
        for parameter in lora.parameters():
            # as it will be in the file
            parameter.copy_(parameter.half())
        with network.hooks.using(lora):
            hooked = picture(model)
        save_file(tensors_of(lora), tmp_path / "lora.safetensors")
    fit = fit_of(read_header(tmp_path / "lora.safetensors"), model)
    assert fit.coverage.verdict == "whole"
    loaded = with_lora(model, tmp_path / "lora.safetensors", fit, 1.0)
    torch.testing.assert_close(picture(loaded), hooked, rtol=1e-3, atol=1e-3)
    assert (picture(model) - hooked).abs().max() > 0.05


def test_equal_models_have_equal_fingerprints_and_others_others(host):
    from fewstep.nodes.host.training import network_of

    def fingerprint(model, positive=None, negative=None):
        default = words(host)
        with network_of(model, positive or default[0], negative or default[1]) as network:
            return network.fingerprint

    first = fingerprint(host.tiny_model())
    assert fingerprint(host.tiny_model()) == first
    others = [
        fingerprint(host.tiny_model(seed=1)),
        fingerprint(host.with_lora(host.tiny_model())),
        fingerprint(host.tiny_model(), positive=words(host, 2)[0]),
        fingerprint(host.tiny_model(), negative=host.conditioning(8)),
        fingerprint(host.tiny_model("flow")),
        fingerprint(host.tiny_model("flow", shift=3.0)),
    ]
    assert len({first, *others}) == 7


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        (lambda host: [], "prompt 1 has 0 entries; training takes one"),
        (lambda host: host.conditioning(1) * 2, "prompt 1 has 2 entries"),
        (
            lambda host: [[host.conditioning(1)[0][0], {"area": (1, 1, 0, 0)}]],
            "prompt 1 has area; training takes plain prompts",
        ),
        (
            lambda host: [[host.conditioning(1)[0][0], {"control": object()}]],
            "prompt 1 has control",
        ),
    ],
)
def test_prompts_that_cannot_be_trained_with_are_refused(host, entry, said):
    from fewstep.nodes.host.training import network_of

    with (
        pytest.raises(ValueError, match=said),
        network_of(host.tiny_model(), [entry(host)], host.conditioning(9)),
    ):
        pass


def test_no_prompts_are_refused(host):
    from fewstep.nodes.host.training import network_of

    with (
        pytest.raises(ValueError, match="there are no prompts"),
        network_of(host.tiny_model(), [], host.conditioning(9)),
    ):
        pass


def test_training_is_only_on_while_it_lasts(host):
    import comfy.model_management as management

    from fewstep.nodes.host.training import network_of

    before = getattr(management, "in_training", None)
    with network_of(host.tiny_model(), *words(host)):
        assert getattr(management, "in_training", None) is not False
        assert torch.is_grad_enabled() and not torch.is_inference_mode_enabled()
    assert getattr(management, "in_training", None) is before


def test_attention_without_a_backward_is_not_used(host, monkeypatch):
    from comfy.ldm.modules import attention

    from fewstep.distill.network import denoiser
    from fewstep.nodes.host.training import network_of

    def no_backward(*args, **kwargs):
        raise AssertionError("an attention that has no gradient was called")

    monkeypatch.setattr(attention, "optimized_attention", attention.wrap_attn(no_backward))
    x, sigma, rows = inputs()
    with network_of(host.tiny_model(), *words(host)) as network:
        assert denoiser(network, rows)(x, sigma).isfinite().all()


def test_leaving_inference_mode_keeps_values_and_types(host):
    from fewstep.nodes.host.training import leave_inference

    with torch.inference_mode():
        network = nn.Sequential(nn.Linear(3, 3).bfloat16(), nn.BatchNorm1d(3))
        before = {name: value.clone() for name, value in network.state_dict().items()}
        with torch.inference_mode(False):
            leave_inference(network)
    after = network.state_dict()
    assert not any(value.is_inference() for value in after.values())
    assert all(torch.equal(before[k], v) and before[k].dtype == v.dtype for k, v in after.items())

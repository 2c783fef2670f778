"""The teacher's data of a diffusers folder are the pictures that its own pipeline makes."""

import json

import pytest
import torch
from diffusers import DDIMScheduler
from safetensors.torch import save_file
from tiny_models import tiny_flux
from tiny_pipelines import save_flux, save_sd, save_sdxl
from tiny_unet import tiny_unet

from fewstep.diffusion.prediction import V
from fewstep.distill.trajectories import make, noise_of
from fewstep.headless.config import Data, Model
from fewstep.headless.diffusers_source import diffusers_source
from fewstep.headless.levels import levels_of
from fewstep.headless.network import DiffusersNetwork
from fewstep.headless.source import latent_shape
from fewstep.headless.teacher import by_size
from fewstep.headless.teacher_data import request_of

TEXTS = ["a red circle on a gray background", "a blue square", "a green triangle"]
CPU = torch.device("cpu")
# with 3 diffusers' DDIM leaves its own grid: it goes to t - 1000 // steps
STEPS = 4


def data_of(model, folder, cfg, size=(64, 64)):
    """(Teacher, Trajectories in float32) of TEXTS, of which the last is the negative."""
    source = diffusers_source(model, (size,))
    conditions = source.encode(TEXTS, size, CPU, torch.float32)
    teacher = source.load(torch.float32)
    network = DiffusersNetwork(
        teacher.model,
        teacher.prediction,
        conditions,
        table=teacher.table,
        guidance=teacher.guidance,
    )
    wanted = Data(folder, STEPS, (cfg, cfg), (size,), seed=11)
    sigmas = levels_of(STEPS, teacher.table, teacher.shift or 1.0)
    shape = latent_shape(teacher.model, size)
    request = request_of(network, wanted, sigmas, shape)._replace(dtype="float32")
    return teacher, make(network, request, folder)


def noise(shape=(4, 8, 8)):
    return torch.stack([noise_of(seed, shape) for seed in (11, 12)])


@torch.no_grad()
@pytest.mark.parametrize("prediction_type", ["epsilon", "v_prediction"])
def test_stable_diffusion(tmp_path, prediction_type):
    pipeline = save_sd(tmp_path / "model", prediction_type)
    teacher, data = data_of(Model(tmp_path / "model"), tmp_path / "data", cfg=3.0)
    expected = pipeline(
        TEXTS[:2],
        negative_prompt=TEXTS[2:] * 2,
        num_inference_steps=STEPS,
        guidance_scale=3.0,
        latents=noise(),
        output_type="latent",
    ).images
    assert (teacher.prediction is V) == (prediction_type == "v_prediction")
    assert (teacher.base, teacher.title) == ("unknown", "model")
    torch.testing.assert_close(data.x0(torch.tensor([0, 1])), expected, rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_sdxl(tmp_path):
    pipeline = save_sdxl(tmp_path / "model")
    _, data = data_of(Model(tmp_path / "model"), tmp_path / "data", cfg=3.0)
    expected = pipeline(
        TEXTS[:2],
        negative_prompt=TEXTS[2:] * 2,
        height=64,
        width=64,
        num_inference_steps=STEPS,
        guidance_scale=3.0,
        latents=noise(),
        output_type="latent",
    ).images
    torch.testing.assert_close(data.x0(torch.tensor([0, 1])), expected, rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_sdxl_of_two_sizes_is_told_each(tmp_path):
    pipeline, sizes = save_sdxl(tmp_path / "model"), ((64, 64), (96, 64))
    source = diffusers_source(Model(tmp_path / "model"), sizes)
    conditions = source.encode(TEXTS, sizes[0], CPU, torch.float32)
    teacher = source.load(torch.float32)
    network = DiffusersNetwork(
        teacher.model, teacher.prediction, *by_size(conditions, sizes), table=teacher.table
    )
    sigmas = levels_of(STEPS, teacher.table)
    for part in Data(tmp_path / "data", STEPS, (3.0, 3.0), sizes, seed=11).parts:
        ((width, height),) = part.sizes
        shape = latent_shape(teacher.model, (width, height))
        request = request_of(network, part, sigmas, shape)._replace(dtype="float32")
        found = make(network, request, part.folder).x0(torch.tensor([0, 1]))
        expected = pipeline(
            TEXTS[:2],
            negative_prompt=TEXTS[2:] * 2,
            height=height,
            width=width,
            num_inference_steps=STEPS,
            guidance_scale=3.0,
            latents=noise(shape),
            output_type="latent",
        ).images
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_sizes_of_several_shifts_want_one(tmp_path):
    save_flux(tmp_path / "model")
    model, sizes = Model(tmp_path / "model", guidance=3.5), ((64, 64), (96, 64))
    said = r"2 sizes, for which the shift of this model is 1.649 for 64 x 64, 1.8.. for 96 x 64; .*"
    with pytest.raises(ValueError, match=said + r"Set \[model\] shift"):
        diffusers_source(model, sizes)
    chosen = diffusers_source(model._replace(shift=1.7), sizes)
    assert chosen.load(torch.float32).shift == 1.7
    # of a size and the same turned by a right angle the shift is one
    turned = diffusers_source(model, ((64, 96), (96, 64))).load(torch.float32)
    assert turned.shift == diffusers_source(model, sizes[1:]).load(torch.float32).shift


@torch.no_grad()
def test_flux_with_the_shift_of_its_size_and_a_told_guidance(tmp_path):
    pipeline = save_flux(tmp_path / "model")
    size = (96, 64)
    model = Model(tmp_path / "model", guidance=4.5)
    teacher, data = data_of(model, tmp_path / "data", 1.0, size)
    packed = pipeline._pack_latents(noise((4, 8, 12)), 2, 4, 8, 12)
    expected = pipeline(
        TEXTS[:2],
        height=64,
        width=96,
        num_inference_steps=STEPS,
        guidance_scale=4.5,
        latents=packed,
        output_type="latent",
    ).images
    expected = pipeline._unpack_latents(expected, 64, 96, 8)
    assert teacher.base == "flux" and teacher.shift > 1.6
    torch.testing.assert_close(data.x0(torch.tensor([0, 1])), expected, rtol=1e-4, atol=1e-4)


def test_a_single_file_beside_a_folder_of_configs(tmp_path):
    save_sd(tmp_path / "model")
    torch.manual_seed(9)
    other = tiny_unet()
    with torch.no_grad():
        other.conv_in.bias += 1.0
    file = tmp_path / "mine.safetensors"
    save_file(other.state_dict(), file)
    source = diffusers_source(Model(file, config=tmp_path / "model"), ((64, 64),))
    teacher = source.load(torch.float32)
    assert torch.equal(teacher.model.conv_in.bias, other.conv_in.bias)
    assert teacher.title == "mine" and teacher.table is not None
    found = source.encode(TEXTS, (64, 64), CPU, torch.float32)
    plain = diffusers_source(Model(tmp_path / "model"), ((64, 64),))
    assert torch.equal(found["states"], plain.encode(TEXTS, (64, 64), CPU, torch.float32)["states"])


def test_texts_are_read_by_the_single_file_where_the_folder_has_configs_alone(tmp_path):
    pipeline = save_sd(tmp_path / "model")
    texts = {
        f"cond_stage_model.transformer.text_model.{name.removeprefix('text_model.')}": weight
        for name, weight in pipeline.text_encoder.state_dict().items()
    }
    file = tmp_path / "mine.safetensors"
    save_file({**pipeline.unet.state_dict(), **texts}, file)
    model = Model(file, config=tmp_path / "model")
    expected = diffusers_source(model, ((64, 64),)).encode(TEXTS, (64, 64), CPU, torch.float32)
    for weights in (tmp_path / "model").rglob("*.safetensors"):
        weights.unlink()
    source = diffusers_source(model, ((64, 64),))
    found = source.encode(TEXTS, (64, 64), CPU, torch.float32)
    assert torch.equal(found["states"], expected["states"])


def test_a_file_of_something_else_is_refused(tmp_path):
    save_sd(tmp_path / "model")
    file = tmp_path / "mine.safetensors"
    save_file({"something.else": torch.ones(2)}, file)
    source = diffusers_source(Model(file, config=tmp_path / "model"), ((64, 64),))
    with pytest.raises(ValueError, match=r"\[model\] path .* and \[model\] config"):
        source.load(torch.float32)
    for weights in (tmp_path / "model").rglob("*.safetensors"):
        weights.unlink()
    source = diffusers_source(Model(file, config=tmp_path / "model"), ((64, 64),))
    with pytest.raises(ValueError, match=r"\[model\] path .* and \[model\] config"):
        source.encode(TEXTS, (64, 64), CPU, torch.float32)


def test_the_stamp_changes_with_the_text_encoder_and_not_with_the_network(tmp_path):
    pipeline = save_sd(tmp_path / "model")
    stamp = diffusers_source(Model(tmp_path / "model"), ((64, 64),)).stamp
    with torch.no_grad():
        pipeline.unet.conv_in.bias += 1.0
    pipeline.save_pretrained(tmp_path / "model")
    assert diffusers_source(Model(tmp_path / "model"), ((64, 64),)).stamp == stamp
    with torch.no_grad():
        next(pipeline.text_encoder.parameters()).add_(1.0)
    pipeline.save_pretrained(tmp_path / "model")
    assert diffusers_source(Model(tmp_path / "model"), ((64, 64),)).stamp != stamp


def test_weights_in_float16_alone_are_found(tmp_path):
    pipeline = save_sd(tmp_path / "model")
    for part in ("unet", "text_encoder"):
        for file in (tmp_path / "model" / part).glob("*.safetensors"):
            file.rename(file.with_name(f"{file.stem}.fp16.safetensors"))
    source = diffusers_source(Model(tmp_path / "model"), ((64, 64),))
    teacher = source.load(torch.float32)
    assert torch.equal(teacher.model.conv_in.weight, pipeline.unet.conv_in.weight)
    assert source.encode(TEXTS, (64, 64), CPU, torch.bfloat16)["states"].dtype == torch.bfloat16


def changed(path, **values):
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def test_a_folder_without_a_known_network_is_refused(tmp_path):
    save_sd(tmp_path)
    changed(tmp_path / "model_index.json", unet=[None, None])
    with pytest.raises(ValueError, match="model_index.json names no unet and no transformer"):
        diffusers_source(Model(tmp_path), ((64, 64),))


def test_an_unknown_pipeline_is_refused(tmp_path):
    save_sd(tmp_path)
    changed(tmp_path / "model_index.json", _class_name="StableDiffusionImg2ImgPipeline")
    source = diffusers_source(Model(tmp_path), ((64, 64),))
    with pytest.raises(ValueError, match="is for a StableDiffusionImg2ImgPipeline; allowed are"):
        source.encode(TEXTS, (64, 64), CPU, torch.float32)


def test_a_folder_without_a_schedulers_config_is_refused(tmp_path):
    save_sd(tmp_path)
    (tmp_path / "scheduler" / "scheduler_config.json").unlink()
    with pytest.raises(ValueError, match="scheduler_config.json cannot be read"):
        diffusers_source(Model(tmp_path), ((64, 64),))


def test_what_is_distilled_already_is_no_teacher_unless_forced(tmp_path, caplog):
    save_sd(tmp_path)
    changed(tmp_path / "unet" / "config.json", time_cond_proj_dim=256)
    with pytest.raises(ValueError, match=r"distilled already \(a full LCM UNet\)"):
        diffusers_source(Model(tmp_path), ((64, 64),))
    diffusers_source(Model(tmp_path, if_distilled="warn"), ((64, 64),))
    assert "distilled already (a full LCM UNet)" in caplog.text


def test_schnell_is_known_by_its_levels(tmp_path):
    save_flux(tmp_path, guidance_embeds=False)
    config = tmp_path / "scheduler" / "scheduler_config.json"
    diffusers_source(Model(tmp_path), ((64, 64),))
    changed(config, use_dynamic_shifting=False, shift=1.0)
    with pytest.raises(ValueError, match=r"distilled already \(FLUX.1 schnell\)"):
        diffusers_source(Model(tmp_path), ((64, 64),))


def test_a_size_must_fit_the_network(tmp_path):
    assert latent_shape(tiny_unet(), (80, 64)) == (4, 8, 10)
    assert latent_shape(tiny_flux(), (80, 64)) == (4, 8, 10)
    with pytest.raises(ValueError, match=r"size is \[72, 64\]; allowed .* multiples of 16 pixels"):
        latent_shape(tiny_unet(), (72, 64))


def test_ddim_of_the_oracle_ends_at_clean():
    assert DDIMScheduler(set_alpha_to_one=True).final_alpha_cumprod == 1.0

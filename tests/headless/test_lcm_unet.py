"""The shipped full LCM UNet draws what captions say, and its pictures follow what it is told.

Its pictures are of 4 passes. A claim counts as refuted when it lies outside the whole 95 % interval
of the pictures that are made here.
"""

import numpy as np
import pytest
import torch
from diffusers import LatentConsistencyModelPipeline

from fewstep.demo import weights
from fewstep.demo.judge import read_picture, satisfies
from fewstep.demo.score import score
from fewstep.demo.world import read_caption
from fewstep.diffusion.sigmas import sigma_table
from fewstep.headless.compare import LATENT, STUDENT, demo_captions, sample
from fewstep.headless.pipeline import load_demo
from fewstep.headless.results import Method
from fewstep.headless.shipped_students import shipped_students
from fewstep.samplers.noise import cpu_noise

PICTURES = 48
SEED = 11
# share that was right of 192 pictures, standard error 0.02, by guidance
CLAIMED = {1.5: 0.854, 4.0: 0.901, 7.0: 0.870}


@pytest.fixture(scope="module")
def teacher():
    return load_demo()


@pytest.fixture(scope="module")
def pipeline():
    return load_demo(unet=weights.LCM_UNET)


@pytest.fixture(scope="module")
def captions():
    return demo_captions(PICTURES, SEED)


@pytest.fixture(scope="module")
def pictures(pipeline, captions):
    """[PICTURES, H, W, 3] uint8 by guidance, all from the same noise."""
    like, rows = torch.empty(PICTURES, *LATENT), range(PICTURES)
    made = {}
    for guidance in CLAIMED:
        with torch.inference_mode():
            x = sample(
                pipeline.denoiser(captions, guidance=guidance),
                Method(STUDENT, 4, 1.0, "lcm", "lcm"),
                cpu_noise(like, SEED - 1, rows)(),
                cpu_noise(like, SEED, rows),
            )
            made[guidance] = pipeline.decode(x)
    return made


@pytest.mark.parametrize("guidance", CLAIMED)
def test_four_passes_draw_what_captions_say(pictures, captions, guidance):
    wanted = [read_caption(text) for text in captions]
    seen = [read_picture(picture) for picture in pictures[guidance]]
    verdicts = [satisfies(*pair) for pair in zip(seen, wanted, strict=True)]
    _, highest = score(verdicts, wanted)["all"].interval
    assert highest >= CLAIMED[guidance]


def test_pictures_change_with_guidance_and_more_the_farther_it_is(pictures):
    off, some, much = (pictures[guidance].astype(float) for guidance in CLAIMED)
    # levels of 255; over 192 pictures 2.6 and 3.6. No picture is left as it was
    each = np.abs(much - off).mean(axis=(1, 2, 3))
    assert 1.0 < np.abs(some - off).mean() < 0.9 * each.mean()
    assert each.min() > 0.1


@torch.no_grad()
@pytest.mark.parametrize("timestep", [999, 759, 499, 259])
def test_more_guidance_moves_the_student_as_it_moves_its_teacher(
    pipeline, teacher, captions, timestep
):
    sigma = sigma_table()[timestep]
    noise = torch.randn(PICTURES, *LATENT, generator=torch.Generator().manual_seed(SEED))
    # blurred pictures, out of nothing but noise
    x0 = teacher.denoiser(captions)(14.6 * noise, 14.6)
    x = x0 + sigma * noise
    moved = [
        told(x, sigma) - untold(x, sigma)
        for told, untold in (
            [pipeline.denoiser(captions, guidance=guidance) for guidance in (7.0, 1.5)],
            [teacher.denoiser(captions, cfg_scale) for cfg_scale in (7.0, 1.5)],
        )
    ]
    alike = torch.cosine_similarity(moved[0].flatten(1), moved[1].flatten(1))
    assert alike.mean() > 5 * alike.std() / PICTURES**0.5


@torch.no_grad()
@pytest.mark.parametrize("guidance", [1.0, 3.0, 7.5])
def test_the_network_is_told_what_diffusers_would_tell_it(pipeline, guidance):
    caption = "a red circle on a gray background"
    x = 3.0 * torch.randn(1, *LATENT, generator=torch.Generator().manual_seed(SEED))
    sigma = sigma_table()[759]
    told = LatentConsistencyModelPipeline.get_guidance_scale_embedding(
        None, torch.tensor([guidance - 1]), embedding_dim=256
    )
    states = pipeline.encode([caption])
    eps = pipeline.unet(x / (1 + sigma**2) ** 0.5, 759, states, timestep_cond=told).sample
    denoised = pipeline.denoiser([caption], guidance=guidance)(x, sigma)
    torch.testing.assert_close(denoised, x - sigma * eps, rtol=1e-5, atol=1e-4)


def test_it_is_the_teacher_with_its_told_lora_merged_in_float16(pipeline):
    (student,) = [s for s in shipped_students() if s.path == weights.TOLD_LCM]
    merged, loaded = student.load().unet.state_dict(), pipeline.unet.state_dict()
    assert merged.keys() == loaded.keys()
    for name, weight in merged.items():
        torch.testing.assert_close(loaded[name], weight, rtol=1e-3, atol=1e-5)


def test_guidance_is_refused_where_it_cannot_be_told_and_asked_for_where_it_must(teacher, pipeline):
    with pytest.raises(ValueError, match="^guidance is 3, and this UNet has no input for it"):
        teacher.denoiser(["a red circle"], guidance=3.0)
    with pytest.raises(ValueError, match="^guidance is None, and this UNet is told its guidance"):
        pipeline.denoiser(["a red circle"])
    with pytest.raises(ValueError, match="^guidance is 0.5; allowed is a finite number of 1"):
        pipeline.denoiser(["a red circle"], guidance=0.5)


def test_a_missing_lcm_unet_is_named_and_stops_nobody_else(tmp_path, monkeypatch):
    for part in ("unet", "text_encoder", "vae"):
        (tmp_path / part).mkdir()
    monkeypatch.setattr(weights, "FOLDER", tmp_path)
    weights.check_present()
    monkeypatch.setattr(weights, "TOLD_LCM", tmp_path / "told_lcm.safetensors")
    with pytest.raises(
        FileNotFoundError, match=r"no told_lcm.safetensors in .*train-demo-students"
    ):
        load_demo(unet=weights.LCM_UNET)

"""The tools that the host tests stand on do what they say."""

import pytest
import torch
from host.client import PromptError

BLUE = 0x0000FF


def picture(width):
    return {
        "1": {
            "class_type": "EmptyImage",
            "inputs": {"width": width, "height": 32, "batch_size": 2, "color": BLUE},
        },
        "2": {"class_type": "PreviewImage", "inputs": {"images": ["1", 0]}},
    }


def test_a_prompt_runs_and_its_pictures_come_back(server):
    images = server.client.images(server.client.run(picture(48))["2"])
    assert [image.size for image in images] == [(48, 32)] * 2
    assert images[0].convert("RGB").getpixel((5, 5)) == (0, 0, 255)


def test_a_refused_prompt_tells_the_servers_reason(server):
    with pytest.raises(PromptError, match="width"):
        server.client.run(picture(-1))


@pytest.mark.parametrize("kind", ["eps", "v", "flow"])
def test_a_tiny_model_samples_and_the_seed_alone_decides(host, kind):
    import comfy.sample

    def run(weights):
        latent = torch.zeros(host.LATENT_SHAPE)
        noise = comfy.sample.prepare_noise(latent, seed=3)
        return comfy.sample.sample(
            host.tiny_model(kind, weights),
            noise,
            steps=3,
            cfg=2.0,
            sampler_name="euler",
            scheduler="simple",
            positive=host.conditioning(1),
            negative=host.conditioning(2),
            latent_image=latent,
            seed=3,
        )

    first = run(weights=0)
    assert first.isfinite().all() and first.std() > 0
    assert (run(weights=0) - first).abs().max() == 0
    assert (run(weights=1) - first).abs().max() > 0


def test_kinds_are_what_they_are_called(host):
    import comfy.model_sampling as model_sampling

    processes = {"eps": "EPS", "v": "V_PREDICTION", "flow": "CONST"}
    for kind, name in processes.items():
        sampling = host.tiny_model(kind).get_model_object("model_sampling")
        assert isinstance(sampling, getattr(model_sampling, name))
    shifted = host.tiny_model("flow", shift=3.0).get_model_object("model_sampling")
    assert shifted.shift == 3.0

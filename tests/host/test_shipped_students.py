"""Every student of the demo models draws the same in ComfyUI, from nodes, as in headless."""

import importlib

import pytest
import torch
from host.test_demo_model import CAPTION, MOST, host_picture, initial_noise

from fewstep.demo import weights

NAMES = [path.stem for path in sorted(weights.STUDENTS.glob("*.safetensors"))]


@pytest.fixture(scope="module")
def runs(host):
    return importlib.import_module("host.runs")


def variant_of(name):
    teacher = "flow teacher" if name.startswith(weights.OF_FLOW) else "teacher"
    return f"{teacher} + {name.removeprefix(weights.OF_FLOW).replace('_', ' ')}"


@pytest.mark.parametrize("name", [name for name in NAMES if not name.startswith("told")])
def test_a_student_draws_the_picture_that_it_draws_in_headless(host, runs, name):
    from fewstep.headless.compare import sample
    from fewstep.headless.shipped_students import shipped_students

    (student,) = (one for one in shipped_students() if one.method.model == name)
    pipeline, steps = student.load(), student.method.steps
    with torch.inference_mode():
        latent = sample(pipeline.denoiser([CAPTION]), student.method, initial_noise(1), None)
        expected = torch.from_numpy(pipeline.decode(latent)).float()
    made = host_picture(
        runs,
        variant_of(name),
        runs.euler(),
        lambda model: runs.sigmas(model, "trailing", steps),
        1.0,
        {"samples": torch.zeros(1, 4, 16, 16)},
    )
    assert (made - expected).abs().max() <= MOST

"""Students are looked at as their users' samplers run them."""

import math

import pytest
import torch
from diffusers import LCMScheduler, TCDScheduler
from tiny_models import conditions
from tiny_unet import tiny_unet

from fewstep.diffusion.prediction import EPS
from fewstep.diffusion.sigmas import sigma_table
from fewstep.distill.joined_data import join
from fewstep.distill.lora import Lora
from fewstep.distill.meters import Meters, measure
from fewstep.distill.setting import Setting
from fewstep.distill.trajectories import make
from fewstep.distill.ways import WAYS
from fewstep.headless.config import Data
from fewstep.headless.levels import levels_of
from fewstep.headless.network import DiffusersNetwork
from fewstep.headless.processes import Processes
from fewstep.headless.teacher_data import request_of
from fewstep.headless.validation import Validation, _read, _written
from fewstep.samplers.ode import sample_euler

ALONE = Processes(torch.device("cpu"))
TABLE = sigma_table()
STEPS = 4


@pytest.fixture(scope="module")
def setting(tmp_path_factory):
    """Three trajectories without guidance."""
    network = DiffusersNetwork(tiny_unet().eval(), EPS, conditions("states"), table=TABLE)
    folder = tmp_path_factory.mktemp("data")
    wanted = Data(folder, STEPS, (1.0, 1.0), ((64, 64),), seed=5)
    request = request_of(network, wanted, levels_of(STEPS, TABLE), (4, 8, 8))
    data = make(network, request._replace(dtype="float32"), folder)
    return Setting(network, data, rank=2, lora_alpha=2.0, seed=0)


def untrained(setting):
    return Lora(setting.network.hooks.layers, 2, 2.0, setting.generator)


def validation(setting, name, pictures=2):
    return Validation(setting, WAYS[name], None, pictures, ALONE)


def test_a_student_that_changes_nothing_makes_its_teachers_pictures(setting):
    stage = WAYS["guidance"].stages(setting.data, STEPS)[0]
    meters = validation(setting, "guidance")(stage, untrained(setting))
    assert meters.paired_error < 1e-9
    assert meters.std_ratio == pytest.approx((1.0,) * 4, abs=1e-4)


@torch.no_grad()
def test_fewer_steps_are_eulers_on_trailing_levels(setting):
    (stage,) = WAYS["segments"].stages(setting.data, 2)
    lora, index = untrained(setting), torch.tensor([1, 2])
    found = validation(setting, "segments").pictures(stage, lora, index)
    sigmas = [TABLE[999], TABLE[499], 0.0]
    x = setting.data.x(index, torch.tensor([0, 0]))
    denoise = setting.student(lora, index)
    torch.testing.assert_close(
        found, sample_euler(denoise, x, sigmas, process=setting.network.process)
    )


@torch.no_grad()
@pytest.mark.parametrize(("name", "kind"), [("lcm", LCMScheduler), ("tcd", TCDScheduler)])
def test_consistency_students_are_sampled_as_by_diffusers(setting, name, kind):
    # of 4 steps LCM's grid has other levels than trailing ones
    (stage,) = WAYS[name].stages(setting.data, 4)
    index = torch.tensor([2])
    found = validation(setting, name).pictures(stage, untrained(setting), index)
    scheduler = kind(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear")
    scheduler.set_timesteps(timesteps=[999, 759, 499, 259], original_inference_steps=50)
    seed = setting.data.request.seeds[2]
    x = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(seed))
    fresh = torch.Generator().manual_seed(seed + 1)
    states = conditions("states")["states"][setting.data.rows[index]]
    for timestep in scheduler.timesteps:
        eps = setting.network.model(x, timestep, states).sample
        x = scheduler.step(eps, timestep, x, generator=fresh).prev_sample
    # TCDScheduler ends at timestep 0, which is not quite clean
    tolerance = 1e-5 if name == "lcm" else 2e-3
    torch.testing.assert_close(found, x, rtol=0.0, atol=tolerance * float(x.abs().max()))


def test_meters_are_those_of_the_last_pictures(setting):
    (stage,) = WAYS["segments"].stages(setting.data, 2)
    lora, index = untrained(setting), torch.tensor([1, 2])
    found = validation(setting, "segments", pictures=2)
    expected = measure(found.pictures(stage, lora, index), setting.data.x0(index), [1, 2])
    assert found(stage, lora) == expected
    assert 0.0 < expected.paired_error < 1.0


def test_meters_of_two_sizes_are_the_mean_of_both(setting, tmp_path):
    network, one = setting.network, setting.data
    request = one.request._replace(shape=(4, 8, 16))
    both = setting._replace(data=join([one, make(network, request, tmp_path)]))
    (stage,) = WAYS["segments"].stages(one, 2)
    lora = untrained(setting)
    alone = [
        validation(setting._replace(data=data), "segments")(stage, lora)
        for data in (one, both.data.largest)
    ]
    found = validation(both, "segments")(stage, lora)
    for mean, *each in zip(found[2:], *(meters[2:] for meters in alone), strict=True):
        assert mean is None if None in each else mean == pytest.approx(sum(each) / 2, rel=1e-6)
    assert alone[0].paired_error != pytest.approx(alone[1].paired_error, rel=1e-2)


def test_meters_are_the_same_when_they_have_been_sent():
    meters = Meters((0.5, None), (1.0, 2.0), None, 0.9, 0.25)
    values = _written(meters)
    assert len(values) == 7 and math.isnan(values[1]) and math.isnan(values[4])
    assert _read(values, 2) == meters


def test_more_pictures_than_there_are_are_all_of_them(setting):
    stage = WAYS["guidance"].stages(setting.data, STEPS)[0]
    whole = validation(setting, "guidance", pictures=64)(stage, untrained(setting))
    assert whole.paired_error < 1e-9

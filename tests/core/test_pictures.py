"""Pictures in the place of the teacher's own: what is kept of them, and what can be taught."""

import itertools
import json

import pytest
import torch
from small_network import SHAPE, SmallNetwork
from small_setting import CFG, RANGE, SIGMAS, predicted_for

from fewstep.diffusion.process import FLOW, VE
from fewstep.distill.pictures import left, make_of_pictures
from fewstep.distill.setting import Setting
from fewstep.distill.shards import INDEX, Shards
from fewstep.distill.training import Options, Training
from fewstep.distill.trajectories import KIND, Request, Trajectories, make, missing
from fewstep.distill.ways import WAYS

ON_PICTURES = ["guidance", "lcm", "tcd", "pcm", "ict", "tdm", "dmd", "adversarial"]
# two pictures of one caption, and captions in no order
ROWS, SEEDS = (3, 0, 3, 1, 4, 2, 0, 1), (10, 11, 12, 13, 14, 15, 16, 17)
PICTURES = 1.5 * torch.randn(8, *SHAPE, generator=torch.Generator().manual_seed(1))


@pytest.fixture(params=[VE, FLOW], ids=lambda process: process.name)
def process(request):
    return request.param


def request_for(network, cfg_scales=RANGE, **changed):
    return Request(
        teacher=network.fingerprint,
        process=network.process.name,
        sigmas=SIGMAS[network.process.name],
        cfg_scales=cfg_scales,
        shape=SHAPE,
        rows=ROWS,
        seeds=SEEDS,
        dtype="float32",
        source="pictures",
        content="mine",
    )._replace(**changed)


def setting_of(process, folder, cfg_scales=(CFG,) * 8):
    network = SmallNetwork(process, is_told=len(set(cfg_scales)) > 1)
    data = make_of_pictures(network, request_for(network, cfg_scales), folder, PICTURES.__getitem__)
    return Setting(network, data, 2, 2.0, seed=0)


def test_states_are_pictures_made_noisy_with_one_noise_at_every_level(process, tmp_path):
    data = setting_of(process, tmp_path).data
    for i, (level, sigma) in itertools.product(range(8), enumerate(SIGMAS[process.name])):
        noise = torch.randn(SHAPE, generator=torch.Generator().manual_seed(10 + i))
        share = 1.0 if process is VE else 1.0 - sigma
        found = data.x(torch.tensor([i]), torch.tensor([level]))[0]
        torch.testing.assert_close(found, share * PICTURES[i] + sigma * noise, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(data.x0(torch.arange(8)), PICTURES)
    assert data.rows.tolist() == list(ROWS) and data.request.source == "pictures"


def test_predictions_are_the_guided_teachers_at_each_pictures_own_caption_and_cfg(
    process, tmp_path
):
    setting = setting_of(process, tmp_path, RANGE)
    for i, level in itertools.product(range(8), range(6)):
        at = torch.tensor([i]), torch.tensor([level])
        sigma = torch.tensor([SIGMAS[process.name][level]])
        cond, uncond = predicted_for(
            setting, torch.tensor([ROWS[i]]), setting.data.x(*at).double(), sigma
        )
        wanted = uncond + RANGE[i] * (cond - uncond)
        found = setting.data.guided_x0(*at).double()
        torch.testing.assert_close(found, wanted, rtol=1e-4, atol=2e-4)


def test_each_level_is_one_pass_with_caption_and_negative_together(tmp_path):
    network = SmallNetwork()
    request = request_for(network, (CFG,) * 2, rows=(3, 1), seeds=(0, 1))
    counted = []
    make_of_pictures(network, request, tmp_path, PICTURES.__getitem__, on_step=counted.append)
    assert network.passes == [(4, [3, 1, -1, -1])] * 6 and counted == [2] * 6


def test_a_run_that_is_cut_off_goes_on_with_the_pictures_it_lacks(tmp_path):
    network, asked = SmallNetwork(), []

    def picture(i):
        asked.append(i)
        if len(asked) == 6:
            raise KeyboardInterrupt
        return PICTURES[i]

    request = request_for(network)
    whole = make_of_pictures(network, request, tmp_path / "whole", PICTURES.__getitem__)
    assert left(request, tmp_path / "cut") == list(range(8))
    with pytest.raises(KeyboardInterrupt):
        make_of_pictures(network, request, tmp_path / "cut", picture, batch=3)
    assert left(request, tmp_path / "cut") == [3, 4, 5, 6, 7] and missing(request, tmp_path) == 8
    del asked[:]
    cut = make_of_pictures(network, request, tmp_path / "cut", lambda i: picture(i), batch=3)
    assert asked == [3, 4, 5, 6, 7] and left(request, tmp_path / "cut") == []
    index, level = torch.arange(8), torch.tensor([0, 1, 2, 3, 4, 5, 0, 1])
    assert torch.equal(whole.x(index, level), cut.x(index, level))
    assert torch.equal(whole.guided_x0(index, level), cut.guided_x0(index, level))
    network.passes.clear()
    make_of_pictures(network, request, tmp_path / "cut", None)
    assert network.passes == []


def test_a_damaged_set_is_refused(tmp_path):
    setting_of(VE, tmp_path)
    (path,) = tmp_path.glob("*.safetensors")
    path.write_bytes(path.read_bytes()[:-1] + b"\x7f")
    with pytest.raises(ValueError, match="its checksum differs"):
        setting_of(VE, tmp_path)


def test_a_set_of_other_pictures_or_of_the_teachers_own_is_refused(tmp_path):
    network = SmallNetwork()
    request = request_for(network)
    make_of_pictures(network, request, tmp_path, PICTURES.__getitem__)
    with pytest.raises(ValueError, match='another content: "mine", and now it is "yours"'):
        left(request._replace(content="yours"), tmp_path)
    with pytest.raises(ValueError, match='another source: "pictures", and now it is null'):
        make(network, request._replace(source="teacher"), tmp_path)


def test_a_picture_of_another_shape_is_refused_and_nothing_is_written(tmp_path):
    network, wide = SmallNetwork(), torch.zeros(2, 4, 5)
    with pytest.raises(ValueError, match=r"picture 0 is \[2, 4, 5\] encoded, .* \[2, 4, 4\]"):
        make_of_pictures(network, request_for(network), tmp_path, lambda i: wide)
    assert network.passes == [] and list(tmp_path.iterdir()) == []


def test_a_set_of_the_time_before_there_were_pictures_is_the_teachers(tmp_path):
    network = SmallNetwork()
    request = request_for(network, source="teacher", content="")
    make(network, request, tmp_path)
    # such an index has neither field
    written = json.loads((tmp_path / INDEX).read_text())["request"]
    assert set(written) == set(Request._fields) - {"source", "content"}
    data = Trajectories(Shards.opened(tmp_path, KIND), VE)
    assert data.request == request and data.request.has_paths
    assert missing(request, tmp_path) == 0


def test_a_set_of_pictures_is_opened_as_what_it_is(tmp_path):
    setting = setting_of(VE, tmp_path)
    again = Trajectories(Shards.opened(tmp_path, KIND), VE)
    assert again.request == setting.data.request and not again.request.has_paths
    assert set(again.request.described()) == set(Request._fields)


@pytest.mark.parametrize("name", ON_PICTURES)
def test_a_student_of_any_way_that_needs_no_path_is_trained_on_pictures(process, tmp_path, name):
    setting = setting_of(process, tmp_path)
    (stage,) = WAYS[name].stages(setting.data, 2)
    training = Training(stage.begin(setting, None), Options(iterations=2, batch=4, warm_up=1))
    while not training.is_done:
        training.step()
    assert all(up.abs().sum() > 0 for up in training.method.student.up)


@pytest.mark.parametrize("name", [name for name in WAYS if name not in ON_PICTURES])
def test_a_way_that_needs_the_teachers_path_is_refused_before_a_pass(tmp_path, name):
    setting = setting_of(VE, tmp_path)
    setting.network.passes.clear()
    allowed = ", ".join(ON_PICTURES)
    with pytest.raises(
        ValueError,
        match=f"method is '{name}', which learns how the teacher goes .* {allowed}. Choose one",
    ):
        WAYS[name].stages(setting.data, 2)
    assert setting.network.passes == []
    assert {"segments", "endpoint", "progressive"} == set(WAYS) - set(ON_PICTURES)

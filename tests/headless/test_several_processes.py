"""Several processes make the data and the student that one does, also with the weights spread."""

import multiprocessing
import os

import pytest
import torch
import torch.distributed as dist
from tiny_models import LATENT, conditions, tiny_flux
from tiny_unet import tiny_unet
from torch.distributed.tensor import DTensor

from fewstep.diffusion.prediction import EPS, FLOW_VELOCITY
from fewstep.diffusion.sigmas import sigma_table
from fewstep.distill.methods import match_endpoint
from fewstep.distill.setting import Setting
from fewstep.distill.training import Options, Training
from fewstep.distill.trajectories import make
from fewstep.headless.config import Data
from fewstep.headless.levels import levels_of
from fewstep.headless.network import DiffusersNetwork
from fewstep.headless.processes import Processes, average
from fewstep.headless.sharding import shard
from fewstep.headless.teacher_data import made, request_of

CPU = torch.device("cpu")
pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork, which Windows lacks"),
    pytest.mark.skipif(not dist.is_available(), reason="this torch has no torch.distributed"),
]


def together(work, folder):
    """What work(here) gives in each of two processes."""
    forked = multiprocessing.get_context("fork")
    both = [forked.Process(target=_one, args=(work, i, folder)) for i in range(2)]
    for one in both:
        one.start()
    for one in both:
        one.join(120)
        assert one.exitcode == 0
    return [torch.load(folder / f"{i}.pt", weights_only=True) for i in range(2)]


def _one(work, index, folder):
    torch.set_num_threads(1)
    meeting = f"file://{folder}/meeting"
    dist.init_process_group("gloo", init_method=meeting, rank=index, world_size=2)
    torch.save(work(Processes(CPU, index, 2)), folder / f"{index}.pt")
    dist.destroy_process_group()


def unet_network(here=None, is_checkpointed=False):
    model = tiny_unet().eval()
    if here is not None:
        shard(model, here)
    options = {"table": sigma_table(), "is_checkpointed": is_checkpointed}
    return DiffusersNetwork(model, EPS, conditions("states"), **options)


def flux_network(here=None, is_checkpointed=False):
    model = tiny_flux()
    if here is not None:
        shard(model, here)
    given = conditions("states", "pooled")
    return DiffusersNetwork(model, FLOW_VELOCITY, given, is_checkpointed=is_checkpointed)


def data_of(network, folder, here=None, cfg=3.0):
    # 3 prompts, which 2 processes do not divide; one file for all, each process having 2 at a time
    wanted = Data(folder, 4, (cfg, cfg), ((64, 64),), seed=5, batch=2)
    request = request_of(network, wanted, levels_of(4, network.table), LATENT)
    request = request._replace(dtype="float32")
    if here is None:
        return make(network, request, folder)
    return made(network, request, wanted, here)


def states(data):
    index = torch.arange(len(data))
    return torch.stack([data.x(index, torch.full_like(index, level)) for level in range(5)])


def test_gradients_are_averaged_whatever_their_shape(tmp_path):
    def work(here):
        tensors = [torch.full((2, 3), float(here.index)), torch.tensor(4.0 * here.index)]
        average(tensors)
        return [*tensors, torch.tensor(here.of_main([here.index + 0.25, float("nan")]))]

    for one, other, told in together(work, tmp_path):
        assert torch.equal(one, torch.full((2, 3), 0.5)) and other == 2.0
        assert told[0] == 0.25 and told[1].isnan()


@pytest.mark.parametrize("cfg", [1.0, 3.0])
def test_data_made_by_two_are_those_of_one_and_written_once(tmp_path, cfg):
    alone = states(data_of(unet_network(), tmp_path / "alone", cfg=cfg))

    def work(here):
        return states(data_of(unet_network(), tmp_path / "both", here, cfg))

    for found in together(work, tmp_path):
        # states begin at 14.6 times noise, of which float32 keeps 1e-6
        torch.testing.assert_close(found, alone, rtol=1e-5, atol=1e-4)
    names = sorted(path.name for path in (tmp_path / "both").iterdir())
    assert names == ["index.json", "rows-000000.safetensors"]


def trained(network, data, share=None):
    """Student and losses after a few iterations in which every pass is used several times."""
    setting = Setting(network, data, rank=2, lora_alpha=2.0, seed=0)
    method = match_endpoint(setting, 2)
    options = Options(iterations=3, batch=4, learning_rate=1e-3, warm_up=1)
    training = Training(method, options, *[share] if share else [])
    while not training.is_done:
        training.step()
    return [parameter.detach() for parameter in method.student.parameters()]


@pytest.mark.parametrize("make_network", [unet_network, flux_network])
def test_a_network_in_parts_trains_the_student_that_a_whole_one_does(tmp_path, make_network):
    network = make_network()
    alone = trained(network, data_of(network, tmp_path / "alone"))

    def work(here):
        assert here.share[:2] == (here.index, 2)
        spread = make_network(here, is_checkpointed=True)
        assert spread.fingerprint == network.fingerprint
        weights = list(spread.model.parameters())
        assert all(isinstance(weight, DTensor) for weight in weights)
        held = sum(weight.to_local().numel() for weight in weights)
        # layers with an odd number of rows are not halved exactly
        assert held < 0.6 * sum(weight.numel() for weight in weights)
        return trained(spread, data_of(spread, tmp_path / "both", here), here.share)

    for found in together(work, tmp_path):
        for ours, theirs in zip(alone, found, strict=True):
            torch.testing.assert_close(theirs, ours, rtol=1e-5, atol=1e-5)


def test_a_network_in_parts_needs_several_processes():
    with pytest.raises(ValueError, match=r"\[model\] shard is true, and there is one process"):
        shard(tiny_unet(), Processes(CPU))


def test_one_process_says_what_the_main_one_does():
    assert Processes(CPU).of_main([1.0, 2.0]) == [1.0, 2.0]

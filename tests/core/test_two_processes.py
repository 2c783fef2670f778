import multiprocessing
import os

import pytest
import torch
import torch.distributed as dist
from small_network import SHAPE, SmallNetwork

from fewstep.distill.joined_data import join
from fewstep.distill.methods import bake_guidance
from fewstep.distill.setting import Setting
from fewstep.distill.training import Options, Share, Training
from fewstep.distill.trajectories import Request, make

ITERATIONS = 12


def student(folder, share=None, accumulation=1, shapes=(SHAPE,)):
    """The parameters of a student and its average, and its losses."""
    torch.set_num_threads(1)
    network = SmallNetwork()
    request = Request(
        teacher=network.fingerprint,
        process="VE",
        sigmas=(14.6, 3.0, 1.0, 0.1, 0.0),
        cfg_scales=(3.0,) * 5,
        shape=SHAPE,
        rows=(0, 1, 2, 3, 4),
        seeds=(0, 1, 2, 3, 4),
    )
    sets = [
        make(network, request._replace(shape=shape), folder / str(shape[-1])) for shape in shapes
    ]
    method = bake_guidance(Setting(network, join(sets), 2, 2.0, seed=0))
    options = Options(
        iterations=ITERATIONS,
        batch=8,
        accumulation=accumulation,
        learning_rate=1e-2,
        warm_up=2,
    )
    training = Training(method, options, *[share] if share else [])
    while not training.is_done:
        training.step()
    modules = method.student, method.average
    values = [parameter.detach() for module in modules for parameter in module.parameters()]
    return values, training.losses["student"]


def average_over_processes(tensors):
    for tensor in tensors:
        dist.all_reduce(tensor)
        tensor /= dist.get_world_size()


def process(index, folder, *given):
    dist.init_process_group(
        "gloo", init_method=f"file://{folder}/meeting", rank=index, world_size=2
    )
    share = Share(index, 2, average_over_processes)
    torch.save(student(folder / f"data {index}", share, *given), folder / f"{index}.pt")
    dist.destroy_process_group()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork, which Windows lacks")
@pytest.mark.skipif(not dist.is_available(), reason="this torch has no torch.distributed")
@pytest.mark.parametrize(
    ("accumulation", "shapes"), [(1, (SHAPE,)), (2, (SHAPE,)), (2, (SHAPE, (2, 4, 6)))]
)
def test_two_processes_train_the_student_that_one_does(tmp_path, accumulation, shapes):
    alone, losses = student(tmp_path / "alone", shapes=shapes)
    forked = multiprocessing.get_context("fork")
    both = [
        forked.Process(target=process, args=(i, tmp_path, accumulation, shapes)) for i in range(2)
    ]
    for one in both:
        one.start()
    for one in both:
        one.join(120)
        assert one.exitcode == 0
    for i in range(2):
        values, their_losses = torch.load(tmp_path / f"{i}.pt", weights_only=True)
        for ours, theirs in zip(alone, values, strict=True):
            torch.testing.assert_close(theirs, ours, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(torch.tensor(their_losses), torch.tensor(losses))
    # and each has done but a half of the work
    assert max(value.abs().max() for value in alone) > 1e-2

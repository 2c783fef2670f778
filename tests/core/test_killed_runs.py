import time
from functools import partial

import torch
from killing import needs_fork, run_killed
from small_network import SHAPE, SmallNetwork

from fewstep.distill.methods import match_segments
from fewstep.distill.run import run
from fewstep.distill.setting import Setting
from fewstep.distill.training import Options, Training
from fewstep.distill.trajectories import Request, make

OPTIONS = Options(iterations=60, batch=4, learning_rate=1e-2, warm_up=5, checkpoint_every=3)


def trained(folder, wait=0.0):
    """The LoRA of a whole run, data and training, that goes on where a folder's run was."""
    torch.set_num_threads(1)
    network = SmallNetwork()
    request = Request(
        teacher=network.fingerprint,
        process="VE",
        sigmas=(14.6, 3.0, 1.0, 0.1, 0.0),
        cfg_scales=(3.0,) * 12,
        shape=SHAPE,
        rows=tuple(i % 5 for i in range(12)),
        seeds=tuple(range(12)),
    )
    pause = lambda *_: time.sleep(wait)
    data = make(network, request, folder / "data", batch=1, on_step=pause)
    method = match_segments(Setting(network, data, 2, 2.0, seed=0), steps=2)
    return run(Training(method, OPTIONS), folder / "run", {}, on_step=pause).lora


@needs_fork
def test_a_run_killed_ten_times_at_random_ends_as_one_that_never_was(tmp_path):
    whole = trained(tmp_path / "whole")
    # 108 pauses, longer than ten waits of at most 0.4 s: none is done before the last kill
    run_killed(10, partial(trained, tmp_path / "killed"), 0.04, (0.05, 0.4), seed=3)
    # nothing is left to do
    again = trained(tmp_path / "killed")
    for a, b in zip(whole.parameters(), again.parameters(), strict=True):
        assert torch.equal(a, b)

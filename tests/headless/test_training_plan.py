"""The plan of a training is made of trials that are like what will run."""

import pytest
import torch
from small_network import SHAPE, SmallNetwork

from fewstep.distill import checkpoint
from fewstep.distill.chain_plan import plan_of, trials
from fewstep.distill.setting import Setting, begin
from fewstep.distill.stages import Chain
from fewstep.distill.training import Method, Options, Training, Turn
from fewstep.distill.trajectories import Request, make
from fewstep.distill.ways import WAYS
from fewstep.headless.trial import measured


@pytest.fixture(scope="module")
def setting(tmp_path_factory):
    network = SmallNetwork()
    request = Request(
        teacher=network.fingerprint,
        process="VE",
        sigmas=(14.6, 3.0, 1.0, 0.1, 0.0),
        cfg_scales=(3.0, 3.0),
        shape=SHAPE,
        rows=(0, 1),
        seeds=(0, 1),
    )
    data = make(network, request, tmp_path_factory.mktemp("data"))
    return Setting(network, data, rank=2, lora_alpha=2.0, seed=0)


def test_a_later_stage_is_tried_with_the_student_of_the_first(setting, tmp_path):
    seen = []

    def watched(stage):
        def watch(setting, before):
            seen.append((stage.steps, before))
            return stage.begin(setting, before)

        return stage._replace(begin=watch)

    stages = [watched(stage) for stage in WAYS["progressive"].stages(setting.data, 1)]
    stages.append(stages[-1]._replace(name="again"))
    chain = Chain(stages, setting, Options(iterations=10, batch=2), tmp_path / "run", {})
    tried, seconds = trials(chain), iter([1.0, 4.0])
    plan = plan_of(chain, tried, 27, lambda training, device: (next(seconds), None))
    # of three stages the first is one kind and the others another
    assert plan.iterations == 27 and plan.memory is None and plan.seconds_per_iteration == 3.0
    # a checkpoint of each, and the one that replaces another
    assert plan.disk.other == 4 * max(map(checkpoint.size, tried))
    assert [steps for steps, _ in seen] == [2, 1]
    assert seen[0][1] is None and seen[1][1] is not None
    assert not (tmp_path / "run").exists()


def training(setting, loss):
    student, average = begin(setting)
    turn = Turn("student", student, loss)
    draw = WAYS["guidance"].stages(setting.data, 4)[0].begin(setting, None).draw
    return Training(Method(student, average, (turn,), draw), Options(batch=2))


def test_too_little_memory_is_said_before_the_run(setting):
    def loss(batch):
        raise torch.OutOfMemoryError("too much")

    with pytest.raises(ValueError, match=r"one iteration does not fit .* Set \[train\] accumul"):
        measured(training(setting, loss), torch.device("cpu"))

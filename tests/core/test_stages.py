import itertools

import pytest
import torch
from small_setting import small_setting

from fewstep.diffusion.process import VE
from fewstep.distill import checkpoint
from fewstep.distill.chain_plan import refuse
from fewstep.distill.meters import Meters
from fewstep.distill.stages import Chain, train
from fewstep.distill.training import Options, Training
from fewstep.distill.ways import WAYS

OPTIONS = Options(iterations=4, batch=4, learning_rate=1e-2, warm_up=1, checkpoint_every=2)


@pytest.fixture
def setting(tmp_path):
    return small_setting(VE, tmp_path / "data")


def chain_of(setting, folder, name="progressive", steps=1, **changed):
    stages = WAYS[name].stages(setting.data, steps)
    return Chain(stages, setting, OPTIONS, folder, {"method": name})._replace(**changed)


def numbers(lora):
    return torch.cat([p.detach().flatten() for p in lora.parameters()])


def cut_off_at(last):
    """An on_step that interrupts after so many iterations of all stages."""
    counted = itertools.count(1)

    def cut_off(training, losses, meters):
        if next(counted) == last:
            raise KeyboardInterrupt

    return cut_off


def test_a_chain_that_is_cut_off_in_any_stage_ends_as_one_that_never_was(setting, tmp_path):
    whole = train(chain_of(setting, tmp_path / "whole"))
    assert [part.stage.steps for part in whole] == [2, 1]
    for last in range(1, 8):
        chain = chain_of(setting, tmp_path / str(last))
        assert chain.left() == 8
        with pytest.raises(KeyboardInterrupt):
            train(chain, on_step=cut_off_at(last))
        assert chain.left() == 8 - last
        again = train(chain)
        assert chain.left() == 0
        for one, other in zip(whole, again, strict=True):
            assert torch.equal(numbers(one.outcome.lora), numbers(other.outcome.lora))
            assert one.losses == other.losses


def test_each_stage_has_a_folder_and_a_single_one_the_chains_own(setting, tmp_path):
    train(chain_of(setting, tmp_path / "chain"))
    assert sorted(path.name for path in (tmp_path / "chain").iterdir()) == ["1 steps", "2 steps"]
    train(chain_of(setting, tmp_path / "single", "segments", 2))
    assert [path.name for path in (tmp_path / "single").iterdir()] == [checkpoint.FILE]


def test_what_a_stage_hands_on_is_the_student_that_its_meters_chose(setting, tmp_path):
    errors = iter([0.5, 0.1, 0.3, 0.4, 0.6, 0.7])
    seen = []

    def validate(stage, lora):
        seen.append((stage.steps, numbers(lora)))
        return Meters((0.0,), (1.0,), 1.0, 1.0, next(errors))

    options = OPTIONS._replace(iterations=3, validate_every=1)
    first, second = train(chain_of(setting, tmp_path, options=options), validate=validate)
    assert [steps for steps, _ in seen] == [2, 2, 2, 1, 1, 1]
    assert first.outcome.iteration == 2 and second.outcome.iteration == 1
    assert torch.equal(numbers(first.outcome.lora), seen[1][1])
    # a stage begins as the student before it, and one iteration moves it little
    assert (seen[3][1] - seen[1][1]).norm() < (seen[3][1] - seen[2][1]).norm()
    assert not any(p.requires_grad for p in first.outcome.lora.parameters())


@pytest.mark.parametrize(("is_paired", "kept"), [(True, 2), (False, 1)])
def test_a_chain_says_whether_students_are_judged_by_the_teachers_picture_of_each_seed(
    setting, tmp_path, is_paired, kept
):
    # the first is right in the mean, and the second nearer to each picture
    meters = iter([Meters((0.0,), (1.0,), 1.0, 1.0, 0.5), Meters((0.5,), (1.0,), 1.0, 1.0, 0.1)])
    options = OPTIONS._replace(iterations=2, validate_every=1)
    chain = chain_of(setting, tmp_path, "segments", 2, options=options, is_paired=is_paired)
    (part,) = train(chain, validate=lambda stage, lora: next(meters))
    assert part.outcome.iteration == kept


def test_a_chain_of_something_else_is_refused_before_it_begins(setting, tmp_path):
    train(chain_of(setting, tmp_path))
    other = chain_of(setting, tmp_path, about={"method": "other"})
    with pytest.raises(
        ValueError, match='is of a run with method "progressive", and now it is "other"'
    ):
        other.left()
    with pytest.raises(ValueError, match="is of a run with method"):
        train(other)


def test_the_size_of_a_checkpoint_is_known_before(setting, tmp_path):
    for name in ("segments", "tdm"):
        chain = chain_of(setting, tmp_path / name, name, 2)
        train(chain)
        size = (tmp_path / name / checkpoint.FILE).stat().st_size
        planned = checkpoint.size(Training(chain.stages[0].begin(setting, None), OPTIONS))
        # besides it there are names and random state
        assert 0.4 * size < planned <= size


@pytest.mark.parametrize("name", ["segments", "adversarial", "tdm"])
def test_what_no_training_can_have_is_refused_before_a_pass(setting, tmp_path, name):
    passes = setting.network.passes
    passes.clear()
    chain = chain_of(setting, tmp_path, name, 2)
    refuse(chain)
    with pytest.raises(ValueError, match="rank is 50"):
        refuse(chain._replace(setting=setting._replace(rank=50)))
    with pytest.raises(ValueError, match="batch is 0"):
        refuse(chain._replace(options=OPTIONS._replace(batch=0)))
    with pytest.raises(ValueError, match="optimizer is 'sgd'"):
        refuse(chain._replace(options=OPTIONS._replace(optimizer="sgd")))
    assert not passes

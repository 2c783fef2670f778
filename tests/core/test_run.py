import pytest
import torch
from linear_method import method, options

from fewstep.distill.meters import Meters
from fewstep.distill.run import run
from fewstep.distill.training import Diverged, Training

ABOUT = {"what": "a test"}
GOOD = Meters((0.0,), (1.0,), 1.0, 1.0, 0.5)


def training(**changed):
    given = {"checkpoint_every": 4, "validate_every": 3} | changed
    return Training(method(), options(**given))


def weight(outcome):
    return outcome.lora.weight.detach()


def stop_at(iteration):
    def on_step(training, losses, meters):
        if training.i == iteration:
            raise KeyboardInterrupt

    return on_step


@pytest.mark.parametrize("iteration", [1, 4, 6, 11])
def test_a_run_that_is_interrupted_ends_as_one_that_is_not(tmp_path, iteration):
    whole = run(training(), tmp_path / "whole", ABOUT)
    with pytest.raises(KeyboardInterrupt):
        run(training(), tmp_path / "cut", ABOUT, on_step=stop_at(iteration))
    seen = []
    again = run(
        training(), tmp_path / "cut", ABOUT, on_step=lambda training, *_: seen.append(training.i)
    )
    assert seen == list(range(iteration + 1, 13))
    assert torch.equal(weight(again), weight(whole))


def test_a_run_that_is_killed_loses_only_what_came_after_its_checkpoint(tmp_path, monkeypatch):
    whole = run(training(), tmp_path / "whole", ABOUT)

    class Killed(BaseException):
        pass

    def kill(training, losses, meters):
        if training.i == 6:
            # nothing that would be written on the way out is
            monkeypatch.setattr("fewstep.distill.checkpoint.write", lambda *_: None)
            raise Killed

    with pytest.raises(Killed):
        run(training(), tmp_path / "cut", ABOUT, on_step=kill)
    monkeypatch.undo()
    seen = []
    again = run(
        training(), tmp_path / "cut", ABOUT, on_step=lambda training, *_: seen.append(training.i)
    )
    assert seen[0] == 5
    assert torch.equal(weight(again), weight(whole))


def test_a_run_that_is_done_takes_no_step(tmp_path):
    first = run(training(), tmp_path, ABOUT)
    again = run(training(), tmp_path, ABOUT, on_step=stop_at(0))
    assert torch.equal(weight(first), weight(again)) and again.iteration == 12


def test_the_best_student_by_its_meters_is_what_a_run_comes_to(tmp_path):
    errors, kept = iter([0.5, 0.2, 0.3, 0.4]), []

    def validate(lora):
        kept.append(lora.weight.detach().clone())
        return GOOD._replace(paired_error=next(errors))

    outcome = run(training(), tmp_path, ABOUT, validate=validate)
    assert list(outcome.meters) == [3, 6, 9, 12] and outcome.iteration == 6
    assert torch.equal(weight(outcome), kept[1])
    assert not torch.equal(weight(outcome), kept[3])


def test_best_and_meters_survive_an_interrupt(tmp_path):
    def validating(errors):
        errors = iter(errors)
        return lambda lora: GOOD._replace(paired_error=next(errors))

    with pytest.raises(KeyboardInterrupt):
        run(training(), tmp_path, ABOUT, validate=validating([0.1, 0.5]), on_step=stop_at(7))
    outcome = run(training(), tmp_path, ABOUT, validate=validating([0.3, 0.4]))
    assert outcome.iteration == 3 and outcome.meters[3].paired_error == 0.1
    assert [meters.paired_error for meters in outcome.meters.values()] == [0.1, 0.5, 0.3, 0.4]


def test_a_validation_that_was_cut_off_is_made_up_for(tmp_path):
    def interrupted(lora):
        raise KeyboardInterrupt

    for at in (3, 12):
        with pytest.raises(KeyboardInterrupt):
            run(training(validate_every=at), tmp_path / str(at), ABOUT, validate=interrupted)
        outcome = run(
            training(validate_every=at), tmp_path / str(at), ABOUT, validate=lambda lora: GOOD
        )
        assert list(outcome.meters) == list(range(at, 13, at))


def test_a_student_whose_seeds_become_one_ends_the_run_with_the_best_before(tmp_path):
    diversity = iter([0.95, 0.5, 0.9])
    outcome = run(
        training(),
        tmp_path,
        ABOUT,
        validate=lambda lora: GOOD._replace(diversity=next(diversity)),
        is_paired=False,
    )
    assert outcome.is_stopped and outcome.iteration == 3 and list(outcome.meters) == [3, 6]


def test_a_student_that_has_not_learned_yet_does_not_end_the_run(tmp_path):
    diversity = iter([0.1, 0.6, 0.9, 0.95])
    outcome = run(
        training(), tmp_path, ABOUT, validate=lambda lora: GOOD._replace(diversity=next(diversity))
    )
    assert not outcome.is_stopped and list(outcome.meters) == [3, 6, 9, 12]


def test_a_run_that_diverges_keeps_its_last_checkpoint(tmp_path):
    bad = training()
    turn, count = bad.method.turns[0], iter(range(12))

    def loss(batch):
        return turn.loss(batch) * (float("nan") if next(count) == 6 else 1.0)

    bad.method = bad.method._replace(turns=(turn._replace(loss=loss),))
    with pytest.raises(Diverged, match="at iteration 6"):
        run(bad, tmp_path, ABOUT)
    seen = []
    run(training(), tmp_path, ABOUT, on_step=lambda training, *_: seen.append(training.i))
    assert seen[0] == 5


def test_a_folder_of_another_run_is_refused_before_a_step(tmp_path):
    run(training(), tmp_path, ABOUT)
    with pytest.raises(ValueError, match='a run with what "a test", and now it is "another"'):
        run(training(), tmp_path, {"what": "another"}, on_step=stop_at(0))


def test_what_interrupts_between_two_learners_leaves_the_checkpoint_before(tmp_path):
    two = Training(method(second=True), options(checkpoint_every=4))
    first, second = two.method.turns
    count = iter(range(12))

    def loss(batch):
        if next(count) == 6:
            raise KeyboardInterrupt
        return second.loss(batch)

    two.method = two.method._replace(turns=(first, second._replace(loss=loss)))
    with pytest.raises(KeyboardInterrupt):
        run(two, tmp_path, ABOUT)
    seen = []
    again = Training(method(second=True), options(checkpoint_every=4))
    run(again, tmp_path, ABOUT, on_step=lambda training, *_: seen.append(training.i))
    assert seen[0] == 5

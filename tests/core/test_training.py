import pytest
import torch
from linear_method import method, options

from fewstep.distill.training import Diverged, Share, Training, Turn, split


def trained(iterations=12, share=None, **changed):
    run = Training(method(), options(**changed), *[share] if share else [])
    for _ in range(iterations):
        run.step()
    return run


def test_equal_seeds_give_equal_students_bit_for_bit_and_other_seeds_others():
    first, again, other = (trained(seed=seed).method.student for seed in (3, 3, 4))
    assert torch.equal(first.weight, again.weight)
    assert not torch.equal(first.weight, other.weight)


@pytest.mark.parametrize("accumulation", [2, 3, 12])
def test_a_batch_in_parts_gives_the_gradient_of_the_whole(accumulation):
    whole, parts = trained(), trained(accumulation=accumulation)
    torch.testing.assert_close(parts.method.student.weight, whole.method.student.weight)
    torch.testing.assert_close(
        torch.tensor(parts.losses["student"]), torch.tensor(whole.losses["student"])
    )


def test_processes_take_different_parts_of_one_batch():
    batch = method().draw(torch.Generator().manual_seed(0), 12)
    parts = [part for k in range(3) for part in split(batch, Share(k, 3), 2)]
    assert [len(part.x) for part in parts] == [2] * 6
    assert torch.equal(torch.cat([part.x for part in parts]), batch.x)
    assert torch.equal(torch.cat([part.wanted for part in parts]), batch.wanted)


def test_gradients_and_loss_are_averaged_over_processes():
    seen = []
    share = Share(1, 2, lambda tensors: seen.append([tensor.shape for tensor in tensors]))
    trained(1, share)
    # the loss, then a gradient for weight and bias
    assert seen == [[torch.Size([]), torch.Size([2, 3]), torch.Size([2])]]


def test_the_average_moves_after_the_optimizer():
    run = trained(0, ema_decay=0.75)
    before = run.method.student.weight.detach().clone()
    run.step()
    after = run.method.student.weight.detach()
    assert not torch.equal(before, after)
    torch.testing.assert_close(run.method.average.weight, 0.75 * before + 0.25 * after)


def test_the_learning_rate_warms_up_and_falls_to_nothing():
    run, moved = trained(0), []
    for _ in range(12):
        before = run.method.student.weight.detach().clone()
        run.step()
        moved.append((run.method.student.weight.detach() - before).abs().max().item())
    assert moved[0] < 0.7 * moved[1] and moved[-1] < 0.1 * max(moved)
    assert run.is_done


def test_gradients_are_clipped_to_the_norm():
    # of Adam only the first step tells, since it divides by the size of the gradients
    run = Training(method(loss=lambda batch: 1e6 * batch.x.sum(1) * 0), options())
    seen = []
    run.share = Share(0, 1, lambda tensors: seen.extend(tensors[1:]))
    student = run.method.student
    run.method = run.method._replace(
        turns=(Turn("student", student, lambda batch: 1e6 * student(batch.x).sum(1)),)
    )
    run.step()
    norm = torch.cat([grad.flatten() for grad in seen]).norm()
    torch.testing.assert_close(norm, torch.tensor(1.0, dtype=norm.dtype), rtol=1e-5, atol=0)


def test_every_learner_has_its_turn_its_rate_and_its_losses():
    run = Training(method(second=True), options())
    losses = run.step()
    assert list(losses) == ["student", "other"] == list(run.losses)
    rates = [optimizer.param_groups[0]["lr"] for optimizer in run.optimizers.values()]
    assert rates[1] == 0.5 * rates[0] == 0.5 * 1e-2 * 0.5


@pytest.mark.parametrize("what", ["loss", "gradient"])
def test_a_run_that_diverges_stops_before_the_student_is_harmed(what):
    run = trained(3)
    before = run.method.student.weight.detach().clone()
    student, factor = run.method.student, {"loss": float("nan"), "gradient": 1.0}[what]

    def loss(batch):
        # the root of 0 has no gradient
        return factor * (student(batch.x) * 0).abs().sqrt().sum(dim=1)

    run.method = run.method._replace(turns=(Turn("student", student, loss),))
    with pytest.raises(Diverged, match=f"the {what} of the student is nan at iteration 3"):
        run.step()
    assert torch.equal(student.weight, before) and run.i == 3 and run.is_between


def test_an_interrupt_before_a_learner_moved_leaves_no_trace():
    whole, run = trained(6), trained(3)
    turns = run.method.turns

    def interrupted(batch):
        raise KeyboardInterrupt

    run.method = run.method._replace(turns=(turns[0]._replace(loss=interrupted),))
    with pytest.raises(KeyboardInterrupt):
        run.step()
    run.method = run.method._replace(turns=turns)
    for _ in range(3):
        run.step()
    assert torch.equal(run.method.student.weight, whole.method.student.weight)


def test_an_interrupt_between_two_learners_is_told():
    run = Training(method(second=True), options())

    def interrupted(batch):
        raise KeyboardInterrupt

    first, second = run.method.turns
    run.method = run.method._replace(turns=(first, second._replace(loss=interrupted)))
    with pytest.raises(KeyboardInterrupt):
        run.step()
    assert not run.is_between and run.i == 0


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"iterations": 0}, "iterations is 0; allowed is 1 or more"),
        ({"batch": 0}, "batch is 0"),
        ({"accumulation": -1}, "accumulation is -1"),
        ({"warm_up": 0}, "warm_up is 0"),
        ({"learning_rate": 0.0}, "learning_rate is 0; allowed is above 0"),
        ({"learning_rate": float("inf")}, "learning_rate is inf"),
        ({"clip": -1.0}, "clip is -1"),
        ({"ema_decay": 1.0}, "ema_decay is 1; allowed is 0"),
        ({"batch": 10, "accumulation": 4}, "batch is 10, which 4 parts.*multiple of 4"),
        ({"optimizer": "sgd"}, "optimizer is 'sgd'; allowed is one of adamw, adamw 8-bit"),
    ],
)
def test_options_that_no_run_can_have_are_refused(changed, said):
    with pytest.raises(ValueError, match=said):
        Training(method(), options(**changed))


def test_a_batch_that_the_processes_do_not_divide_is_refused():
    with pytest.raises(ValueError, match="batch is 12, which 5 parts"):
        Training(method(), options(), Share(0, 5))


def test_an_optimizer_whose_library_is_not_installed_is_refused():
    with pytest.raises(ValueError, match="Install bitsandbytes"):
        Training(method(), options(optimizer="adamw 8-bit"))

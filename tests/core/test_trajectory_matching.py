import pytest
import torch
from oracles import gaussian

from fewstep.diffusion.process import FLOW, VE
from fewstep.distill.matching import Draw, level_between
from fewstep.distill.trajectory_matching import Segment, roll_out, trajectory_matching_loss

GAUSSIAN = {VE: gaussian.ve, FLOW: gaussian.rectified_flow}
MEAN, STD = 0.8, 0.5
ANCHORS = [0.95, 0.7, 0.4, 0.15, 0.0]

either_process = pytest.mark.parametrize("process", [VE, FLOW], ids=lambda process: process.name)


def randn(seed, *shape):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def perfect_student(process, mean=MEAN, std=STD):
    """Whose every step from an anchor lands where the exact flow does."""
    ideal = GAUSSIAN[process](mean, std)
    following = dict(zip(ANCHORS[:-1], ANCHORS[1:], strict=True))
    return lambda x, sigma: ideal.jump(x, sigma, following[sigma])


def starts(process, count, mean=MEAN, std=STD):
    ideal = GAUSSIAN[process](mean, std)
    top = ANCHORS[0]
    return ideal.alpha(top) * mean + ideal.variance(top) ** 0.5 * randn(0, count, 2, 3)


def estimates(segment, process, mean=MEAN, std=STD):
    """The x0 estimates of a perfect student at each sample's segment."""
    ideal = GAUSSIAN[process](mean, std)
    return ideal.jump(segment.x, segment.sigma, segment.landing)


def draw_inside(segment, process, seed=5):
    share = torch.linspace(0, 1, len(segment.x), dtype=torch.float64).view(-1, 1, 1)
    level = level_between(segment.landing, segment.sigma, share, process)
    return Draw(randn(seed, *segment.x.shape), level)


@either_process
@pytest.mark.parametrize("numbers", [[0], [0, 0], [3, 1, 0, 2, 3], [2, 1]])
def test_each_sample_is_rolled_out_to_its_own_segment_along_the_exact_flow(process, numbers):
    x = starts(process, len(numbers))
    segment = roll_out(perfect_student(process), x, ANCHORS, torch.tensor(numbers), process=process)
    flow = GAUSSIAN[process](MEAN, STD).flow
    for i, number in enumerate(numbers):
        torch.testing.assert_close(segment.x[i], flow(x[i], ANCHORS[0], ANCHORS[number]))
    assert segment.sigma.flatten().tolist() == [ANCHORS[number] for number in numbers]
    assert segment.landing.flatten().tolist() == [ANCHORS[number + 1] for number in numbers]
    landed = segment.landed(estimates(segment, process))
    for i, number in enumerate(numbers):
        torch.testing.assert_close(landed[i], flow(x[i], ANCHORS[0], ANCHORS[number + 1]))


def test_the_roll_out_asks_the_student_no_more_often_than_needed_and_keeps_no_gradient():
    weight, asked = torch.ones((), dtype=torch.float64, requires_grad=True), []

    def student(x, sigma):
        asked.append(sigma)
        return weight * torch.tanh(x)

    segment = roll_out(student, randn(0, 2, 3), ANCHORS, torch.tensor([2, 1]), process=FLOW)
    assert asked == ANCHORS[:2]
    assert not segment.x.requires_grad


@pytest.mark.parametrize("numbers", [[0, 4], [-1, 2]])
def test_a_segment_that_is_not_there_is_refused(numbers):
    with pytest.raises(ValueError, match=r"segment is .* to .*; 5 anchors allow 0 to 3"):
        roll_out(lambda x, s: x, randn(0, 2, 3), ANCHORS, torch.tensor(numbers), process=FLOW)


def test_anchors_that_do_not_fall_are_refused_before_the_student_is_asked():
    with pytest.raises(ValueError, match="levels must fall"):
        roll_out(None, randn(0, 1, 3), [0.9, 0.2, 0.3, 0.0], torch.tensor([0]), process=FLOW)


def test_the_loss_by_hand():
    column = lambda *values: torch.tensor(values, dtype=torch.float64).view(-1, 1)
    segment = Segment(x=column(5.0, 9.0), sigma=column(2.0, 3.0), landing=column(1.0, 0.0))
    draw = Draw(column(2.0, 1.0), column(1.25, 2.0))
    shown = {}

    def teacher(x, sigma):
        shown.update(x=x, sigma=sigma)
        return column(4.0, 0.0)

    generated = column(1.0, 2.0)
    found = trajectory_matching_loss(
        generated, segment, lambda x, sigma: column(7.0, 1.0), teacher, draw, process=VE
    )
    # landed at 3 and 2, then 0.75 and 2 of the fresh noise
    torch.testing.assert_close(shown["x"], column(4.5, 4.0))
    assert shown["sigma"] is draw.sigma
    # moved by -3 and -1; mean |generated - real| is 3 and 2
    huber = lambda d: (d**2 + 1e-6) ** 0.5 - 1e-3
    wanted = torch.tensor([huber(3.0) / 3.0, huber(1.0) / 2.0], dtype=torch.float64)
    torch.testing.assert_close(found, wanted)


def test_at_flow_levels_the_landed_sample_is_raised_as_the_process_renoises():
    segment = Segment(
        *(torch.tensor(v, dtype=torch.float64).view(-1, 1) for v in ([0.3], [0.7], [0.4]))
    )
    draw = Draw(randn(1, 1, 1), torch.tensor([[0.6]], dtype=torch.float64))
    generated, shown = randn(2, 1, 1), {}

    def spy(x, sigma):
        shown["x"] = x
        return torch.zeros_like(x)

    trajectory_matching_loss(generated, segment, spy, lambda x, s: x, draw, process=FLOW)
    noise = (segment.x - 0.3 * generated) / 0.7
    landed = FLOW.mix(generated, noise, 0.4)
    torch.testing.assert_close(shown["x"], FLOW.renoise(landed, draw.noise, 0.4, 0.6))


@either_process
def test_a_student_that_lands_on_the_teachers_flow_has_no_loss_in_any_segment(process):
    numbers = torch.tensor([0, 1, 2, 3, 0, 1, 2, 3])
    x = starts(process, len(numbers))
    segment = roll_out(perfect_student(process), x, ANCHORS, numbers, process=process)
    generated = estimates(segment, process)
    draw = draw_inside(segment, process)

    def loss(mean, std=STD):
        teacher = GAUSSIAN[process](mean, std).denoised
        fake_score = GAUSSIAN[process](MEAN, STD).denoised
        return trajectory_matching_loss(
            generated, segment, fake_score, teacher, draw, process=process
        )

    assert (loss(MEAN) == 0).all()
    assert (loss(MEAN + 1) > 1e-3).all() and (loss(MEAN, STD + 0.3) > 1e-4).all()


@either_process
@pytest.mark.parametrize("mean", [-1.0, 2.5])
def test_the_estimate_is_drawn_towards_the_teachers_mean_in_every_segment(process, mean):
    numbers = torch.tensor([0, 1, 2, 3])
    student = perfect_student(process, mean)
    segment = roll_out(student, starts(process, 4, mean), ANCHORS, numbers, process=process)
    generated = estimates(segment, process, mean).requires_grad_()
    teacher, fake_score = (GAUSSIAN[process](m, STD).denoised for m in (MEAN, mean))
    trajectory_matching_loss(
        generated, segment, fake_score, teacher, draw_inside(segment, process), process=process
    ).sum().backward()
    assert (torch.sign(-generated.grad) == torch.sign(torch.tensor(MEAN - mean))).all()


def test_only_the_estimate_is_given_a_gradient():
    weights = [torch.tensor(value, dtype=torch.float64, requires_grad=True) for value in (1.0, 2.0)]
    fake_score, teacher = (lambda x, sigma, w=w: w * torch.sin(x) for w in weights)
    segment = Segment(
        randn(0, 2, 3), *(torch.full((2, 1), v, dtype=torch.float64) for v in (0.7, 0.4))
    )
    draw = Draw(randn(1, 2, 3), torch.full((2, 1), 0.5, dtype=torch.float64))
    generated = randn(2, 2, 3).requires_grad_()
    trajectory_matching_loss(
        generated, segment, fake_score, teacher, draw, process=FLOW
    ).sum().backward()
    assert generated.grad.abs().min() > 0
    assert [w.grad for w in weights] == [None, None]


def test_what_networks_say_in_half_precision_is_compared_in_single():
    # bfloat16 has 512 - 1 = 512
    large, one = (lambda x, sigma, v=v: torch.full_like(x, v).bfloat16() for v in (512.0, 1.0))
    segment = Segment(*(torch.full((1, 1), value) for value in (3.0, 2.0, 1.0)))
    draw = Draw(torch.zeros(1, 1), torch.full((1, 1), 1.5))
    generated = torch.full((1, 1), 512.0).bfloat16()
    found = trajectory_matching_loss(generated, segment, large, one, draw, process=VE)
    torch.testing.assert_close(found, torch.tensor([(511.0 - 1e-3) / 511.0]), rtol=1e-6, atol=0)

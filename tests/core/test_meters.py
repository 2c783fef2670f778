"""Meters are those of signals whose mean, width, spectrum and distances are known."""

import math

import numpy as np
import pytest
import torch

from fewstep.distill.meters import Meters, has_collapsed, measure, score
from fewstep.distill.training import Diverged

GROUPS = [0, 0, 1, 1, 1, 2]


def white(*shape, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)


def latents(seed=0, dtype=torch.float64):
    return white(6, 3, 8, 10, seed=seed, dtype=dtype)


def wave(down, across, height=16, width=16, amplitude=1.0):
    """A cosine with so many periods down and across, [1, 1, height, width]."""
    y = torch.arange(height, dtype=torch.float64)[:, None] / height
    x = torch.arange(width, dtype=torch.float64) / width
    return amplitude * torch.cos(2 * math.pi * (down * y + across * x))[None, None]


def assert_close(a, b):
    flat = lambda meters: [*meters.mean_shift, *meters.std_ratio, *meters[2:]]
    assert flat(a) == pytest.approx(flat(b), rel=1e-9, abs=1e-12)


def test_the_teacher_itself_is_at_the_best_of_every_meter():
    meters = measure(latents(), latents(), GROUPS)
    assert_close(meters, Meters((0.0,) * 3, (1.0,) * 3, 1.0, 1.0, 0.0))
    assert score(meters, True) == score(meters, False) == 0.0


def test_literal_numbers_of_one_channel():
    # teacher: mean 1, std 2; student: mean 2, std 4
    teacher = torch.tensor([-1.0, 3.0]).repeat(8).view(1, 1, 4, 4)
    student = torch.tensor([-2.0, 6.0]).repeat(8).view(1, 1, 4, 4)
    meters = measure(student, teacher, [0])
    assert (meters.mean_shift, meters.std_ratio) == ((0.5,), (2.0,))
    # errors -1 and 3: (1 + 9) / 2 over a variance of 4
    assert meters.paired_error == 1.25


def test_scaled_white_noise_has_that_std_ratio_and_diversity_and_the_same_detail():
    meters = measure(1.7 * latents(), latents(), GROUPS)
    assert meters.std_ratio == pytest.approx([1.7] * 3)
    assert meters.diversity == pytest.approx(1.7)
    assert meters.detail_ratio == pytest.approx(1.0)


def test_each_channel_is_measured_by_its_own_width():
    teacher = latents() * torch.tensor([0.5, 1.0, 4.0]).view(1, 3, 1, 1)
    gain = torch.tensor([1.1, 0.9, 1.0], dtype=torch.float64)
    shift = torch.tensor([0.3, 0.0, -2.0], dtype=torch.float64)
    student = teacher * gain.view(1, 3, 1, 1) + shift.view(1, 3, 1, 1)
    meters = measure(student, teacher, GROUPS)
    values = teacher.numpy()
    mean, std = values.mean((0, 2, 3)), values.std((0, 2, 3))
    expected = ((gain.numpy() - 1) * mean + shift.numpy()) / std
    assert meters.mean_shift == pytest.approx(expected.tolist())
    assert meters.std_ratio == pytest.approx(gain.tolist())


def test_a_shift_moves_mean_and_paired_error_alone():
    teacher = latents()
    meters = measure(teacher + 0.25, teacher, GROUPS)
    std = teacher.numpy().std((0, 2, 3))
    assert meters.mean_shift == pytest.approx((0.25 / std).tolist())
    assert meters.paired_error == pytest.approx(0.0625 / (std**2).mean())
    assert meters.std_ratio == pytest.approx([1.0] * 3)
    assert (meters.detail_ratio, meters.diversity) == pytest.approx((1.0, 1.0))


def test_the_means_of_the_channels_have_a_paired_error_of_1():
    teacher = latents() + torch.tensor([-3.0, 0.0, 5.0]).view(1, 3, 1, 1)
    mean = teacher.mean((0, 2, 3), keepdim=True).expand_as(teacher)
    meters = measure(mean, teacher, GROUPS)
    assert meters.paired_error == pytest.approx(1.0)
    assert meters.std_ratio == pytest.approx([0.0] * 3, abs=1e-12)
    assert meters.diversity == 0.0


def test_independent_pictures_have_a_paired_error_of_2():
    n = 64 * 4 * 16 * 16
    meters = measure(white(64, 4, 16, 16, seed=1), white(64, 4, 16, 16), [0] * 64)
    # the mean of n squares of N(0, 2) has a standard error of 2 sqrt(2 / n)
    assert meters.paired_error == pytest.approx(2.0, abs=5 * 2 * math.sqrt(4 / n))


def test_detail_is_the_share_of_energy_of_waves_above_half_nyquist():
    # 2 of 16 periods are below, 6 above: 1 / (1 + 1) and 9 / (1 + 9)
    teacher = wave(2, 0) + wave(0, 6)
    student = wave(2, 0) + wave(0, 6, amplitude=3.0)
    assert measure(student, teacher, [0]).detail_ratio == pytest.approx(1.8)


@pytest.mark.parametrize(
    ("down", "across", "height", "width", "is_above"),
    [
        (4, 0, 16, 16, False),  # half Nyquist itself
        (0, 4, 16, 16, False),
        (5, 0, 16, 16, True),
        (3, 0, 16, 16, False),
        (3, 3, 16, 16, True),  # 0.265 along the diagonal
        (3, 0, 15, 16, False),  # 0.2 of an odd size
        (4, 0, 15, 16, True),  # 0.267
        (0, 7, 16, 13, True),  # 6 periods the other way round: 0.46
        (3, 0, 12, 20, False),  # 0.25
        (8, 0, 31, 16, True),  # 0.258
        (16, 0, 63, 16, True),  # 0.254
        (7, 0, 29, 16, False),  # 0.241
        (1, 0, 4, 4, False),
        (1, 1, 4, 4, True),
        (2, 0, 4, 7, True),
    ],
)
def test_frequencies_are_radial_in_cycles_per_place(down, across, height, width, is_above):
    low, high = wave(1, 0, height, width), wave(0, width // 2, height, width)
    base = low + high
    more = measure(base + 0.5 * wave(down, across, height, width), base, [0]).detail_ratio
    assert (more > 1.0) is is_above


@pytest.mark.parametrize("shape", [(5, 2, 12, 9), (5, 2, 3, 12, 9)])
def test_damped_white_noise_has_the_detail_that_its_spectrum_says(shape):
    teacher = white(*shape)
    spectrum = np.fft.fftn(teacher.numpy(), axes=(-2, -1))
    down, across = np.fft.fftfreq(12), np.fft.fftfreq(9)
    above = np.hypot(*np.meshgrid(down, across, indexing="ij")) > 0.25
    student = np.fft.ifftn(np.where(above, 0.5, 1.0) * spectrum, axes=(-2, -1)).real
    power = np.abs(spectrum) ** 2
    high, low = power[..., above].sum(), power[..., ~above].sum() - power[..., 0, 0].sum()
    expected = (0.25 * high / (0.25 * high + low)) / (high / (high + low))
    meters = measure(torch.from_numpy(student), teacher, [0] * 5)
    assert meters.detail_ratio == pytest.approx(expected)


def test_a_still_picture_as_a_video_has_the_detail_of_the_picture():
    student, teacher = latents(1) + 3 * wave(2, 0, 8, 10), latents()
    picture = measure(student, teacher, GROUPS)
    video = measure(*(x[:, :, None].expand(-1, -1, 5, -1, -1) for x in (student, teacher)), GROUPS)
    assert_close(picture, video)


def test_diversity_counts_each_pair_of_seeds_of_one_prompt_once():
    # rows are flat pictures of these values; distance is |difference| times sqrt(16)
    rows = lambda *values: torch.tensor(values).view(-1, 1, 1, 1).expand(-1, 1, 4, 4)
    teacher = rows(0.0, 1.0, 3.0, 100.0, 104.0, 7.0)
    student = rows(0.0, 1.0, 1.0, 0.0, 0.0, 50.0)
    # teacher 1 + 3 + 2 + 4, student 1 + 1 + 0 + 0
    meters = measure(student, teacher, [5, 5, 5, 2, 2, 9])
    assert meters.diversity == pytest.approx(0.2)
    # as flat as they are, they hold no detail
    assert meters.detail_ratio is None


def test_distances_are_euclidean():
    teacher, student = torch.zeros(2, 1, 4, 4), torch.ones(2, 1, 4, 4)
    # 4 at one place is as far as 1 at each of 16
    teacher[1, 0, 2, 3], student[1] = 4.0, 2.0
    assert measure(student, teacher, [0, 0]).diversity == 1.0


def test_equal_seeds_have_a_diversity_of_exactly_0():
    picture = latents()[:3].float()
    student = picture[[0, 0, 1, 1, 1, 2]] + 0.1
    assert measure(student, latents().float(), GROUPS).diversity == 0.0


def test_one_seed_of_each_prompt_has_no_diversity_and_has_not_collapsed():
    meters = measure(latents(1), latents(), range(6))
    assert meters.diversity is None and not has_collapsed(meters)


def test_seeds_that_the_teacher_makes_alike_are_no_measure():
    assert measure(latents(1), latents()[:1].expand(6, -1, -1, -1), GROUPS).diversity is None


def test_order_of_rows_and_numbering_of_prompts_do_not_matter():
    order = torch.tensor([3, 0, 5, 1, 4, 2])
    student, teacher = latents(1) * 1.2, latents()
    groups = torch.tensor(GROUPS)
    there = measure(student[order], teacher[order], 7 - groups[order])
    assert_close(there, measure(student, teacher, GROUPS))


def test_one_scale_and_shift_of_both_do_not_matter():
    student, teacher = latents(1) * 1.2 + 0.4, latents()
    scaled = measure(3 * student - 5, 3 * teacher - 5, GROUPS)
    assert_close(scaled, measure(student, teacher, GROUPS))


def test_a_picture_turned_on_its_side_has_the_same_meters():
    student, teacher = latents(1) + wave(1, 4, 8, 10), latents()
    turned = measure(student.mT, teacher.mT, GROUPS)
    assert_close(turned, measure(student, teacher, GROUPS))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_measured_in_float32(dtype):
    # squares of 300 are beyond float16
    student, teacher = (300 * latents(k).to(dtype) for k in (1, 0))
    meters = measure(student, teacher, GROUPS)
    assert meters == measure(student.float(), teacher.float(), GROUPS)
    close_to = measure(student.double(), teacher.double(), GROUPS)
    assert meters.std_ratio == pytest.approx(close_to.std_ratio, rel=1e-5)
    assert meters.paired_error == pytest.approx(close_to.paired_error, rel=1e-5)


def test_a_student_in_half_precision_meets_a_teacher_in_float32():
    student, teacher = latents(1, torch.float16), latents(0, torch.float32)
    assert measure(student, teacher, GROUPS) == measure(student.float(), teacher, GROUPS)
    assert measure(teacher, student, GROUPS) == measure(teacher, student.float(), GROUPS)


def test_float64_is_measured_in_float64():
    tiny = measure(latents() + 1e-12, latents(), GROUPS).mean_shift
    assert tiny == pytest.approx([1e-12] * 3, rel=0.2)
    # also where the other is in less
    more, less = latents(1) * (1 + 1e-12), latents(0, torch.float32)
    assert measure(more, less, GROUPS) == measure(more, less.double(), GROUPS)
    assert measure(less, more, GROUPS) == measure(less.double(), more, GROUPS)


def test_a_flat_channel_of_the_teacher_is_no_measure_and_nothing_is_divided_by_it():
    teacher = latents(dtype=torch.float32)
    teacher[:, 1] = 0.1
    meters = measure(latents(1, torch.float32), teacher, GROUPS)
    assert meters.mean_shift[1] is None and meters.std_ratio[1] is None
    numbers = [value for value in (*meters.mean_shift, *meters.std_ratio) if value is not None]
    assert len(numbers) == 4
    assert all(map(math.isfinite, [*numbers, *meters[2:]]))


def test_a_flat_student_has_no_detail():
    meters = measure(torch.zeros(6, 3, 8, 10), latents(), GROUPS)
    assert meters.detail_ratio == 0.0


def test_measuring_keeps_nothing_for_a_gradient_and_leaves_its_inputs_alone():
    student, teacher, kept = latents(1).requires_grad_(), latents(), []
    with torch.autograd.graph.saved_tensors_hooks(kept.append, lambda tensor: tensor):
        measure(student, teacher, GROUPS)
    assert kept == []
    assert torch.equal(student, latents(1)) and torch.equal(teacher, latents())


@pytest.mark.parametrize(
    ("student", "teacher"),
    [((2, 3, 8, 8), (2, 3, 8, 9)), ((2, 3, 8), (2, 3, 8)), ((2, 1, 1, 1, 8, 8),) * 2],
)
def test_shapes_that_do_not_fit_are_refused(student, teacher):
    with pytest.raises(ValueError, match=r"latents are \[2, .*one shape \[B, C, h, w\]"):
        measure(white(*student), white(*teacher), [0, 0])


def test_groups_of_another_number_are_refused():
    with pytest.raises(ValueError, match="groups has 5 numbers for 6 latents"):
        measure(latents(), latents(), range(5))


def test_latents_below_4_by_4_are_refused():
    with pytest.raises(ValueError, match="the latents are 3 x 8; 4 x 4 or more is allowed"):
        measure(white(1, 1, 8, 3), white(1, 1, 8, 3), [0])


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_teacher_that_is_no_number_is_refused(value):
    teacher = latents()
    teacher[2, 1, 3, 3] = value
    with pytest.raises(ValueError, match="the teacher's latents are flat or hold NaN"):
        measure(latents(), teacher, GROUPS)


def test_a_teacher_whose_channels_are_all_flat_is_refused():
    teacher = torch.tensor([0.1, 0.2, 0.7]).view(1, 3, 1, 1).expand(6, 3, 8, 10)
    with pytest.raises(ValueError, match="the teacher's latents are flat"):
        measure(latents(), teacher, GROUPS)


@pytest.mark.parametrize("value", [math.nan, -math.inf])
def test_a_student_that_is_no_number_has_diverged(value):
    student = latents()
    student[0, 0, 0, 0] = value
    with pytest.raises(Diverged, match="the student's latents hold NaN or infinity"):
        measure(student, latents(), GROUPS)

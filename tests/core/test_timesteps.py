import numpy as np
import pytest

from fewstep.diffusion.timesteps import from_list, kept, lcm_grid, tail, trailing, turbo

COUNTS = [*range(1, 11), 12, 16, 25, 50]


def test_trailing_keeps_the_last_trained_timestep():
    assert trailing(1) == [999]
    assert trailing(2) == [999, 499]
    assert trailing(4) == [999, 749, 499, 249]
    assert trailing(3) == [999, 666, 332]
    assert trailing(6) == [999, 832, 666, 499, 332, 166]
    assert trailing(7) == [999, 856, 713, 570, 428, 285, 142]
    assert trailing(2, train_steps=100) == [99, 49]


def test_trailing_makes_exactly_the_asked_steps_for_every_count():
    for steps in range(1, 1001):
        grid = trailing(steps)
        assert len(grid) == steps
        assert grid[0] == 999 and grid[-1] >= 0
        assert all(a > b for a, b in zip(grid, grid[1:], strict=False))


def test_lcm_grid_picks_from_the_fifty_distilled_timesteps():
    assert lcm_grid(4) == [999, 759, 499, 259]
    assert lcm_grid(8) == [999, 879, 759, 639, 499, 379, 259, 139]
    assert lcm_grid(50) == list(range(999, 0, -20))
    assert lcm_grid(2, original_steps=100) == [999, 499]
    assert lcm_grid(2, original_steps=25) == [999, 519]


def test_lcm_grid_is_exact_where_a_float_index_is_not():
    # 30 points at 22 steps: index 11 * 30 / 22 is 15, and 14.999999999999998 in binary
    assert lcm_grid(22, denoise=0.6)[11] == 599 - 20 * 15


def test_turbo_takes_the_first_of_ten():
    assert turbo(1) == [999]
    assert turbo(4) == [999, 899, 799, 699]
    assert turbo(10) == [999, 899, 799, 699, 599, 499, 399, 299, 199, 99]


@pytest.mark.parametrize("text", ["999, 749,499 249", "999;749;499;249;", " 999\n749\n499\n249 "])
def test_a_list_is_read_as_written(text):
    assert from_list(text) == [999, 749, 499, 249]


def test_strength_keeps_the_low_noise_tail_of_the_grid():
    assert trailing(4, denoise=0.5) == [499, 249]
    assert trailing(8, denoise=0.25) == [249, 124]
    assert from_list("999, 749, 499, 249", denoise=0.75) == [749, 499, 249]
    assert tail([9, 8, 7], 1.0) == [9, 8, 7]


def test_strength_rounds_to_the_nearest_point_and_half_rounds_up():
    assert [kept(8, d) for d in (0.18, 0.1875, 0.3, 0.5)] == [1, 2, 2, 4]
    assert kept(2, 0.25) == 1
    # 100 * 0.145 is 14.499999999999998 in binary
    assert kept(100, 0.145) == 15


def test_strength_below_one_never_starts_from_pure_noise():
    assert kept(2, 0.75) == 1
    assert kept(4, 0.99) == 3
    for points in range(2, 51):
        for percent in range(1, 100):
            if points * percent >= 50:
                count = kept(points, percent / 100)
                assert 1 <= count < points
                assert abs(count - points * percent / 100) <= 1.0


def test_strength_of_the_lcm_grid_shortens_the_distilled_grid_and_keeps_the_steps():
    assert lcm_grid(4, denoise=0.5) == [499, 379, 259, 139]
    assert lcm_grid(4, denoise=0.7)[0] == 699
    for steps in (2, 4, 8):
        for denoise in (0.25, 0.5, 0.75):
            grid = lcm_grid(steps, denoise=denoise)
            assert len(grid) == steps
            assert set(grid) <= set(range(19, 1000, 20))


def test_strength_of_turbo_starts_lower_in_the_ten_and_keeps_the_steps():
    assert turbo(4, denoise=0.5) == [499, 399, 299, 199]
    assert turbo(2, denoise=0.2) == [199, 99]


def test_strength_means_the_decimal_the_user_typed():
    # 50 * 0.58 is 28.999999999999996 in binary, where LCMScheduler takes 28 points: 559
    assert lcm_grid(4, denoise=0.58)[0] == 579


@pytest.mark.parametrize("steps", COUNTS)
def test_lcm_strength_equals_diffusers(steps):
    scheduling_lcm = pytest.importorskip("diffusers.schedulers.scheduling_lcm")
    scheduler = scheduling_lcm.LCMScheduler()
    for percent in range(1, 101):
        # two places where binary rounding of the reference shows, pinned by tests above
        points = percent // 2
        if percent == 58 or points < steps or (points, steps) in {(30, 22), (30, 26)}:
            continue
        scheduler.set_timesteps(steps, strength=percent / 100)
        assert scheduler.timesteps.tolist() == lcm_grid(steps, denoise=percent / 100)


def test_numpy_integers_are_not_needed_downstream():
    assert all(type(t) is int for t in [*trailing(3), *lcm_grid(3), *turbo(3), *from_list("3")])
    assert not any(isinstance(t, np.integer) for t in lcm_grid(3))


@pytest.mark.parametrize("steps", [0, -1, 1001])
def test_trailing_refuses_steps_outside_the_trained_range(steps):
    with pytest.raises(ValueError, match=f"steps is {steps}; allowed is 1 to 1000"):
        trailing(steps)


@pytest.mark.parametrize("steps", [0, 51])
def test_lcm_grid_refuses_steps_outside_the_distilled_grid(steps):
    with pytest.raises(ValueError, match=f"steps is {steps}; allowed is 1 to 50.*LCM grid"):
        lcm_grid(steps)


@pytest.mark.parametrize("original_steps", [0, 1001])
def test_lcm_grid_refuses_original_steps_outside_the_trained_range(original_steps):
    match = f"original_steps is {original_steps}; allowed is 1 to 1000"
    with pytest.raises(ValueError, match=match):
        lcm_grid(4, original_steps)


@pytest.mark.parametrize("steps", [0, 11])
def test_turbo_refuses_steps_outside_the_ten(steps):
    with pytest.raises(ValueError, match=f"steps is {steps}; allowed is 1 to 10"):
        turbo(steps)


@pytest.mark.parametrize("grid", [trailing, lcm_grid, turbo])
@pytest.mark.parametrize("denoise", [0.0, -0.5, 1.01, float("nan")])
def test_grids_refuse_strength_outside_zero_to_one(grid, denoise):
    with pytest.raises(ValueError, match=f"denoise is {denoise:g}; allowed is above 0 up to 1"):
        grid(4, denoise=denoise)


def test_strength_that_rounds_to_nothing_names_the_smallest_that_works():
    with pytest.raises(ValueError, match="denoise is 0.1, .*smallest that works here is 0.13"):
        trailing(4, denoise=0.1)
    assert len(trailing(4, denoise=0.13)) == 1
    with pytest.raises(ValueError, match="or use 5 or more steps"):
        trailing(4, denoise=0.1)
    assert len(trailing(5, denoise=0.1)) == 1
    with pytest.raises(ValueError, match="smallest that works here is 1. .* 2 or more steps"):
        trailing(1, denoise=0.9)


@pytest.mark.parametrize("points", range(2, 60))
def test_smallest_strength_named_in_the_error_works(points):
    with pytest.raises(ValueError) as error:
        kept(points, 0.001)
    smallest = float(str(error.value).split("smallest that works here is ")[1].split(". ")[0])
    assert kept(points, smallest) >= 1


def test_strength_that_leaves_fewer_points_than_steps_names_what_works():
    match = (
        "leaves 5 of the 50 points of the LCM grid.*denoise to 0.16 or more, or lower steps to 5"
    )
    with pytest.raises(ValueError, match=match):
        lcm_grid(8, denoise=0.1)
    assert len(lcm_grid(8, denoise=0.16)) == 8
    match = "leaves 0 of the 10 points of the turbo grid.*Raise denoise to 0.4 or more.$"
    with pytest.raises(ValueError, match=match):
        turbo(4, denoise=0.05)


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("", "timesteps is empty"),
        (" , ", "timesteps is empty"),
        ("999, 749.5", "timesteps has '749.5', which is not a whole number"),
        ("999, fast", "timesteps has 'fast', which is not a whole number"),
        ("1000, 500", "timesteps has 1000; allowed is 0 to 999"),
        ("999, -1", "timesteps has -1; allowed is 0 to 999"),
        ("499, 749", "timesteps has 749 after 499; each must be smaller"),
        ("999, 499, 499", "timesteps has 499 after 499; each must be smaller"),
    ],
)
def test_a_list_that_is_no_falling_grid_is_refused(text, match):
    with pytest.raises(ValueError, match=match):
        from_list(text)

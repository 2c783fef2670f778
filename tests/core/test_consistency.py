import pytest
import torch
from diffusers import DDIMScheduler

from fewstep.diffusion.sigmas import sigma_table
from fewstep.distill.consistency import Batch, consistency_loss, grid_length, pseudo_huber

ALPHA_BAR = 1 / (1 + torch.tensor(sigma_table(), dtype=torch.float64) ** 2)
GRID = list(range(999, 0, -20))  # what LCMs were distilled at


def batch(points, seed=0):
    generator = torch.Generator().manual_seed(seed)
    shape = (len(points), 2, 3, 3)
    x0, noise = (torch.randn(shape, generator=generator, dtype=torch.float64) for _ in range(2))
    return Batch(x0, noise, torch.tensor(points))


def eps_of_gaussian(mean, std):
    """The exact eps where the data is N(mean, std^2)."""

    def eps(x, timestep):
        alpha_bar = ALPHA_BAR[timestep].view(-1, 1, 1, 1)
        variance = alpha_bar * std**2 + 1 - alpha_bar
        return (1 - alpha_bar).sqrt() * (x - alpha_bar.sqrt() * mean) / variance

    return eps


def eps_of_consistency(mean, std):
    """The eps whose x0 estimate is the end of the exact path from x, for N(mean, std^2)."""

    def eps(x, timestep):
        alpha_bar = ALPHA_BAR[timestep].view(-1, 1, 1, 1)
        deviation = (alpha_bar * std**2 + 1 - alpha_bar).sqrt()
        end = mean + std * (x - alpha_bar.sqrt() * mean) / deviation
        return (x - alpha_bar.sqrt() * end) / (1 - alpha_bar).sqrt()

    return eps


def guided(w, cond=0.8, uncond=-0.3, std=0.5):
    def eps(x, timestep):
        conditional = eps_of_gaussian(cond, std)(x, timestep)
        return conditional + w * (conditional - eps_of_gaussian(uncond, std)(x, timestep))

    return eps


def test_the_grid_has_the_fifty_points_of_the_paper():
    assert grid_length() == 50
    assert grid_length(20) == 20


def test_the_student_that_has_no_loss_is_that_of_the_guided_mean():
    # guiding Gaussians of one width is exactly the Gaussian at cond + w (cond - uncond)
    w, points = 3.0, list(range(40))
    exact = eps_of_consistency(0.8 + w * (0.8 + 0.3), 0.5)
    right = consistency_loss(exact, exact, guided(w), batch(points), ALPHA_BAR)
    for other in (w - 1, w + 1, 0.0):
        wrong = consistency_loss(exact, exact, guided(other), batch(points), ALPHA_BAR)
        # what is left of the right one is the error of a DDIM step of finite length
        assert (wrong > 4 * right).all()


def test_each_point_is_compared_with_its_neighbour_one_skip_nearer_to_clean():
    asked = {}

    def spy(name):
        def network(x, timestep):
            asked[name] = timestep.tolist()
            return torch.zeros_like(x)

        return network

    points = [0, 1, 20, 49]
    consistency_loss(spy("student"), spy("target"), spy("teacher"), batch(points), ALPHA_BAR)
    assert asked["student"] == asked["teacher"] == [GRID[p] for p in points] == [999, 979, 599, 19]
    assert asked["target"] == [979, 959, 579, 0]


def test_the_target_starts_from_the_teachers_ddim_step():
    seen = {}

    def teacher(x, timestep):
        seen["x"] = x
        return torch.sin(3 * x) + timestep.view(-1, 1, 1, 1) / 1000

    def target(x, timestep):
        seen["x_next"] = x
        return torch.zeros_like(x)

    student = lambda x, timestep: torch.zeros_like(x)
    scheduler = DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        clip_sample=False,
        set_alpha_to_one=False,
    )
    scheduler.alphas_cumprod = ALPHA_BAR
    scheduler.final_alpha_cumprod = ALPHA_BAR[0]
    scheduler.set_timesteps(50)
    for point in (0, 7, 33, 48, 49):
        consistency_loss(student, target, teacher, batch([point]), ALPHA_BAR)
        eps = teacher(seen["x"], torch.tensor([GRID[point]]))
        wanted = scheduler.step(eps, GRID[point], seen["x"]).prev_sample
        torch.testing.assert_close(seen["x_next"], wanted, rtol=1e-9, atol=1e-9)


def test_at_the_last_point_the_target_is_its_input():
    # timestep 0 is the boundary, where the consistency function is the identity
    data = batch([49])
    nonsense = lambda x, timestep: torch.full_like(x, 1e3)
    zero = lambda x, timestep: torch.zeros_like(x)
    a = consistency_loss(zero, nonsense, zero, data, ALPHA_BAR)
    b = consistency_loss(zero, zero, zero, data, ALPHA_BAR)
    torch.testing.assert_close(a, b)


def test_only_the_student_is_given_a_gradient():
    weights = {name: torch.ones((), dtype=torch.float64, requires_grad=True) for name in "sgt"}
    networks = [lambda x, t, w=w: w * x for w in weights.values()]
    consistency_loss(*networks, batch([3, 30]), ALPHA_BAR).sum().backward()
    assert weights["s"].grad.abs() > 0
    assert weights["g"].grad is None and weights["t"].grad is None


@pytest.mark.parametrize(("difference", "c", "wanted"), [(0.0, 1.0, 0.0), (3.0, 4.0, 1.0)])
def test_pseudo_huber_by_hand(difference, c, wanted):
    x = torch.full((2, 1, 2), difference, dtype=torch.float64)
    torch.testing.assert_close(pseudo_huber(x, c), torch.full((2,), wanted, dtype=torch.float64))


def test_pseudo_huber_is_absolute_far_from_zero():
    x = torch.tensor([[-7.0, 5.0]], dtype=torch.float64)
    torch.testing.assert_close(
        pseudo_huber(x), torch.tensor([6.0 - 1e-3], dtype=torch.float64), rtol=0, atol=1e-6
    )

"""Whether a small student gets nearer to its teacher within 250 iterations, on a ring of points."""

import copy

import pytest
import torch
from oracles.mixture import ring
from plain_matching import matching_loss
from toy_network import Denoiser

from fewstep.diffusion.process import FLOW
from fewstep.distill.fake_score import fake_score_loss
from fewstep.distill.matching import Draw, level_between
from fewstep.distill.pace import pace, set_learning_rate
from fewstep.distill.trajectory_matching import roll_out, trajectory_matching_loss
from fewstep.samplers.ode import sample_euler

BATCH, ITERATIONS = 512, 250
RING, _ = ring(FLOW.alpha)


def teacher(x, sigma):
    return RING.denoised(x.double(), sigma.double()).float()


@pytest.fixture(scope="module")
def denoiser():
    """A network as good as the teacher at denoising, and as bad as it at few steps."""
    network, generator = Denoiser(FLOW), torch.Generator().manual_seed(0)
    optimizer = torch.optim.Adam(network.parameters())
    for i in range(500):
        set_learning_rate(optimizer, 2e-3 * pace(i, 500, 20))
        sigma = level_between(0.0, 1.0, torch.rand(BATCH, 1, generator=generator), FLOW)
        x = FLOW.mix(RING.draw(BATCH, generator).float(), noise(generator), sigma)
        weight = (1 / sigma**2).clamp(max=20)
        take_step(optimizer, weight * (network(x, sigma) - teacher(x, sigma)).square())
    return network


def noise(generator, count=BATCH):
    return torch.randn(count, 2, generator=generator)


def take_step(optimizer, loss):
    optimizer.zero_grad()
    loss.mean().backward()
    optimizer.step()


def matched(denoiser, anchors, student_loss, judged, rate):
    """The student after 250 iterations, two steps of the fake score to each of its own.

    `judged` says of a segment and its x0 estimates which samples are compared with the teacher's,
    at what level they are, and up to what level they are compared.
    """
    student, fake_score = copy.deepcopy(denoiser), copy.deepcopy(denoiser)
    # DMD2's betas, arXiv:2405.14867: the direction changes as the fake score follows
    optimizer, fake_optimizer = (
        torch.optim.Adam(network.parameters(), betas=(0.0, 0.99))
        for network in (student, fake_score)
    )
    set_learning_rate(fake_optimizer, 1e-3)
    generator = torch.Generator().manual_seed(1)

    def draw(low, high):
        share = torch.rand(BATCH, 1, generator=generator)
        return Draw(noise(generator), level_between(low, high, share, FLOW))

    for i in range(ITERATIONS):
        set_learning_rate(optimizer, rate * pace(i, ITERATIONS, 1))
        number = torch.randint(len(anchors) - 1, (BATCH,), generator=generator)
        segment = roll_out(student, noise(generator), anchors, number, process=FLOW)
        generated = student(segment.x, segment.sigma)
        x, landing, high = judged(segment, generated.detach())
        for _ in range(2):
            fake = draw(landing, high)
            loss = fake_score_loss(fake_score, x, fake, process=FLOW, landing=landing)
            take_step(fake_optimizer, loss)
        take_step(optimizer, student_loss(generated, segment, fake_score, draw(landing, high)))
    return student


@torch.no_grad()
def samples(student, anchors):
    x = noise(torch.Generator().manual_seed(2), 2000)
    return sample_euler(student, x, anchors, process=FLOW)


def energy_distance(x):
    """To the teacher's samples; 0.002 between two draws of as many."""
    y = RING.draw(2000, torch.Generator().manual_seed(3)).float()
    apart = lambda a, b: torch.cdist(a, b).mean().item()
    return 2 * apart(x, y) - apart(x, x) - apart(y, y)


def shares(x):
    """Of the samples, nearest to each of the ring's points."""
    nearest = torch.cdist(x, RING.means.float()).argmin(dim=1)
    return torch.bincount(nearest, minlength=len(RING.means)) / len(x)


def assert_within_ten_points(found):
    assert (found - RING.weights).abs().max() < 0.1


def test_matching_turns_a_denoiser_into_a_one_step_student_that_keeps_the_shares(denoiser):
    anchors = [1.0, 0.0]

    def loss(generated, segment, fake_score, draw):
        return matching_loss(generated, fake_score, teacher, draw, process=FLOW)

    clean = lambda segment, generated: (generated, 0.0, 1.0)
    before, student = samples(denoiser, anchors), matched(denoiser, anchors, loss, clean, 3e-4)
    after = samples(student, anchors)
    assert energy_distance(after) < 0.15 * energy_distance(before)
    assert_within_ten_points(shares(after))


def test_trajectory_matching_brings_a_four_step_student_nearer_and_keeps_the_shares(denoiser):
    anchors = [1.0, 0.75, 0.5, 0.25, 0.0]

    def loss(generated, segment, fake_score, draw):
        return trajectory_matching_loss(generated, segment, fake_score, teacher, draw, process=FLOW)

    inside = lambda segment, generated: (
        segment.landed(generated),
        segment.landing,
        segment.sigma,
    )
    before, student = samples(denoiser, anchors), matched(denoiser, anchors, loss, inside, 1e-4)
    after = samples(student, anchors)
    assert energy_distance(after) < 0.35 * energy_distance(before)
    assert_within_ten_points(shares(after))

import pytest
import torch

from fewstep.samplers.noise import cpu_noise, seeded_noise

X = torch.zeros(3, 4, 8, 8)


def test_noise_is_standard_normal_and_fresh_at_every_call():
    noise = cpu_noise(torch.zeros(4, 50_000), 7)
    first, second = noise(), noise()
    n = first.numel()
    # 5 standard errors at n = 200 000
    for drawn in (first, second):
        assert abs(drawn.mean()) < 5.0 / n**0.5
        assert abs(drawn.std() - 1.0) < 5.0 / (2 * n) ** 0.5
    assert abs((first * second).mean()) < 5.0 / n**0.5
    # pictures of one batch do not share numbers
    assert abs((first[0] * first[1]).mean()) < 5.0 / first[0].numel() ** 0.5


def test_a_seed_repeats_its_noise_and_another_does_not():
    first, again, other = cpu_noise(X, 7), cpu_noise(X, 7), cpu_noise(X, 8)
    for _ in range(3):
        drawn = first()
        assert torch.equal(drawn, again())
        assert not torch.equal(drawn, other())


def test_a_picture_has_the_same_noise_alone_and_in_a_batch():
    batch, alone, first = cpu_noise(X, 7), cpu_noise(X[:1], 7, [2]), cpu_noise(X[:1], 7)
    for _ in range(3):
        drawn = batch()
        assert torch.equal(drawn[2:], alone())
        assert torch.equal(drawn[:1], first())


def test_one_picture_on_the_cpu_draws_what_comfyui_draws():
    noise = cpu_noise(X[:1], 41)
    generator = torch.Generator().manual_seed(41 + 1)
    for _ in range(3):
        assert torch.equal(noise(), torch.randn(1, 4, 8, 8, generator=generator))


def test_pictures_of_seeds_of_their_own_draw_what_comfyui_draws_for_each():
    seeds = [41, 2**64 - 1, 2**64 + 5]
    noise = seeded_noise(X, seeds)
    generators = [torch.Generator().manual_seed(seed) for seed in (41, 2**64 - 1, 5)]
    for _ in range(2):
        alone = [torch.randn(4, 8, 8, generator=generator) for generator in generators]
        assert torch.equal(noise(), torch.stack(alone))


def test_step_noise_is_not_the_initial_noise():
    initial = torch.randn(X.shape, generator=torch.Generator().manual_seed(7))
    drawn = cpu_noise(X, 7)()
    assert all(abs((a * b).mean()) < 0.5 for a, b in zip(initial, drawn, strict=True))


def test_numbers_are_drawn_in_float32_whatever_the_latent_is():
    drawn = cpu_noise(X, 7)()
    assert torch.equal(cpu_noise(X.double(), 7)(), drawn.double())
    assert torch.equal(cpu_noise(X.half(), 7)(), drawn.half())


@pytest.mark.gpu
def test_noise_on_cuda_is_the_noise_on_the_cpu():
    drawn = cpu_noise(X.cuda(), 7)()
    assert drawn.is_cuda
    assert torch.equal(drawn.cpu(), cpu_noise(X, 7)())


def test_the_global_generator_is_left_alone():
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    cpu_noise(X, 7)()
    assert torch.equal(torch.rand(1), expected)


@pytest.mark.parametrize("seed", [0, 2**64 - 1, -1])
def test_every_seed_the_host_can_hold_works(seed):
    assert torch.isfinite(cpu_noise(X, seed)()).all()


def test_indices_that_do_not_match_the_batch_are_refused():
    with pytest.raises(ValueError, match="indices has 2 entries for a batch of 3"):
        cpu_noise(X, 7, [0, 1])

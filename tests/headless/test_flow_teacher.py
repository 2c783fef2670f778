"""The flow teacher: its shape, its loss, its levels, and a training that can be cut off."""

import numpy as np
import pytest
import torch
from flow_files import random_flow_transformer
from safetensors.torch import load_file

from fewstep.demo import precision, train_flow_teacher, weights
from fewstep.demo.architecture import new_flow_transformer
from fewstep.demo.train_flow_teacher import draw_levels, flow_matching_loss, optimizers_of
from fewstep.demo.train_teacher import random_scenes
from fewstep.headless.flow_pipeline import velocity_of

BATCH = 8
LARGEST = 5.0e6  # bytes of the file in float16


@pytest.fixture(autouse=True)
def little_work(monkeypatch):
    monkeypatch.setattr(train_flow_teacher, "BATCH", BATCH)
    monkeypatch.setattr(train_flow_teacher, "WARM_UP", 2)


def drawn(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def texts(captions):
    """States that tell captions apart, from no network."""
    seeds = [sum(map(ord, caption)) for caption in captions]
    states = torch.stack([drawn(32, 128, seed=seed) for seed in seeds])
    return states, states[:, 0]


# --- the network ----------------------------------------------------------------------------------


def test_the_file_has_at_most_five_megabytes():
    with torch.device("meta"):
        transformer = new_flow_transformer()
    assert 2 * sum(parameter.numel() for parameter in transformer.parameters()) <= LARGEST


def test_every_block_of_a_new_one_lets_its_input_through():
    transformer = new_flow_transformer()
    picture, words, vector = drawn(2, 64, 128), drawn(2, 32, 128, seed=1), drawn(2, 128, seed=2)
    places = transformer.pos_embed(torch.zeros(96, 3))
    for block in (*transformer.transformer_blocks, *transformer.single_transformer_blocks):
        words_after, picture_after = block(picture, words, vector, places)
        assert torch.equal(picture_after, picture) and torch.equal(words_after, words)


def test_a_new_one_predicts_nothing():
    x, (states, pooled) = drawn(2, 4, 16, 16), texts(["a", "b"])
    assert not velocity_of(new_flow_transformer(), x, torch.rand(2), states, pooled).any()


# --- the loss -------------------------------------------------------------------------------------


def test_the_loss_of_nothing_predicted_is_the_squared_velocity():
    x0, noise = torch.full((2, 4, 16, 16), 2.0), torch.full((2, 4, 16, 16), -1.0)
    noise[1] = 2.5
    loss = flow_matching_loss(new_flow_transformer(), *texts("ab"), x0, noise, torch.rand(2))
    torch.testing.assert_close(loss, torch.tensor([9.0, 0.25]))


@pytest.fixture
def in_float32(monkeypatch):
    monkeypatch.setattr(precision, "_has_bfloat16", lambda: False)


def test_the_network_sees_the_picture_at_the_level_it_is_told(in_float32):
    transformer = random_flow_transformer()
    x0, noise = drawn(2, 4, 16, 16), drawn(2, 4, 16, 16, seed=1)
    loss = flow_matching_loss(transformer, *texts("ab"), x0, noise, torch.tensor([0.25, 1.0]))
    x = torch.stack([0.75 * x0[0] + 0.25 * noise[0], noise[1]])
    wrong = velocity_of(transformer, x, torch.tensor([0.25, 1.0]), *texts("ab")) - (noise - x0)
    torch.testing.assert_close(loss, (wrong**2).flatten(1).mean(dim=1))


@pytest.mark.parametrize("is_native", [True, False])
def test_bfloat16_is_used_where_the_cpu_has_it_and_nowhere_else(monkeypatch, is_native):
    monkeypatch.setattr(precision, "_has_bfloat16", lambda: is_native)
    with precision.autocast():
        made = torch.ones(2, 2) @ torch.ones(2, 2)
    assert made.dtype == (torch.bfloat16 if is_native else torch.float32)


# --- the levels -----------------------------------------------------------------------------------


def test_each_equal_share_of_the_shifted_levels_is_drawn_once(monkeypatch):
    monkeypatch.setattr(train_flow_teacher, "FLOW_SHIFT", 2.0)
    levels = draw_levels(4, np.random.default_rng(0)).double()
    # the inverse of 2 t / (1 + t)
    even = levels / (2 - levels)
    assert [int(4 * t) for t in even - 1e-9] == [0, 1, 2, 3]
    torch.testing.assert_close(even.diff(), torch.full((3,), 0.25, dtype=torch.float64))


def test_levels_are_spread_over_the_whole_range_and_never_zero():
    rng = np.random.default_rng(0)
    first = torch.stack([draw_levels(1, rng) for _ in range(4000)]).flatten().double()
    even = first / (weights.FLOW_SHIFT - (weights.FLOW_SHIFT - 1) * first)
    assert first.min() > 0 and first.max() <= 1
    # uniform: mean 1/2, variance 1/12; five standard errors
    assert abs(even.mean() - 0.5) < 5 * (1 / 12 / 4000) ** 0.5
    assert even.min() < 0.01 and even.max() > 0.99


# --- the optimizers -------------------------------------------------------------------------------


def test_every_parameter_has_one_optimizer_and_what_is_no_matrix_of_a_block_adamw():
    transformer = new_flow_transformer()
    of = {
        id(parameter): name
        for name, optimizer in optimizers_of(transformer).items()
        for group in optimizer.param_groups
        for parameter in group["params"]
    }
    names = {name: of.pop(id(parameter)) for name, parameter in transformer.named_parameters()}
    assert not of
    for name, optimizer in names.items():
        is_matrix = "transformer_blocks" in name and transformer.get_parameter(name).ndim == 2
        assert optimizer == ("muon" if is_matrix else "adamw"), name


# --- the training ---------------------------------------------------------------------------------


@pytest.fixture
def scenes():
    return random_scenes(np.random.default_rng(0), 16)


def train(scenes, checkpoint, iterations, say=lambda line: None, **more):
    torch.manual_seed(0)
    transformer = new_flow_transformer()
    average = train_flow_teacher.train_flow_teacher(
        transformer,
        more.get("encode", texts),
        more.get("latents", drawn(16, 4, 16, 16)),
        scenes,
        iterations=iterations,
        seed=3,
        checkpoint=checkpoint,
        say=say,
    )
    return transformer, average


class CutOff(Exception):
    """Ends a training from within, as a power cut would."""


def test_a_training_that_was_cut_off_ends_as_one_that_was_not(scenes, tmp_path, monkeypatch):
    whole = [network.state_dict() for network in train(scenes, tmp_path / "none", 6)]
    monkeypatch.setattr(train_flow_teacher, "CHECKPOINT_SECONDS", 0)
    calls = []

    def texts_until_cut_off(captions):
        calls.append(captions)
        if len(calls) == 4:
            raise CutOff
        return texts(captions)

    with pytest.raises(CutOff):
        train(scenes, tmp_path / "checkpoint", 6, encode=texts_until_cut_off)
    again = train(scenes, tmp_path / "checkpoint", 6, encode=texts_until_cut_off)
    # three iterations, the one that was cut off, and the three that were left
    assert len(calls) == 7
    for network, expected in zip(again, whole, strict=True):
        state = network.state_dict()
        assert all(torch.equal(state[key], expected[key]) for key in expected)


def test_the_checkpoint_holds_the_average_that_can_be_judged(scenes, tmp_path, monkeypatch):
    monkeypatch.setattr(train_flow_teacher, "CHECKPOINT_SECONDS", 0)
    path = tmp_path / "checkpoint"
    transformer, average = train(scenes, path, 3)
    saved = load_file(path)
    for key, value in average.state_dict().items():
        assert torch.equal(saved[f"average.{key}"], value)
    assert not torch.equal(transformer.proj_out.weight, average.proj_out.weight)


def test_no_checkpoint_is_written_before_its_time(scenes, tmp_path):
    train(scenes, tmp_path / "checkpoint", 1)
    assert list(tmp_path.iterdir()) == []


def test_a_tenth_of_the_captions_is_empty(scenes, tmp_path, monkeypatch):
    monkeypatch.setattr(train_flow_teacher, "BATCH", 1000)
    seen = []

    def stop(captions):
        seen.extend(captions)
        raise CutOff

    with pytest.raises(CutOff):
        train(scenes, tmp_path / "none", 1, encode=stop)
    # five standard errors of a share of 0.1 among 1000
    assert abs(seen.count("") - 100) < 5 * (1000 * 0.1 * 0.9) ** 0.5


def test_every_iteration_draws_noise_of_its_own_and_equal_seeds_draw_the_same(
    scenes, tmp_path, monkeypatch
):
    drawn_noise = []

    def remember(transformer, states, pooled, x0, noise, sigma):
        drawn_noise.append(noise)
        return flow_matching_loss(transformer, states, pooled, x0, noise, sigma)

    monkeypatch.setattr(train_flow_teacher, "flow_matching_loss", remember)
    for _ in range(2):
        train(scenes, tmp_path / "none", 2)
    first, second, *again = drawn_noise
    assert (first - second).abs().mean() > 1.0
    assert torch.equal(again[0], first) and torch.equal(again[1], second)


def test_a_picture_that_never_changes_is_learnt(scenes, tmp_path, in_float32):
    x0 = torch.ones(16, 4, 8, 8)
    _, average = train(scenes, tmp_path / "none", 60, latents=x0)
    noise, half = drawn(*x0.shape, seed=9), torch.full((16,), 0.5)
    with torch.no_grad():
        loss = flow_matching_loss(average, *texts([""] * 16), x0, noise, half).mean()
    # nothing predicted leaves the whole of noise - 1, whose square is 2 on average
    assert loss < 0.5

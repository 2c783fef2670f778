"""Sizes are those of the tensors that a run really has."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fewstep.distill.lora import Lora, shape_of
from fewstep.distill.optimizer import OPTIMIZERS, new_optimizer
from fewstep.distill.sizes import (
    OPTIMIZER_BYTES,
    fixed_and_per_sample,
    lora_bytes,
    trajectory_bytes,
)
from fewstep.distill.trajectories import Request

quick = settings(derandomize=True, deadline=None, max_examples=200)
LAYERS = {"a": torch.nn.Linear(5, 7), "b": torch.nn.Conv2d(3, 4, 3)}
SHAPES = [shape_of(layer, path) for path, layer in LAYERS.items()]


def test_trajectories_of_sdxl_by_hand():
    # 4 x 128 x 128 in float16 is 131,072 bytes; 4 steps have 5 states and 4 predictions
    assert trajectory_bytes(500, 1, 4, (4, 128, 128), 2) == 500 * 9 * 131_072
    assert trajectory_bytes(500, 3, 0, (4, 128, 128), 4) == 1500 * 262_144


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_trajectories_are_as_large_as_their_request_says(dtype):
    sigmas = (14.6, 5.0, 1.0, 0.0)
    request = Request("", "VE", sigmas, 2.0, (4, 6, 5), (0, 0, 1, 1, 2, 2), (0, 1) * 3, dtype)
    bytes_per_number = {"float16": 2, "float32": 4}[dtype]
    assert trajectory_bytes(3, 2, 3, (4, 6, 5), bytes_per_number) == request.bytes_on_disk()


def test_a_lora_of_one_layer_by_hand():
    # 8 x (320 + 640) = 7,680 numbers of 4 + 4 + 8 bytes, or 4 + 4 + 2, and 4 for each copy
    shape = [(320, 640)]
    assert lora_bytes(shape, 8, "adamw", copies=0) == 7_680 * 16
    assert lora_bytes(shape, 8, "adamw 8-bit", copies=0) == 7_680 * 10
    assert lora_bytes(shape, 8, "adamw", copies=2) == 7_680 * 24


def test_the_lcm_lora_of_sdxl_takes_what_is_known_of_it():
    # 197 million numbers: 2.0 GB with 8-bit AdamW, 3.2 GB with that of 32 bits
    shapes = [(1_539_062, 1_539_063)]
    assert lora_bytes(shapes, 64, "adamw 8-bit", copies=0) == pytest.approx(2.0e9, rel=0.02)
    assert lora_bytes(shapes, 64, "adamw", copies=0) == pytest.approx(3.2e9, rel=0.02)


def test_weights_gradients_and_moments_are_as_large_as_torchs():
    lora = Lora(LAYERS, rank=2, lora_alpha=2.0, generator=torch.Generator())
    optimizer = new_optimizer("adamw", lora.parameters(), 1e-3)
    sum(p.sum() for p in lora.parameters()).backward()
    optimizer.step()
    states = optimizer.state.values()
    tensors = [
        *lora.parameters(),
        *(p.grad for p in lora.parameters()),
        *(state[moment] for state in states for moment in ("exp_avg", "exp_avg_sq")),
    ]
    held = sum(tensor.numel() * tensor.element_size() for tensor in tensors)
    assert lora_bytes(SHAPES, 2, "adamw", copies=0) == held


def test_every_optimizer_has_its_bytes():
    assert set(OPTIMIZER_BYTES) == set(OPTIMIZERS)


def test_an_unknown_optimizer_is_refused():
    with pytest.raises(ValueError, match="optimizer is 'sgd'; allowed is one of adamw, adamw 8"):
        lora_bytes(SHAPES, 4, "sgd", copies=1)


def test_two_trials_are_split_by_hand():
    # 2 samples more took 3,000 bytes more
    assert fixed_and_per_sample((1, 10_000), (3, 13_000)) == (8_500, 1_500)


@quick
@given(
    samples=st.integers(1, 8),
    more=st.integers(1, 8),
    peak=st.integers(0, 10**12),
    grown=st.integers(0, 10**12),
)
def test_the_split_promises_no_less_than_was_measured(samples, more, peak, grown):
    fixed, per_sample = fixed_and_per_sample((samples, peak), (samples + more, peak + grown))
    assert fixed + samples * per_sample == peak
    assert 0 <= fixed + (samples + more) * per_sample - (peak + grown) < more


@pytest.mark.parametrize(("small", "large"), [((2, 5), (2, 9)), ((2, 5), (1, 6)), ((1, 5), (2, 4))])
def test_trials_that_tell_nothing_are_refused(small, large):
    with pytest.raises(ValueError, match=f"trials of {small[0]} and {large[0]} .*Measure again"):
        fixed_and_per_sample(small, large)

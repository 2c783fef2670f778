"""The embedded guidance is what diffusers and refiners tell a full LCM UNet."""

import math

import numpy as np
import pytest
import torch
from diffusers import LatentConsistencyModelPipeline

from fewstep.guidance.embedded import guidance_embedding

GUIDANCE = (1.0, 1.001, 1.3, 2.0, 3.0, 7.5, 8.0, 8.5, 14.0, 15.0)


@pytest.mark.parametrize("width", [256, 512, 64])
def test_diffusers_tells_the_same(width):
    # the pipeline subtracts 1 before this call, and the call multiplies by 1000
    embed = LatentConsistencyModelPipeline.get_guidance_scale_embedding
    for guidance in GUIDANCE:
        theirs = embed(None, torch.tensor(guidance - 1).repeat(1), embedding_dim=width)
        torch.testing.assert_close(guidance_embedding(guidance, width), theirs, rtol=0, atol=1e-6)


def refiners(guidance, dtype):
    """finegrain-ai/refiners, stable_diffusion_xl/lcm.py, as a formula: [sin, cos]."""
    exponent = dtype(-math.log(10000)) * np.arange(128, dtype=dtype) / dtype(127)
    angle = dtype((guidance - 1) * 1000) * np.exp(exponent)
    return torch.from_numpy(np.concatenate([np.sin(angle), np.cos(angle)])), angle


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_refiners_tells_the_same_as_far_as_its_angles_are_the_same(dtype):
    for guidance in GUIDANCE:
        theirs, angle = refiners(guidance, dtype)
        # float32 rounds an exponent of up to 9.2 twice by 6e-8 of itself, in either order, and the
        # angles part by as much. Where they are below 0.4, that leaves 1e-6
        allowed = torch.from_numpy(2.5e-6 * angle).clamp(min=1e-6).repeat(2)
        difference = (guidance_embedding(guidance)[0] - theirs).abs()
        assert torch.all(difference <= allowed), guidance

"""Guidance that is reused, and prompts that give way to others in the middle of a run."""

import importlib

import pytest
import torch
from host.cache_fixtures import KINDS, POLICIES, cache, cached, either, flux, nets, unet

from fewstep.cache.policy import FIXED, Policy
from fewstep.guidance.reuse import weighted

__all__ = ["cache", "either", "flux", "nets", "unet"]


@pytest.mark.parametrize("cfg", [2.0, 7.5])
def test_a_second_pass_left_out_is_the_kept_difference(cache, nets, either, cfg):
    model, reports = cached(
        cache, either, Policy(FIXED, 0.0, 0), guidance_interval=2, start_percent=0.0
    )
    prompts = either.positive, either.negative
    cond = nets.asked(either, either.model, 1, cfg=1.0)[0]
    uncond = nets.asked(either, either.model, 1, cfg=1.0, conditions=prompts[::-1])[0]
    answers = nets.asked(either, model, 3, cfg=cfg)
    levels = either.model.get_model_object("model_sampling")
    sigma = nets.levels(either.model)[4]
    difference = weighted((uncond - cond) / sigma, bool(sigma > levels.percent_to_sigma(0.5)))
    guessed = cond + sigma * difference
    for answer, other in zip(answers, (uncond, guessed, uncond), strict=True):
        expected = other + cfg * (cond - other)
        torch.testing.assert_close(answer, expected, rtol=1e-4, atol=1e-4)
    assert reports[0].guidance == (2, 1)


def test_at_cfg_1_there_is_no_guidance_to_reuse(cache, nets, unet):
    model, reports = cached(
        cache, unet, Policy(FIXED, 0.0, 0), guidance_interval=3, start_percent=0.0
    )
    assert torch.equal(nets.sampled(unet, model, cfg=1.0), nets.sampled(unet, unet.model, cfg=1.0))
    assert reports[0].guidance == (0, 0)


def test_outside_its_part_of_the_run_guidance_is_computed(cache, nets, unet):
    model, reports = cached(
        cache, unet, Policy(FIXED, 0.0, 0), guidance_interval=12, start_percent=0.5
    )
    nets.sampled(unet, model)
    computed, reused = reports[0].guidance
    assert (computed, reused) == (6, 6)


def in_turns(first, second):
    """A prompt that gives way to another in the middle of a run."""
    ranged = importlib.import_module("nodes").ConditioningSetTimestepRange().set_range
    return ranged(first, 0.0, 0.5)[0] + ranged(second, 0.5, 1.0)[0]


@pytest.fixture(scope="module")
def changing(flux):
    """Prompts of which the positive one gives way to a longer one."""
    words = importlib.import_module("host.tiny_dits").words(5, 12)
    return flux._replace(positive=in_turns(flux.positive, words))


@pytest.mark.parametrize("policy", POLICIES, ids=KINDS)
def test_a_prompt_may_give_way_to_a_longer_one(cache, nets, changing, policy):
    model, reports = cached(cache, changing, policy, 1, start_percent=0.0)
    made, plain = (nets.sampled(changing, each) for each in (model, changing.model))
    assert 0 < (made - plain).abs().max() < 0.5 * plain.abs().max()
    assert reports[0].tally.reused > 0


def test_what_a_prompt_gave_is_not_used_for_the_next(cache, nets, changing):
    model, reports = cached(cache, changing, Policy(FIXED, 0.0, 99), start_percent=0.0)
    nets.sampled(changing, model)
    # both in the first step, and the longer prompt in its first one; in one step three hold
    assert reports[0].tally[:2] == (3, 22)


def test_guidance_of_one_prompt_is_not_used_for_the_next(cache, nets, unet):
    words = importlib.import_module("host.tiny_dits").words(5, 7)
    net = unet._replace(positive=in_turns(unet.positive, words))
    model, reports = cached(
        cache, net, Policy(FIXED, 0.0, 0), guidance_interval=99, start_percent=0.0
    )
    nets.sampled(net, model)
    # the first step, and the first one of the second prompt
    assert reports[0].guidance == (2, 10)

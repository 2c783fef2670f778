"""From where to where a slider goes, for numbers of nodes' schemas."""

import pytest

ASK = """async ({ url, name, given }) => (await import(url))[name](...given)"""
# as the frontend has them for INT and FLOAT inputs
STEPS = {"min": 1, "max": 10000, "step": 10, "step2": 1, "precision": 0}
WIDTH = {"min": 16, "max": 16384, "step": 80, "step2": 8, "precision": 0}
CFG = {"min": 0, "max": 100, "step": 1, "step2": 0.1, "precision": 1, "round": 0.01}
DENOISE = {"min": 0, "max": 1, "step": 0.1, "step2": 0.01, "precision": 2}
STRENGTH = {"min": -100, "max": 100, "step": 0.1, "step2": 0.01}
SEED = {"min": 0, "max": 2**64, "step": 10, "step2": 1, "precision": 0}
# a frontend without step2
OLDER = {"min": 0, "max": 1, "step": 0.5, "precision": 2}


@pytest.fixture
def ask(page, server):
    page.goto(f"{server.url}/fewstep/pairs")
    url = f"{server.url}/extensions/fewstep/live/ranges.js"
    return lambda name, *given: page.evaluate(ASK, {"url": url, "name": name, "given": given})


def test_a_narrow_range_is_the_schemas_and_a_wide_one_is_about_the_value(ask):
    assert ask("rangeOf", 0.3, DENOISE) == [0, 1]
    assert ask("rangeOf", 4, STEPS) == [1, 14]
    assert ask("rangeOf", 100, STEPS) == [1, 200]
    assert ask("rangeOf", 512, WIDTH) == [16, 1024]
    assert ask("rangeOf", 7, CFG) == [0, 14]
    assert ask("rangeOf", 0, STRENGTH) == [0, 0.1]
    assert ask("rangeOf", -1, STRENGTH) == [-2, 0]
    # never beyond what the schema allows
    assert ask("rangeOf", 9000, STEPS) == [1, 10000]
    # a seed has neighbours, no size
    assert ask("rangeOf", 1000, SEED, True) == [950, 1050]
    assert ask("rangeOf", 7, SEED, True) == [0, 57]


def test_a_value_lands_on_the_schemas_steps_within_its_limits(ask):
    assert ask("snapped", 517, WIDTH) == 520 and ask("snapped", 3, WIDTH) == 16
    assert ask("snapped", 1.26, CFG) == 1.3 and ask("snapped", 0.1 + 0.2, DENOISE) == 0.3
    assert ask("snapped", 20_000, STEPS) == 10_000
    assert ask("stepOf", WIDTH) == 8 and ask("stepOf", OLDER) == 0.05
    # steps count from the lower limit
    odd = {"min": 1, "max": 9, "step2": 2}
    assert [ask("snapped", value, odd) for value in (4.2, 3.9, 9)] == [5, 3, 9]
    seeds = {ask("newSeed", SEED) for _ in range(5)}
    assert len(seeds) == 5 and all(seed == int(seed) and 0 <= seed < 2**32 for seed in seeds)

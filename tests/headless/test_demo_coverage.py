"""The shipped LCM-LoRA covers the demo UNet in every dialect, and says so when it does not."""

import pytest
from diffusers import UNet2DConditionModel
from header_files import infos
from safetensors.torch import load_file

from fewstep.demo import weights
from fewstep.lora.convert import convert
from fewstep.lora.coverage import coverage
from fewstep.lora.dialects import DIALECTS
from fewstep.lora.header import read_header
from fewstep.recipes.identify import identify

LAYERS = 79


@pytest.fixture(scope="module")
def targets():
    network = UNet2DConditionModel.from_config(weights.read_config("unet"))
    modules = network.named_modules()
    shapes = {path: tuple(m.weight.shape) for path, m in modules if hasattr(m, "weight")}
    return {"unet": {path: shape for path, shape in shapes.items() if len(shape) > 1}}


def test_the_file_as_shipped_is_whole(targets):
    found = coverage(read_header(weights.LCM_LORA).tensors, targets)
    assert found.verdict == "whole"
    assert len(found.layers) == LAYERS
    assert {layer.rank for layer in found.layers} == {32}


@pytest.mark.parametrize("dialect", DIALECTS)
def test_it_is_whole_in_every_dialect(targets, dialect):
    written, _ = convert(load_file(weights.LCM_LORA), dialect, targets)
    found = coverage(infos(written), targets)
    assert (found.verdict, len(found.layers)) == ("whole", LAYERS)


def test_a_file_for_another_network_is_told_as_such(targets):
    wider = {path: tuple(2 * size for size in shape) for path, shape in targets["unet"].items()}
    found = coverage(read_header(weights.LCM_LORA).tensors, {"unet": wider})
    assert found.verdict == "other network"


def test_what_was_taken_away_is_named(targets):
    tensors = dict(read_header(weights.LCM_LORA).tensors)
    renamed = {key.replace("attn2_to_q", "attn2_to_query"): tensors[key] for key in tensors}
    found = coverage(renamed, targets)
    assert found.verdict == "partial"
    assert "name no module" in found.reasons[1] and "to_query" in found.reasons[1]


def test_the_shipped_lora_says_for_certain_what_it_is():
    found = identify(weights.LCM_LORA)
    assert (found.confidence, found.base, found.kind) == ("certain", "fewstep-demo", "lora")
    assert (found.recipe.sampler.name, found.recipe.schedule.spacing) == ("lcm", "lcm")
    steps = found.recipe.steps
    assert (steps.default, steps.low, steps.high) == (4, 1, 8)

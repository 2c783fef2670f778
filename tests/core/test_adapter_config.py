"""PEFT's settings are read from metadata and written so that they are read back."""

import json
import math

import pytest

from fewstep.lora.adapter_config import (
    ADAPTER_METADATA,
    adapter_config,
    adapter_configs,
    adapter_metadata,
    configured_alpha,
)


def entry(**fields):
    return {ADAPTER_METADATA: json.dumps(fields)}


def test_settings_are_read_by_component():
    fields = {"unet.r": 4, "text_encoder.r": 2, "text_encoder_2.r": 1, "transformer.r": 8, "r": 3}
    ranks = {component: c["r"] for component, c in adapter_configs(entry(**fields)).items()}
    assert ranks == {"unet": 4, "te": 2, "te2": 1, "transformer": 8, "": 3}
    assert adapter_configs({}) == adapter_configs({"format": "pt"}) == {}


def test_written_settings_are_read_back():
    config = adapter_config({"a.b": 4, "a_b": 2, "c": 4}, {"a.b": 8, "a_b": 8, "c": 0.5})
    assert (config["r"], config["lora_alpha"]) == (4, 8)
    for dialect in ("diffusers", "old diffusers"):
        configs = {"unet": config, "te": config}
        assert adapter_configs(adapter_metadata(configs, dialect)) == configs
    configs = {"": config, "te": config}
    assert adapter_configs(adapter_metadata(configs, "peft")) == configs
    assert adapter_metadata({}, "peft") == {}


def test_written_settings_fit_their_own_module_alone():
    alphas = {"conv": 1, "a.conv": 8, "b": 8, "a.b": 2, "a_b": 8, "c": 8}
    config = adapter_config(dict.fromkeys(alphas, 4), alphas)
    assert {path: configured_alpha(config, path, 4) for path in alphas} == alphas


def test_a_pattern_fits_the_end_of_a_path_and_the_first_that_fits_counts():
    config = {"lora_alpha": 1, "alpha_pattern": {"conv1": 2, r"up\..*\.to_[qk]": 3, "a.conv1": 4}}
    assert configured_alpha(config, "a.conv1", 4) == 2
    assert configured_alpha(config, "up.0.to_k", 4) == 3
    assert configured_alpha(config, "up.0.to_v", 4) == 1
    assert configured_alpha(config, "xconv1", 4) == 1
    assert configured_alpha(config, "conv1.x", 4) == 1
    assert configured_alpha({"alpha_pattern": {"^conv1": 2}}, "a.conv1", 4) is None


def test_rank_stabilisation_divides_by_the_root_of_the_rank():
    config = {"lora_alpha": 6, "use_rslora": True}
    assert configured_alpha(config, "a", 9) / 9 == pytest.approx(6 / math.sqrt(9))


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("{", "is no JSON: Expecting"),
        ("[" * 100_000, "is no JSON"),
        ("[1]", r"is '\[1\]'; allowed is a JSON"),
    ],
)
def test_metadata_that_is_no_json_object_is_refused(text, match):
    with pytest.raises(ValueError, match=match):
        adapter_configs({ADAPTER_METADATA: text})


@pytest.mark.parametrize("alpha", ["8", math.nan, math.inf, [1], True, 10**400])
def test_an_alpha_that_is_no_finite_number_is_refused(alpha):
    with pytest.raises(ValueError, match="says lora_alpha .* for 'a'; allowed is a finite number"):
        configured_alpha({"lora_alpha": alpha}, "a", 4)


@pytest.mark.parametrize("patterns", [{"(": 1}, [1], 3, {"a{99999999999999999999}": 1}])
def test_a_broken_pattern_is_refused(patterns):
    with pytest.raises(ValueError, match="has a broken alpha_pattern: .* Remove the entry"):
        configured_alpha({"lora_alpha": 1, "alpha_pattern": patterns}, "a", 4)


@pytest.mark.parametrize("pattern", ["(a+)+b", "(a|aa)*b", ".*.*.*b", "(?:x{1,9}){9}", "a" * 600])
def test_a_pattern_that_could_take_hours_is_refused_unread(pattern):
    with pytest.raises(ValueError, match="alpha_pattern.*too complex"):
        configured_alpha({"lora_alpha": 1, "alpha_pattern": {pattern: 1}}, "a" * 200, 4)

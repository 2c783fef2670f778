"""What a page is told of verdicts, of a file and of a LoRA's coverage is plain data, and true."""

import json

import pytest
from core.test_coverage import TARGETS, WHOLE, pair

from fewstep.lora.coverage import coverage
from fewstep.recipes.facts import of_file, of_verdicts
from fewstep.recipes.identify import Identification
from fewstep.recipes.pieces import Verdict
from fewstep.recipes.read import read_all

RECIPE = read_all()[0]["lcm-lora-sd15"]
FITTING = Verdict("cfg", "fits", "1", "1 (1 to 2)", "", "")
OPEN = Verdict("sampler", "cannot know", "not known", "lcm", "", "")
WRONG = Verdict("steps", "does not fit", "50", "4 (2 to 8)", "burnt pictures", "4 steps")


def file(confidence, recipe=RECIPE):
    return Identification(recipe, "sd15", "lora", confidence, ("By its name.",), ("Unverified.",))


@pytest.mark.parametrize(
    ("verdicts", "whole"),
    [
        ([FITTING], "fits"),
        ([FITTING, OPEN], "unsure"),
        ([OPEN, FITTING, WRONG], "does not fit"),
        # who has looked at nothing knows nothing
        ([], "unsure"),
    ],
)
def test_the_worst_verdict_is_that_on_the_whole(verdicts, whole):
    assert of_verdicts(verdicts)["verdict"] == whole


def test_each_verdict_is_told_in_full_and_what_does_not_fit_first():
    told = of_verdicts([FITTING, OPEN, WRONG])["verdicts"]
    assert [one["subject"] for one in told] == ["steps", "sampler", "cfg"]
    assert told[0] == {
        "subject": "steps",
        "verdict": "does not fit",
        "found": "50",
        "needed": "4 (2 to 8)",
        "symptom": "burnt pictures",
        "fix": "4 steps",
    }


@pytest.mark.parametrize(
    ("confidence", "recipe", "whole"),
    [
        ("certain", RECIPE, "fits"),
        ("likely", RECIPE, "fits"),
        ("unsure", RECIPE, "unsure"),
        ("none", None, "unsure"),
    ],
)
def test_a_file_fits_where_it_tells_what_it_is(confidence, recipe, whole):
    told = of_file(file(confidence, recipe), "a.safetensors")
    assert told["verdict"] == whole
    (known,) = told["verdicts"]
    assert ("Recipe (FewStep)" in known["fix"]) == (whole == "unsure")


def test_a_file_that_is_known_does_not_fit_where_another_verdict_says_so():
    assert of_file(file("certain"), "a.safetensors", [WRONG])["verdict"] == "does not fit"


def test_what_is_told_of_a_file_names_it_and_says_why():
    told = of_file(file("likely"), "<b>a</b>.safetensors")["identification"]
    assert told["file"] == "<b>a</b>.safetensors"
    assert (told["title"], told["recipe"]) == ("LCM-LoRA SD 1.5", "lcm-lora-sd15")
    assert (told["confidence"], told["reasons"]) == ("likely", ["By its name."])
    assert told["warnings"] == ["Unverified."]


def test_coverage_is_told_in_all_and_by_block():
    tensors = WHOLE | pair("lora_unet_mid_block_norm", 8, 8)
    told = coverage(tensors, TARGETS).as_json()
    assert (told["verdict"], told["layers"], told["matched"]) == ("partial", 6, 5)
    assert told["blocks"]["down_blocks.0"] == {"matched": 3}
    unmatched = [block for block, counts in told["blocks"].items() if "unmatched" in counts]
    assert len(unmatched) == 1
    assert "5 of the 6 layers" in told["reasons"][0]


def test_all_of_it_goes_through_json_unchanged():
    told = of_file(file("likely"), "a.safetensors", [OPEN])
    told["coverage"] = coverage(WHOLE, TARGETS).as_json()
    assert json.loads(json.dumps(told)) == told

import json

import pytest

from fewstep.recipes.own import KEY, describe, read_own
from fewstep.recipes.students import student_recipe


def again(recipe):
    """As a loader reads it from a file."""
    return read_own({KEY: json.dumps(describe(recipe))})


@pytest.mark.parametrize(
    ("given", "sampler", "eta", "spacing"),
    [
        ({}, "euler", None, "trailing"),
        ({"sampler": "lcm", "on_lcm_grid": True}, "lcm", None, "lcm"),
        ({"sampler": "lcm"}, "lcm", None, "trailing"),
        ({"sampler": "tcd", "on_lcm_grid": True}, "tcd", 0.3, "lcm"),
    ],
)
def test_a_students_recipe_reads_back_as_it_was_written(given, sampler, eta, spacing):
    made = student_recipe("mine", "fewstep", "sd15", "eps", steps=4, counts=(1, 2, 4, 8), **given)
    read = again(made)
    assert read.sampler == made.sampler == (sampler, eta) and read.schedule.spacing == spacing
    assert read.steps == made.steps == (4, (1, 2, 4, 8), 1, 8)
    assert read.guidance == ("cfg", 1.0, 1.0, 1.0) and read.is_distilled
    assert read.start == "unit variance" and not read.negative_works


def test_a_student_that_is_told_its_guidance_says_so():
    made = student_recipe(
        "mine", "guidance", "sd15", "eps", steps=24, counts=(10, 24), told=(1.0, 7.0)
    )
    assert again(made).guidance == ("embedded", 4.0, 1.0, 7.0)


def test_a_flow_students_shift_is_kept():
    made = student_recipe("mine", "fewstep", "flux", "flow", steps=4, counts=(4,), shift=1.15)
    assert again(made).shift == 1.15 and again(made).prediction == "flow"

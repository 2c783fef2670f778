"""A recipe changes its step count only where the model was made for another one."""

import dataclasses

import pytest
from undistilled import BASES

from fewstep.recipes.read import read_all
from fewstep.recipes.recipe import Guidance, Schedule, Steps

RECIPES = read_all()[0]
LCM = RECIPES["lcm-lora-sd15"]
LIGHTNING = RECIPES["sdxl-lightning-4step-lora"]


def with_list(**levels):
    return dataclasses.replace(
        LCM, title="Mine", steps=Steps(2, (2,), 1, 4), schedule=Schedule(**levels)
    )


def test_0_keeps_the_recipes_own_steps():
    assert LCM.with_steps(0) is LCM


@pytest.mark.parametrize(
    ("recipe", "steps"),
    [(LCM, 2), (LCM, 8), (LIGHTNING, 4), (RECIPES["hyper-sdxl-unified"], 8)],
)
def test_an_allowed_count_changes_the_default_alone(recipe, steps):
    changed = recipe.with_steps(steps)
    assert changed.steps == recipe.steps._replace(default=steps)
    assert dataclasses.replace(changed, steps=recipe.steps) == recipe


@pytest.mark.parametrize(
    ("recipe", "steps", "message"),
    [
        (LCM, 9, "steps is 9; LCM-LoRA SD 1.5 allows 2 to 8. Take the file made for 9 steps, or"),
        (LCM, 1, "steps is 1; .* allows 2 to 8. Take the file made for 1 step, or"),
        (LCM, -1, "steps is -1; .* allows 2 to 8"),
        (LIGHTNING, 8, r"steps is 8; .* allows 4\. .*FewStep Sigmas for an experiment"),
    ],
)
def test_a_count_that_the_model_was_not_made_for_is_refused(recipe, steps, message):
    with pytest.raises(ValueError, match=message):
        recipe.with_steps(steps)


@pytest.mark.parametrize("levels", [{"timesteps": (999, 499)}, {"sigmas": (1.0, 0.5, 0.0)}])
def test_a_fixed_list_is_for_its_own_count(levels):
    recipe = with_list(**levels)
    assert recipe.with_steps(2).steps.default == 2
    with pytest.raises(ValueError, match="steps is 3; the noise levels of Mine are a list for 2"):
        recipe.with_steps(3)


def test_a_lora_is_distilled_whatever_its_steps():
    slow = dataclasses.replace(
        LIGHTNING, steps=Steps(30, (30,), 30, 30), guidance=Guidance("cfg", 5.0, 5.0, 5.0)
    )
    assert slow.is_distilled and not dataclasses.replace(slow, kind="unet").is_distilled


def test_the_undistilled_models_are_those_that_stand_beside_a_distilled_twin():
    assert {recipe.id for recipe in RECIPES.values() if not recipe.is_distilled} == BASES

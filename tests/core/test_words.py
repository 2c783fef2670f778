"""A recipe is put into the words that people set in their graphs."""

import dataclasses

from fewstep.recipes.read import read_all
from fewstep.recipes.recipe import Bad
from fewstep.recipes.words import cautions, schedule, settings, span

RECIPES = read_all()[0]


def test_a_range_is_left_away_where_only_the_default_is_allowed():
    assert (span(4, 4, 4), span(1.5, 1.0, 2.0)) == ("4", "1.5 (1 to 2)")
    assert (span(1, 1, 2), span(2, 1, 2)) == ("1 (1 to 2)", "2 (1 to 2)")


def test_each_kind_of_schedule_has_its_words():
    said = [
        schedule(RECIPES[name])
        for name in ("lcm-lora-sd15", "dmd2-sdxl-4step-lora", "sana-sprint", "flux2-klein-4b")
    ]
    assert said == [
        "lcm",
        "timesteps 999, 749, 499, 249",
        "sigmas 1, 0.782708, 0",
        "ComfyUI's flux2",
    ]


def test_the_settings_of_a_lora_are_complete():
    assert settings(RECIPES["tcd-sd15"])[:6] == [
        ("recipe", "tcd-sd15: " + RECIPES["tcd-sd15"].title),
        ("steps", "4 (4 to 50)"),
        ("cfg", "1"),
        ("sampler", "tcd, eta 0.3"),
        ("schedule", "lcm"),
        ("strength", "1"),
    ]


def test_shift_and_stage_are_told_where_there_are_any():
    said = dict(settings(RECIPES["wan2.2-t2v-lightx2v-high"]))
    assert (said["shift"], said["stage"], said["sampler"]) == ("5", "high noise", "euler")
    said = dict(settings(RECIPES["sdxl-lightning-4step-unet"]))
    assert not {"shift", "stage", "strength"} & set(said)


def test_embedded_guidance_is_not_called_cfg():
    said = dict(settings(RECIPES["lcm-sdxl"]))
    assert said["embedded"] == "8 (3 to 13)" and "cfg" not in said


def test_licence_and_first_source_come_last():
    recipe = dataclasses.replace(RECIPES["tcd-sd15"], sources=("https://a.org", "https://b.org"))
    assert settings(recipe)[-2:] == [("licence", recipe.licence), ("source", "https://a.org")]


def test_cautions_are_the_bad_combinations_and_what_is_not_verified():
    recipe = dataclasses.replace(
        RECIPES["lcm-lora-sd15"],
        bad=(Bad("cfg above 2", "burnt", "cfg 1"), Bad("a", "b", "c")),
        verified=False,
        how_verified="from memory",
    )
    assert cautions(recipe) == [
        ("known bad", "cfg above 2: burnt. Instead: cfg 1"),
        ("", "a: b. Instead: c"),
        ("unverified", "from memory"),
    ]
    assert cautions(dataclasses.replace(recipe, bad=(), verified=True)) == []

"""README's tables of what each file needs are what the recipes say, row by row."""

from dataclasses import replace

import pytest

from fewstep.headless import which_file
from fewstep.recipes.read import read_all
from fewstep.recipes.recipe import Guidance, Sampler, Schedule, Steps

RECIPES = read_all()[0]
FAST = replace(
    next(iter(RECIPES.values())),
    family="fast",
    title="Fast XL 4 steps",
    base="sdxl",
    kind="lora",
    examples=("Fast-XL-4steps.safetensors", "another.safetensors"),
    steps=Steps(4, (4,), 4, 4),
    guidance=Guidance("cfg", 1.0, 1.0, 1.0),
    prediction="eps",
    sampler=Sampler("euler"),
    schedule=Schedule(spacing="trailing"),
    shift=None,
    strength=1.0,
    stage=None,
    verified=True,
)


def rows(*recipes):
    """The cells of the one table that these recipes make, by heading."""
    lines = [line for line in which_file.tables(recipes).splitlines() if line.startswith("|")]
    headings, _, *found = [line.strip("| ").split(" | ") for line in lines]
    return [dict(zip(headings, cells, strict=True)) for cells in found]


def headings(*recipes):
    return [line for line in which_file.tables(recipes).splitlines() if line.startswith("#")]


def stands_in(text, recipe):
    name = recipe.examples[0]
    # where it shares a line N stands for the count
    return any(
        f"`{shown}`" in text
        for shown in (name, name.replace(f"{recipe.steps.default}step", "Nstep"))
    )


def at(count):
    """FAST, made for another count of steps."""
    return replace(
        FAST,
        title=f"Fast XL {count} steps",
        examples=(f"Fast-XL-{count}steps.safetensors",),
        steps=Steps(count, (count,), count, count),
    )


def test_the_readme_is_what_the_recipes_make():
    text = which_file.README.read_text(encoding="utf-8")
    made = which_file.put_into(text, which_file.tables(RECIPES.values()))
    assert made == text, "run: python run.py which-file"


def test_the_command_writes_the_readme_in_place(tmp_path, monkeypatch):
    readme = tmp_path / "README.md"
    readme.write_text(f"a\n{which_file.BEGIN}\nold\n{which_file.END}\nz\n", encoding="utf-8")
    monkeypatch.setattr(which_file, "README", readme)
    assert which_file.main([]) == 0
    text = readme.read_text(encoding="utf-8")
    assert text.startswith("a\n") and text.endswith("\nz\n") and "old" not in text
    assert "`lcm-lora-sdxl.safetensors`" in text


@pytest.mark.parametrize(
    "text",
    [
        "no mark at all",
        which_file.BEGIN,
        which_file.END + which_file.BEGIN,
        which_file.BEGIN * 2 + which_file.END,
        which_file.BEGIN + which_file.END * 2,
    ],
)
def test_a_readme_without_its_two_marks_is_refused(text):
    with pytest.raises(ValueError, match="README.md needs the lines .* once each, in this order"):
        which_file.put_into(text, "tables")


def test_every_distilled_recipe_stands_in_the_tables_and_no_other_does():
    text = which_file.tables(RECIPES.values())
    odd = [r.id for r in RECIPES.values() if stands_in(text, r) != r.is_distilled]
    assert odd == []


def test_a_row_says_all_that_a_file_needs():
    recipe = replace(
        FAST,
        steps=Steps(4, (4,), 2, 8),
        guidance=Guidance("embedded", 3.5, 2.5, 4.0),
        sampler=Sampler("tcd", 0.3),
        schedule=Schedule(scheduler="simple"),
        shift=3.1,
        strength=0.125,
        stage="high",
        prediction="x0",
        verified=False,
    )
    assert rows(recipe) == [
        {
            "model": "Fast XL 4 steps",
            "file, for example": "`Fast-XL-4steps.safetensors`",
            "steps": "4 (2 to 8)",
            "cfg": "1, guidance 3.5 (2.5 to 4)",
            "sampler": "tcd, eta 0.3",
            "schedule": "ComfyUI's simple",
            "shift": "3.1",
            "strength": "0.125",
            "notes": "predicts x0, high noise half, unverified",
        }
    ]


def test_columns_that_say_nothing_are_left_out():
    recipe = replace(FAST, guidance=Guidance("cfg", 1.5, 1.0, 2.0))
    assert rows(recipe) == [
        {
            "model": "Fast XL 4 steps",
            "file, for example": "`Fast-XL-4steps.safetensors`",
            "steps": "4",
            "cfg": "1.5 (1 to 2)",
            "sampler": "euler",
            "schedule": "trailing",
        }
    ]


def test_recipes_that_differ_in_their_count_alone_share_a_line():
    (row,) = rows(at(2), at(4), at(16))
    assert row["model"] == "Fast XL N steps"
    assert row["file, for example"] == "`Fast-XL-Nsteps.safetensors`"
    assert row["steps"] == "2, 4, 16"


def test_recipes_of_a_family_with_the_same_settings_share_a_row():
    slow = replace(FAST, title="Slow", examples=("slow.safetensors",), steps=Steps(8, (8,), 4, 8))
    (row,) = rows(FAST, slow)
    assert row["model"] == "Fast XL 4 steps<br>Slow"
    assert row["file, for example"] == "`Fast-XL-4steps.safetensors`<br>`slow.safetensors`"
    assert row["steps"] == "4<br>8 (4 to 8)"


@pytest.mark.parametrize(
    "change",
    [
        {"family": "other"},
        {"guidance": Guidance("cfg", 1.0, 1.0, 2.0)},
        {"guidance": Guidance("embedded", 1.0, 1.0, 1.0)},
        {"sampler": Sampler("lcm")},
        {"schedule": Schedule(timesteps=(999, 499))},
        {"shift": 3.0},
        {"strength": 0.5},
        {"prediction": "v"},
        {"stage": "low"},
        {"verified": False},
    ],
)
def test_recipes_of_other_settings_stand_in_rows_of_their_own(change):
    assert len(rows(FAST, replace(FAST, **change))) == 2


def test_a_list_too_long_for_a_cell_is_cut_by_dots():
    long = replace(FAST, schedule=Schedule(sigmas=(1.0, 0.9, 0.8, 0.7, 0.6, 0.0)))
    short = replace(FAST, schedule=Schedule(sigmas=(1.0, 0.9, 0.8, 0.7, 0.0)))
    assert [row["schedule"] for row in rows(long, short)] == [
        "sigmas 1, 0.9, 0.8 ... 0",
        "sigmas 1, 0.9, 0.8, 0.7, 0",
    ]


def test_a_number_that_is_no_step_count_stays_in_the_name():
    (row,) = rows(*(replace(at(n), title=f"V1.{n} for {n} steps") for n in (2, 4)))
    assert row["model"] == "V1.2 for 2 steps<br>V1.4 for 4 steps"


def test_a_new_architecture_stands_under_others_until_it_has_a_place():
    assert headings(FAST, replace(FAST, base="brand-new")) == ["### SDXL", "### Others"]
    assert headings(*RECIPES.values()) == [f"### {title}" for title in which_file.GROUPS]


def test_architectures_of_a_table_stand_in_its_order():
    ssd = replace(FAST, base="ssd-1b", family="other", title="Fast SSD")
    assert [row["model"] for row in rows(ssd, FAST)] == ["Fast XL 4 steps", "Fast SSD"]

"""Every node has a help page, and it names all that the node shows."""

import importlib
import re
from pathlib import Path

import pytest
from host.test_nodes import LONG_LISTS, inputs_of

HELP = Path(__file__).resolve().parents[2] / "web" / "docs"
PICTURE = re.compile(r"!\[[^\]]+\]\(([^)]+)\)")


@pytest.fixture
def nodes(host):
    return importlib.import_module("fewstep.nodes").NODES


def test_every_help_page_names_all_inputs_of_its_node(nodes):
    unsaid = []
    for node in nodes:
        page = HELP / f"{node.__name__}.md"
        text = page.read_text(encoding="utf-8") if page.is_file() else ""
        unsaid += [f"{page.name}: {name}" for name in ["#", *inputs_of(node)] if name not in text]
    assert unsaid == []


def test_every_help_page_names_all_outputs_and_choices_of_its_node(nodes):
    unsaid = []
    for node in nodes:
        text = (HELP / f"{node.__name__}.md").read_text(encoding="utf-8")
        choices = [
            choice
            for name, options in inputs_of(node).items()
            if name not in LONG_LISTS
            for choice in options.get("options", ())
        ]
        unsaid += [
            f"{node.__name__}: {name}"
            for name in [*choices, *node.RETURN_NAMES]
            if f"`{name}`" not in text
        ]
    assert unsaid == []


def test_every_help_page_shows_its_node_and_no_picture_is_left_over(nodes):
    shown = {
        found
        for node in nodes
        for found in PICTURE.findall((HELP / f"{node.__name__}.md").read_text(encoding="utf-8"))
        if found == f"pictures/{node.__name__}.webp"
    }
    assert len(shown) == len(nodes)
    assert {path.relative_to(HELP).as_posix() for path in HELP.rglob("*.webp")} == shown


def test_the_whole_recipe_file_in_the_help_reads_and_tells_its_example(host, tmp_path):
    from fewstep.recipes.names import named
    from fewstep.recipes.read import read_all

    page = (HELP / "FewStepRecipe.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```json\n(.*?)```", page, flags=re.DOTALL)
    (tmp_path / "mine.json").write_text(example, encoding="utf-8")
    found, refused = read_all([tmp_path])
    assert refused == []
    mine = found["my-fast-merge"]
    assert named(found.values(), mine.examples[0]) == [mine]

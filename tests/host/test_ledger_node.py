"""What each step cost, from figures to a file that only grows, and a picture of it."""

import json

import pytest
from host.test_golden_nodes import graph
from host.test_recipe_api import node
from host.test_training_nodes import output

from fewstep.evaluate.bootstrap import Estimate
from fewstep.evaluate.ledger import read
from fewstep.evaluate.ledger_steps import Measured

__all__ = ["output"]


@pytest.fixture
def ledger(output, host):
    from fewstep.nodes.ledger import FewStepLedger

    def kept(**changed):
        given = {"name": "my.model", "step": "", "metric": "SSIM"}
        given |= {"tolerance": 4.0, "total_tolerance": 8.0} | changed
        return FewStepLedger.execute(**given).result

    return kept


@pytest.fixture
def path(output):
    return output / "fewstep" / "ledgers" / "my.model.jsonl"


def measured(name, ssim, golden_set="0123456789abcdef", **change):
    figures = lambda value: {"SSIM": Estimate(value, value - 0.001, value + 0.001, 40)}
    return Measured(name, "teacher", golden_set, change, figures(ssim), figures(1.0))


def test_losses_compound_and_those_beyond_tolerance_are_named(ledger, path):
    ledger(figures=measured("fp8", 0.98, precision="fp8"), step="fp8")
    ledger(figures=measured("four", 0.931, steps=4), step="4 steps")
    report, image = ledger(figures=measured("cached", 0.90307))
    assert report.startswith(
        "cached was added\nSSIM: fp8 -2.0 %, 4 steps -5.0 %, cached -3.0 %: together -9.7 %\n"
    )
    assert "4 steps: SSIM is 5.00 % worse, and 4 % is allowed for a step." in report
    assert "all steps together: SSIM is 9.69 % worse, and 8 % is allowed" in report
    entries = read(path)
    assert [entry.name for entry in entries] == ["teacher", "fp8", "4 steps", "cached"]
    assert entries[2].change == {"steps": 4} and entries[0].figures["SSIM"].value == 1.0
    assert image.shape[0] == 1 and image.shape[3] == 3 and image.shape[2] > 5 * 100


def test_the_same_step_again_is_not_added_and_without_figures_it_is_shown(ledger, path):
    first = ledger(figures=measured("fp8", 0.98), step="fp8")[0]
    before = path.read_bytes()
    again = ledger(figures=measured("fp8", 0.98), step=" fp8 ")[0]
    assert first.replace("fp8 was added", "") == again.replace("fp8 is its last step already", "")
    assert path.read_bytes() == before
    assert ledger()[0] == first.replace("fp8 was added\n", "")


def test_a_picture_shows_a_bar_for_each_step_in_the_colour_of_its_cost(ledger):
    ledger(figures=measured("fp8", 0.98), step="fp8")
    image = ledger(figures=measured("four", 0.80), step="4 steps")[1][0]
    colours = {
        tuple((pixel * 255).round().int().tolist()) for pixel in image[250:, ::5].flatten(0, 1)
    }
    # what is left of the whole, within tolerance, beyond it
    assert (0x57, 0x60, 0x6A) in colours and (0xCF, 0x22, 0x2E) in colours
    top = {tuple((pixel * 255).round().int().tolist()) for pixel in image[:80].flatten(0, 1)}
    assert (0xD4, 0xA7, 0x2C) in top


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({}, "my.model.jsonl is no file"),
        ({"name": "../mine"}, "name is '../mine'; allowed are letters"),
        ({"metric": "beauty"}, "metric is 'beauty'; allowed is one of SSIM, CLIP score, diversity"),
        ({"metric": "CLIP score", "figures": 0.9}, "measured without it: teacher, student"),
        ({"step": "a\nb", "figures": 0.9}, "name is 'a.nb'; allowed is a text on one line"),
    ],
)
def test_what_cannot_be_is_told(ledger, changed, message):
    if "figures" in changed:
        changed = changed | {"figures": measured("student", changed["figures"])}
    with pytest.raises(ValueError, match=message):
        ledger(**changed)


def test_figures_of_another_golden_set_are_refused_and_the_ledger_stays(ledger, path):
    ledger(figures=measured("fp8", 0.98))
    before = path.read_bytes()
    with pytest.raises(ValueError, match="is of golden set 0123456789abcdef, and figures are"):
        ledger(figures=measured("four", 0.9, golden_set="ff"))
    assert path.read_bytes() == before


def test_a_graph_keeps_what_was_changed(server):
    two = graph("before", count=2, seeds=1)
    other = graph("after", strength=0.5, count=2, seeds=1)
    two["half"], two["other"] = other["scaled"], other["made"]
    two["other"]["inputs"]["model"] = ["half", 0]
    two["figures"] = node("FewStepEvaluate", reference=["made", 0], pictures=["other", 0], worst=1)
    limits = {"metric": "SSIM", "tolerance": 0.0, "total_tolerance": 100.0}
    two["ledger"] = node(
        "FewStepLedger", name="mine", step="rescaled", figures=["figures", 2], **limits
    )
    two["report"] = node("PreviewAny", source=["ledger", 0])
    two["plot"] = node("PreviewImage", images=["ledger", 1])
    outputs = server.client.run(two)
    assert outputs["report"]["text"][0].startswith("rescaled was added\nSSIM: rescaled -")
    assert "0 % is allowed for a step" in outputs["report"]["text"][0]
    lines = (server.folder / "output/fewstep/ledgers/mine.jsonl").read_text().splitlines()
    assert [json.loads(line)["change"] for line in lines] == [{}, {"model.multiplier": 0.5}]
    (image,) = server.client.images(outputs["plot"])
    assert image.height == 480

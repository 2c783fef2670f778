"""python run.py ledger: steps from what run.py evaluate found, and how their losses add up."""

import json
import xml.etree.ElementTree as ElementTree

import pytest

from fewstep.evaluate.ledger import read
from fewstep.headless import ledger


def figure(value):
    return {"value": value, "low": value - 0.001, "high": value + 0.001, "count": 40, "note": "N."}


@pytest.fixture
def results(tmp_path):
    """(name, accuracy), ... -> a results.json as run.py evaluate writes it."""

    def written(*contenders, golden_set="0123456789abcdef"):
        of = [
            {"name": name, "passes": 4, "figures": {"accuracy": figure(value)}}
            for name, value in contenders
        ]
        requests = {name: {"steps": 4, "lora": name} for name, _ in contenders}
        found = {"golden set": golden_set, "reference": contenders[0][0]}
        path = tmp_path / "results.json"
        path.write_text(json.dumps(found | {"contenders": of, "requests": requests}))
        return str(path)

    return written


@pytest.fixture
def path(tmp_path):
    return tmp_path / "new" / "my model.jsonl"


def run(path, *arguments):
    return ledger.main([str(path), *arguments])


def test_steps_are_added_and_their_losses_compound(results, path, capsys):
    found = results(("teacher", 1.0), ("fp8", 0.98))
    assert run(path, "--add", found) == ledger.DONE
    found = results(("teacher", 1.0), ("fp8", 0.98), ("few", 0.931))
    assert run(path, "--add", found, "--contender", "few", "--step", "4 steps") == ledger.DONE
    told = capsys.readouterr().out
    assert "accuracy: fp8 -2.0 %, 4 steps -5.0 %: together -6.9 %" in told
    entries = read(path)
    assert [entry.name for entry in entries] == ["teacher", "fp8", "4 steps"]
    assert entries[1].change == {"lora": "fp8"} and entries[0].change == {}


def test_a_step_beyond_tolerance_is_named_and_drawn(results, path, capsys):
    run(path, "--add", results(("teacher", 1.0), ("<b>", 0.9)), "--tolerance", "3")
    told = capsys.readouterr().out
    assert "<b>: accuracy is 10.00 % worse, and 3 % is allowed for a step." in told
    drawn = ElementTree.parse(path.with_suffix(".svg")).iter()
    texts = [element.text.strip() for element in drawn if element.tag.endswith("text")]
    assert {"before", "<b>", "together", "-10.0 %", "accuracy"} <= set(texts)


def test_the_same_step_again_is_not_added_and_a_ledger_is_shown_without_adding(
    results, path, capsys
):
    found = results(("teacher", 1.0), ("fp8", 0.98))
    run(path, "--add", found)
    before = path.read_bytes()
    run(path, "--add", found)
    assert "fp8 is its last step already" in capsys.readouterr().out
    assert run(path, "--metric", "accuracy") == ledger.DONE and path.read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--add", "results.json", "--contender", "nobody"], "allowed are those of "),
        (["--add", "results.json", "--contender", "teacher"], "--contender is 'teacher'; allowed"),
        (["--add", "other.json"], "is no results.json of this run.py evaluate"),
        (["--add", "torn.json"], "is no results.json of this run.py evaluate"),
        (["--add", "missing.json"], "No such file"),
        ([], "is no file. Check the folder and the name"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_is_kept(
    results, path, tmp_path, capsys, arguments, message
):
    results(("teacher", 1.0), ("fp8", 0.98))
    (tmp_path / "other.json").write_text('{"contenders": [{"name": "a", "figures": 3}]}')
    (tmp_path / "torn.json").write_text("{")
    arguments = [str(tmp_path / one) if one.endswith(".json") else one for one in arguments]
    assert run(path, *arguments) == ledger.REFUSED
    assert message in capsys.readouterr().err and not path.exists()


def test_figures_of_another_golden_set_are_refused(results, path, capsys):
    run(path, "--add", results(("teacher", 1.0), ("fp8", 0.98)))
    before = path.read_bytes()
    other = results(("teacher", 1.0), ("few", 0.9), golden_set="f" * 16)
    assert run(path, "--add", other) == ledger.REFUSED
    assert "their losses cannot be compared" in capsys.readouterr().err
    assert path.read_bytes() == before


def test_a_metric_that_was_not_measured_is_refused(results, path, capsys):
    run(path, "--add", results(("teacher", 1.0), ("fp8", 0.98)))
    assert run(path, "--metric", "SSIM") == ledger.REFUSED
    assert "SSIM" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        run(path, "--tolerance", "-1")
    assert "it is '-1'; allowed are 0 or more per cent" in capsys.readouterr().err

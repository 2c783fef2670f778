import pytest

from fewstep.evaluate.bootstrap import Estimate
from fewstep.evaluate.figures import Figure
from fewstep.evaluate.table import Row
from fewstep.evaluate.verdict import LESS, lead, verdict


def row(name="student", passes=4, loss=(-0.01, -0.03, 0.01), diversity=(1.0, 0.9, 1.1)):
    figures = [Figure("accuracy", Estimate(0.9, 0.8, 0.95, 40))]
    for figure, limits in ((f"accuracy{LESS}", loss), ("diversity", diversity)):
        if limits:
            figures.append(Figure(figure, Estimate(*limits, 40)))
    return Row(name, passes, figures)


@pytest.mark.parametrize(
    ("changed", "is_as_good", "text"),
    [
        ({}, True, "No loss of accuracy shows: -0.01 (-0.03 to 0.01). Its seeds differ as they"),
        ({"loss": (-0.1, -0.2, -0.01)}, False, "It loses accuracy: -0.10 (-0.20 to -0.01)."),
        ({"loss": (0.1, 0.01, 0.2)}, True, "It gains accuracy: 0.10 (0.01 to 0.20)."),
        ({"loss": (0.1, None, None)}, False, "Too few prompts to tell of a loss of accuracy."),
        ({"diversity": (0.5, 0.4, 0.84)}, False, "seeds are too much alike: diversity 0.50 (0.40"),
        ({"diversity": (0.9, 0.8, 1.0)}, True, "seeds may be too much alike: diversity 0.90"),
        ({"diversity": (2.0, 1.3, 2.6)}, False, "differ more than they should, as broken pictures"),
        ({"diversity": (1.0, None, None)}, False, "Too few prompts to tell of diversity."),
        ({"loss": None, "diversity": None}, None, "Nothing was measured that makes a verdict."),
    ],
)
def test_a_verdict_says_what_the_intervals_do(changed, is_as_good, text):
    found = verdict(row(**changed))
    assert found.is_as_good is is_as_good and text in found.text


def test_the_lead_names_the_fewest_passes_without_a_loss():
    reference = Row("teacher", 48, row().figures[:1])
    worse = row("one", 1, loss=(-0.5, -0.6, -0.4))
    assert lead([reference, row("eight", 8), row("two", 2), worse]) == (
        "two takes 2 network passes a picture instead of 48; 40 prompts show no loss against "
        "teacher."
    )
    assert lead([reference, row("one", 1)]).startswith("one takes 1 network pass a picture")
    assert lead([reference, worse]) == "Of 1 none was shown to be as good as teacher."


def test_without_a_figure_that_makes_a_verdict_there_is_no_word_of_a_loss():
    plain = [Row(name, 4, row().figures[:1]) for name in ("teacher", "student")]
    assert lead(plain) == "Nothing was measured that tells a loss against teacher."


def test_where_nobody_counted_passes_the_lead_says_nothing_of_them():
    reference = Row("teacher", None, row().figures[:1])
    assert lead([reference, row("fast", 4)]) == ("fast: 40 prompts show no loss against teacher.")
    known = row("counted", 4)
    assert lead([reference._replace(passes=50), row("unknown", None), known]).startswith("counted")

import re

from html_reader import Reader

from fewstep.evaluate.bootstrap import Estimate
from fewstep.evaluate.figures import Figure
from fewstep.evaluate.report_page import Pair, Section, report_page
from fewstep.evaluate.table import Row
from fewstep.evaluate.verdict import LESS

EVIL = '<script>alert(1)</script>" onload="x\n' + "x" * 20_000
REFERENCE = Row("teacher <b>", 48, [Figure("accuracy", Estimate(0.95, 0.9, 1.0, 40))])
STUDENT = Row(
    "student & co",
    4,
    [
        Figure("accuracy", Estimate(0.9, 0.8, 0.95, 40)),
        Figure(f"accuracy{LESS}", Estimate(-0.05, -0.1, -0.01, 40), "Beware of <i>."),
    ],
)
PAIRS = [Pair(EVIL, "does not show it", b"\x89PNG 1", b"\x89PNG 2"), Pair("a", "", b"3", b"4")]


def page():
    return report_page([REFERENCE, STUDENT], [Section(STUDENT, PAIRS)], "<svg></svg>", "told <u>")


def test_a_page_has_the_verdict_the_table_and_every_pair():
    found = Reader(page())
    assert found.rows == [
        ["", "passes", "accuracy", f"accuracy{LESS}"],
        ["teacher <b>", "48", "0.95 (0.90 to 1.00)", "-"],
        ["student & co", "4", "0.90 (0.80 to 0.95)", "-0.05 (-0.10 to -0.01)"],
    ]
    assert "Of 1 none was shown to be as good as teacher &lt;b&gt;." in page()
    assert "It loses accuracy: -0.05 (-0.10 to -0.01)." in page()
    sources = [image["src"] for image in found.all("img")]
    assert sources == [
        f"data:image/png;base64,{code}" for code in ("iVBORyAx", "iVBORyAy", "Mw==", "NA==")
    ]
    assert len(found.all("svg")) == 1 and len(found.all("input")) == 1


def test_texts_of_the_user_are_no_markup_and_nothing_is_fetched():
    found = Reader(page())
    # our own script alone
    assert len(found.all("script")) == 1 and "alert(1)" not in page().split("<script>")[-1]
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page()
    for tag in ("b", "i", "u"):
        assert len(found.all(tag)) == (1 if tag == "b" else 0)
    assert not [name for _, of in found.tags for name in of if name.startswith("on")]
    assert not re.search(r"(?:src|href)=\"(?!data:)", page()) and "@import" not in page()


def test_a_page_without_a_plot_has_no_heading_for_it():
    bare = report_page([REFERENCE, STUDENT], [], "", "told")
    assert "Quality by passes" not in bare and Reader(bare).all("section") == []


def test_the_order_of_the_pairs_is_told():
    assert "Those that lost what their prompt says come first" in page()
    other = report_page([REFERENCE, STUDENT], [Section(STUDENT, PAIRS)], "", "", "By <LPIPS>.")
    assert "By &lt;LPIPS&gt;." in other and "Those that lost" not in other

import re
import xml.etree.ElementTree as ElementTree

from fewstep.evaluate.bootstrap import Estimate
from fewstep.evaluate.figures import Figure
from fewstep.evaluate.table import Row
from fewstep.headless.evaluation_plot import plot


def rows():
    accuracy = lambda *limits: Figure("accuracy", Estimate(*limits, 40))
    diversity = Figure("diversity", Estimate(0.9, 0.8, 0.85, 40))
    return [
        Row("teacher", 48, [accuracy(0.95, 0.9, 1.0)]),
        Row("a <student>", 4, [accuracy(0.9, None, None), diversity]),
    ]


def test_every_contender_is_named_where_it_was_measured():
    drawing = plot(rows())
    texts = [
        text.text for text in ElementTree.fromstring(drawing).iter() if text.tag[-4:] == "text"
    ]
    assert texts.count("teacher") == texts.count("a <student>") == 1
    assert {"accuracy", "diversity", "48", "4"} <= set(texts)


def test_equal_figures_draw_equal_files_and_nothing_is_fetched():
    assert plot(rows()) == plot(rows())
    assert not re.search(r'href="(?!#)', plot(rows()))

"""axe-core finds no serious problem on the pages and panels that are ours, in light and in dark."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from browser import frontend
from browser.both_frontends import LOAD, WORKFLOWS
from oracles.measured import RESULTS, SETTING
from picture_sets import golden_set, grey, make_set

from fewstep.evaluate.bootstrap import Estimate
from fewstep.evaluate.figures import Figure
from fewstep.evaluate.picture_file import to_png
from fewstep.evaluate.report_page import Pair, Section, report_page
from fewstep.evaluate.table import Row
from fewstep.evaluate.verdict import LESS
from fewstep.headless.evaluation_plot import plot
from fewstep.headless.report import report

THEMES = ("light", "dark")
GRAVE = ("serious", "critical")
PAIRS = "/fewstep/pairs"
# all that our scripts put into the frontend's page
OURS = "[class^='fewstep'], [class*=' fewstep'], [id^='fewstep']"
# how many of our panels in nodes are drawn, once all are or nothing more comes
DRAWN = f"""async () => {{
    const panels = () => window.app.graph.nodes.flatMap(node => node.widgets ?? [])
        .map(widget => widget.element).filter(element => element?.matches("{OURS}"));
    const shown = () => panels().filter(element => element.checkVisibility()).length;
    for (let turn = 0; turn < 40 && shown() < panels().length; turn++)
        await new Promise(done => setTimeout(done, 50));
    return shown();
}}"""
HAS_PICTURE = f"""() => document.querySelector(":is({OURS}) img")?.naturalWidth"""
OUR_TABS = """() => window.app.extensionManager.getSidebarTabs()
    .map(tab => tab.id).filter(id => /fewstep/i.test(id))"""
EXECUTE = "command => window.app.extensionManager.command.execute(command)"
# over when the page's colours change no more
SET_THEME = """async theme => {
    await window.app.extensionManager.setting.set("Comfy.ColorPalette", theme);
    await new Promise(requestAnimationFrame);
    const changes = document.getAnimations().filter(one => one instanceof CSSTransition);
    await Promise.allSettled(changes.map(change => change.finished));
}"""


def problems(page, within=None):
    """What axe-core calls serious or critical, one line for each element."""
    found = Axe().run(page, within).response["violations"]
    return [
        f"{one['id']}: {node['html'][:200]} {node['failureSummary']}"
        for one in found
        if one["impact"] in GRAVE
        for node in one["nodes"]
    ]


@pytest.fixture(params=THEMES)
def themed(request, browser):
    """An empty page of somebody who prefers light, or dark."""
    context = browser.new_context(
        viewport={"width": 1280, "height": 900}, color_scheme=request.param
    )
    context.add_init_script("localStorage.setItem('fewstep-rater', 'ann')")
    yield context.new_page()
    context.close()


@pytest.fixture(scope="module")
def studies(server):
    """A comparison that has just begun, and one that all have voted in."""
    for name, brightness in (("zebra", 60), ("quagga", 180)):
        folder = server.folder / "output" / "fewstep"
        make_set(folder, name, golden_set(4, ("faces",)), lambda _, b=brightness: grey(b))
    for name in ("begun", "voted"):
        told = {"name": name, "contenders": ["zebra", "quagga"]}
        server.client.post_json(f"{PAIRS}/studies", told)
    state = server.client.post_json(f"{PAIRS}/studies/voted/next", {"rater": "ann"})
    while state["pair"]:
        vote = {"rater": "ann", "number": state["pair"]["number"], "choice": "left"}
        state = server.client.post_json(f"{PAIRS}/studies/voted/vote", vote)


def test_a_page_with_faults_is_found_out(themed):
    themed.set_content("<title>x</title><img src=x><button></button>")
    told = "\n".join(problems(themed))
    for name in ("html-has-lang", "image-alt", "button-name"):
        assert f"{name}:" in told


@pytest.mark.parametrize(
    ("place", "shown"),
    [
        ("", "text=Begin another"),
        ("#rate/begun", ".frame.right img"),
        ("#rate/voted", "text=That was the last pair"),
        ("#results/voted", "text=How often"),
        ("#results/begun", "text=Close it"),
    ],
)
def test_the_page_of_blind_comparisons(themed, server, studies, place, shown):
    themed.goto(f"{server.url}{PAIRS}{place}")
    themed.wait_for_selector(shown)
    assert problems(themed) == []


def test_the_page_of_an_evaluation(themed):
    difference = lambda *limits: Figure(f"accuracy{LESS}", Estimate(*limits, 40), "Beware.")
    accuracy = Figure("accuracy", Estimate(0.9, 0.8, 0.95, 40))
    rows = [
        Row("teacher", 100, [accuracy]),
        Row("as good", 4, [accuracy, difference(0.01, -0.1, 0.1)]),
        Row("worse", 2, [accuracy, difference(-0.2, -0.3, -0.1)]),
        Row("unknown", None, [accuracy]),
    ]
    pictures = [to_png(grey(brightness), {}) for brightness in (60, 180)]
    sections = [Section(row, [Pair("a red ring", "not red", *pictures)]) for row in rows[1:]]
    themed.set_content(report_page(rows, sections, plot(rows[:3]), "told"))
    assert problems(themed) == []


def test_the_page_of_a_demo_run(themed):
    themed.set_content(report(RESULTS, SETTING))
    assert problems(themed) == []


@pytest.fixture(scope="module")
def opened(browser, server):
    """A graph that has run, in a window wide enough for what is drawn inside nodes."""
    server.client.post_json("/settings/Comfy.TutorialCompleted", True)
    context = browser.new_context(viewport={"width": 1900, "height": 1000})
    page = context.new_page()
    frontend.open_template(page, server, "live", waiting_for="FewStepLiveOutput")
    frontend.press_run(page)
    page.wait_for_function(HAS_PICTURE, timeout=frontend.LONG)
    yield page
    page.evaluate(SET_THEME, "dark")
    context.close()


@pytest.mark.parametrize("theme", THEMES)
def test_what_we_add_to_a_node_that_shows_its_picture(opened, theme):
    opened.evaluate(SET_THEME, theme)
    assert opened.evaluate(DRAWN)
    assert problems(opened, OURS) == []


@pytest.mark.parametrize("theme", THEMES)
def test_what_we_add_to_nodes_and_to_the_side_bar(opened, theme):
    opened.evaluate(SET_THEME, theme)
    drawn = 0
    for workflow in WORKFLOWS.values():
        opened.evaluate(LOAD, workflow)
        opened.evaluate(EXECUTE, "Comfy.Canvas.FitView")
        if count := opened.evaluate(DRAWN):
            drawn += count
            assert problems(opened, OURS) == []
    assert drawn
    for tab in opened.evaluate(OUR_TABS):
        opened.evaluate(EXECUTE, f"Workspace.ToggleSidebarTab.{tab}")
        opened.wait_for_load_state("networkidle")
        assert problems(opened, OURS) == []
        opened.evaluate(EXECUTE, f"Workspace.ToggleSidebarTab.{tab}")

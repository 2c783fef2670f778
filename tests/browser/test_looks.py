"""What nodes know of their last run is seen on them, in both renderers of the real frontend."""

import pytest
from browser import decorated, frontend

# a name that a page must not take for HTML
NAME = "<img src=x onerror=alert(1)>.safetensors"
SETTINGS = ["RecipeBadges", "CoverageBar", "SigmaCurve", "PassesAndTime"]
VUE = "Comfy.VueNodes.Enabled"
SET = """([id, value]) => window.app.extensionManager.setting.set(id, value)"""
WIDGET = """([type, name, value]) => {
    const node = window.app.graph.nodes.find(node => node.type === type);
    node.widgets.find(widget => widget.name === name).value = value;
}"""
# whether the strip of a loader lies in a node that Vue has made
IN_RENDERER = """isVue => {
    const bar = document.querySelector(".fewstep-looks .fewstep-coverage");
    return bar && Boolean(bar.closest("[data-node-id]")) === isVue;
}"""
OLD_STRIPS = "count => document.querySelectorAll('.fewstep-old').length === count"
SAVED = """() => Object.fromEntries(
    window.app.graph.serialize().nodes.map(node => [node.id, node.widgets_values])
)"""


@pytest.fixture
def graph(page, server):
    """The page with a run of the decorated graph on the screen, drawn by Vue at first."""
    path = decorated.put_lora(server, NAME)
    server.client.post_json("/settings/Comfy.TutorialCompleted", True)
    server.client.post_json(f"/settings/{VUE}", True)
    page.alerts = []
    page.on("dialog", lambda alert: (page.alerts.append(alert.message), alert.dismiss()))
    page.set_viewport_size({"width": 1900, "height": 1100})
    frontend.open_template(page, server, "live", waiting_for="FewStepLiveOutput")
    decorated.build(page, NAME)
    page.saved = page.evaluate(SAVED)
    frontend.press_run(page)
    decorated.wait_until_shown(page)
    yield page
    server.client.post_json(f"/settings/{VUE}", False)
    path.unlink()
    assert page.alerts == [] and page.trouble == []


def strip(page, title, nth=0):
    """The strip on the nth node of this title."""
    handle = page.evaluate_handle(
        """([title, nth]) => window.app.graph.nodes.filter(node => node.title === title)[nth]
            .widgets.find(widget => widget.name === "fewstep_looks").element""",
        [f"{title} (FewStep)", nth],
    )
    return handle.as_element()


def test_nodes_show_what_their_run_was_in_both_renderers(graph):
    for is_vue in (True, False):
        graph.evaluate(SET, [VUE, is_vue])
        graph.wait_for_function(IN_RENDERER, arg=is_vue)
        every_node_shows_its_run(graph)
        the_badge_opens_a_panel_by_keyboard(graph)
        a_file_name_is_text(graph)
        what_was_edited_since_is_told(graph)
        settings_switch_it_off(graph)
        # neither in the saved workflow nor among the values of widgets
        assert graph.evaluate(SAVED) == graph.saved


def every_node_shows_its_run(graph):
    loader, burnt = strip(graph, "LoRA Loader"), strip(graph, "Sample", 1)
    assert "fits" in loader.inner_text() and "79 of 79 layers" in loader.inner_text()
    assert "4 passes · " in strip(graph, "Sample").inner_text()
    assert "does not fit" in burnt.inner_text() and "8 passes · " in burnt.inner_text()
    assert "of 16 passes saved · " in strip(graph, "Cache").inner_text()
    assert "unsure" in strip(graph, "Check").inner_text()
    for title in ("Apply", "Sigmas"):
        curve = strip(graph, title).query_selector("[data-part=curve]")
        assert "4 of 4 at levels the model was trained at" in curve.get_attribute("aria-label")
        # four steps and the clean end, over the fifty levels of LCM
        assert len(curve.query_selector_all("circle")) == 5
        assert len(curve.query_selector_all(".fewstep-grid")) == 50
    for title, most in {"Sample": 50, "LoRA Loader": 70, "Apply": 110}.items():
        assert 20 <= strip(graph, title).bounding_box()["height"] <= most


def the_badge_opens_a_panel_by_keyboard(graph):
    badge = strip(graph, "Sample", 1).query_selector("[data-part=badge]")
    assert "does not fit: cfg: 7; cfg 1 (1 to 2)" in badge.get_attribute("title")
    badge.focus()
    graph.keyboard.press("Enter")
    panel = graph.get_by_role("dialog", name="Sample (FewStep)")
    row = panel.get_by_role("row").filter(has_text="burnt, over-saturated pictures")
    assert "cfg" in row.inner_text() and "does not fit" in row.inner_text()
    graph.keyboard.press("Escape")
    panel.wait_for(state="detached")
    assert badge.evaluate("badge => badge === document.activeElement")


def a_file_name_is_text(graph):
    strip(graph, "LoRA Loader").query_selector("[data-part=bar]").click()
    panel = graph.get_by_role("dialog", name="LoRA Loader (FewStep)")
    panel.get_by_text(f"{NAME}: LCM-LoRA of the demo model, certain").wait_for()
    assert panel.locator("img").count() == 0
    # of two blocks, one on each side of the UNet
    assert panel.get_by_role("cell", name="16 of 16 layers").count() == 2
    panel.get_by_role("button", name="Close").click()
    panel.wait_for(state="detached")


def what_was_edited_since_is_told(graph):
    graph.evaluate(WIDGET, ["FewStepLoraLoader", "steps", 8])
    graph.wait_for_function(OLD_STRIPS, arg=7)
    assert "last run" in strip(graph, "LoRA Loader").inner_text()
    assert "last run" in strip(graph, "Apply").inner_text()
    # the loader is no input of it
    assert "last run" not in strip(graph, "Identify").inner_text()
    graph.evaluate(WIDGET, ["FewStepLoraLoader", "steps", 0])
    graph.wait_for_function(OLD_STRIPS, arg=0)


def settings_switch_it_off(graph):
    for name in SETTINGS:
        graph.evaluate(SET, [f"FewStep.{name}", False])
    graph.wait_for_function("() => !document.querySelector('.fewstep-looks')")
    for name in SETTINGS:
        graph.evaluate(SET, [f"FewStep.{name}", True])
    decorated.wait_until_shown(graph)


LAYOUT = """async ([url, curve]) => {
    const { layout } = await import(url);
    return layout(curve);
}"""


def test_a_level_beside_the_trained_ones_is_marked_and_0_has_a_place_on_a_log_axis(page, server):
    page.goto(f"{server.url}/fewstep/pairs")
    url = f"{server.url}/extensions/fewstep/looks/levels.js"
    curve = {"axis": "log", "sigmas": [10, 1.001, 0], "grid": [10, 1, 0.1, 0]}
    log = page.evaluate(LAYOUT, [url, curve])
    assert [point["isTrained"] for point in log["points"]] == [True, False, True]
    # equal factors are equally far apart, and clean lies behind the lowest level
    first, second, third = log["lines"]
    assert second - first == pytest.approx(third - second)
    assert log["points"][-1]["x"] > third
    flow = {"axis": "linear", "sigmas": [1, 0.5, 0], "grid": None}
    even = page.evaluate(LAYOUT, [url, flow])
    left, middle, right = (point["x"] for point in even["points"])
    assert middle - left == pytest.approx(right - middle)
    assert [point["isTrained"] for point in even["points"]] == [None] * 3 and even["lines"] == []

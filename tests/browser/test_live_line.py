"""Live's own line to the server: what the page hears of runs, and what comes when it breaks."""

import pytest
from browser.live_page import (
    button,
    open_live,
    seen,
    set_value,
    told,
    wait_for_picture,
    wait_until_idle,
)

# what the page hears, each with its run
FOLLOW = """async () => {
    const { api } = await import("/scripts/api.js");
    window.heard = [];
    for (const name of ["execution_start", "executed", "progress_state", "execution_success"])
        api.addEventListener(name, ({ detail }) => heard.push([name, detail.prompt_id]));
}"""
IS_FOLLOWED = """() => heard.some(
    ([name, run]) => name === "execution_start" && run === seen.started.at(-1))"""
DOT = "document.querySelector('[data-testid=queue-overlay-toggle] .animate-pulse')"
# older ComfyUIs have no dot
ANIMATION = f"() => {DOT} ? getComputedStyle({DOT}).animationName : 'none'"
# whose node one of them is said to be; what it was before
PACK = """pack => {
    const { nodeData } = window.LiteGraph.registered_node_types.CLIPTextEncode;
    const before = nodeData.python_module;
    nodeData.python_module = pack;
    return before;
}"""
SWITCH = "isOn => window.app.extensionManager.setting.set('FewStep.LiveQuiet', isOn)"


@pytest.fixture
def live(page, server):
    """The page with the example workflow, Live switched on and its first run ended."""
    open_live(page, server)
    page.evaluate(FOLLOW)
    button(page, "Live").click()
    wait_for_picture(page)
    page.wait_for_function("() => seen.ended.length")
    wait_until_idle(server, 0.3)
    yield page
    assert page.trouble == []


def run(page, server, steps):
    """Names of what the page hears of the one run of so many steps."""
    before = seen(page)["started"]
    set_value(page, "FewStepSigmas", "steps", steps)
    page.wait_for_function("count => seen.ended.length > count", arg=len(seen(page)["ended"]))
    wait_until_idle(server, 0.3)
    (started,) = seen(page)["started"][len(before) :]
    return {name for name, of in page.evaluate("heard") if of == started}


def test_the_page_follows_the_first_run_and_of_quick_ones_hears_what_nodes_show(live, server):
    (first,) = seen(live)["started"]
    whole = {"execution_start", "executed", "progress_state", "execution_success"}
    assert {name for name, of in live.evaluate("heard") if of == first} == whole
    assert run(live, server, 5) == {"executed"}
    assert " ms · " in told(live) and seen(live)["pictures"][-1] == seen(live)["started"][-1]
    # another pack's nodes may wait for messages of their own
    own = live.evaluate(PACK, "custom_nodes.another")
    assert run(live, server, 6) == whole
    live.evaluate(PACK, own)
    assert run(live, server, 7) == {"executed"}
    live.evaluate(SWITCH, False)
    assert run(live, server, 8) == whole
    live.evaluate(SWITCH, True)


def test_a_run_that_lasts_is_followed_from_its_beginning_and_can_be_cancelled(live, server):
    before = len(seen(live)["started"])
    set_value(live, "FewStepSigmas", "spacing", "trailing")
    set_value(live, "FewStepSigmas", "steps", 999)
    live.wait_for_function("count => seen.started.length > count", arg=before)
    live.wait_for_function(IS_FOLLOWED)
    # nothing pulses for as long as one is live
    assert live.evaluate(ANIMATION) == "none"
    live.get_by_text("Total:").first.wait_for()
    button(live, "Cancel current run").click()
    live.get_by_text("stopped", exact=True).wait_for()
    assert button(live, "Live").is_visible()
    wait_until_idle(server, 0.3)


def test_it_goes_on_where_its_line_breaks_in_the_middle_of_a_run(live, server):
    set_value(live, "FewStepSigmas", "spacing", "trailing")
    set_value(live, "FewStepSigmas", "steps", 999)
    live.wait_for_function("() => seen.started.length > seen.ended.length + seen.cut.length")
    live.wait_for_function(IS_FOLLOWED)
    lines = live.evaluate("sockets.length")
    set_value(live, "FewStepSigmas", "steps", 4)
    live.evaluate("sockets.at(-1).close()")
    live.wait_for_function(
        "count => sockets.length > count && sockets.at(-1).readyState === 1", arg=lines
    )
    live.wait_for_function("() => seen.pictures.at(-1) === seen.started.at(-1)")
    wait_until_idle(server, 0.3)
    # the page knows that nothing runs, though it did not hear of the end
    assert button(live, "Cancel current run").is_disabled()
    assert run(live, server, 5) == {"executed"}
    assert button(live, "Stop").is_visible()

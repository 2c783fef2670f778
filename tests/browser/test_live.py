"""Live in the real frontend: one types, and the picture follows."""

import json
import re
import time

import pytest
from browser import frontend
from browser.live_page import (
    button,
    open_live,
    seen,
    set_value,
    shown,
    told,
    type_text,
    wait_for_picture,
    wait_until_idle,
)

# letters of a second
SPEED = 8
TEXT = "a blue star on a brown background, large"

# press the button and tell which picture is shown then
STOP = """button => {
    button.click();
    return document.querySelector("img[alt='the latest picture']").src;
}"""


@pytest.fixture
def live(page, server):
    """The page with the example workflow open, nothing switched on yet."""
    open_live(page, server)
    yield page
    assert page.trouble == []


@pytest.fixture(params=["canvas", "Nodes 2.0"])
def live_in_both(request, page, server):
    """The same in each renderer."""
    open_live(page, server, is_vue=request.param == "Nodes 2.0")
    yield page
    server.client.post_json("/settings/Comfy.VueNodes.Enabled", False)
    assert page.trouble == []


def pixels(page, image="document.querySelector(\"img[alt='the latest picture']\")"):
    """What the node shows, or another image of the page, as a PNG data address."""
    return page.evaluate(f"""async () => {{
        const image = {image};
        await image.decode();
        const canvas = document.createElement("canvas");
        [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
        canvas.getContext("2d").drawImage(image, 0, 0);
        return canvas.toDataURL();
    }}""")


def test_typing_makes_pictures_and_the_last_one_is_that_of_the_whole_text(live_in_both, server):
    live, asked = live_in_both, []
    live.on("request", lambda request: is_of_run(request) and asked.append(request))
    button(live, "Live").click()
    wait_for_picture(live)
    before = seen(live)["started"]
    for end in range(1, len(TEXT) + 1):
        type_text(live, TEXT[:end])
        live.wait_for_timeout(1000 / SPEED)
    wait_until_last_has_ended(live, asked, TEXT)
    wait_until_idle(server, seconds=1.0)
    after = seen(live)
    ended = [one for one in after["ended"] if one not in before]
    # how many pictures come while one types is told by test_latest.py, on a clock of its own
    assert 1 <= len(ended) and len(after["started"]) - len(before) <= len(TEXT)
    assert re.fullmatch(r"\d+ ms · 4 passes · [\d.]+ pictures/s", told(live))
    # pictures come in the order in which their runs began
    order = [after["started"].index(one) for one in after["pictures"]]
    assert order == sorted(order)
    typed = pixels(live)
    assert typed == picture_of(live, server, TEXT)
    button(live, "Stop").click()


def is_of_run(request):
    return request.method == "POST" and request.url.endswith("/prompt")


def wait_until_last_has_ended(page, asked, text):
    """Return once the last run was asked for with the text and has ended, as the page was told.

    A server that is idle says nothing of a busy page, which may not have asked for the last yet.
    """
    deadline = time.monotonic() + 60
    while True:
        last = asked[-1]
        if last.post_data_json["prompt"]["5"]["inputs"]["text"] == text:
            if last.response().json()["prompt_id"] in seen(page)["ended"]:
                return
        assert time.monotonic() < deadline
        page.wait_for_timeout(50)


def picture_of(page, server, text):
    """What the same graph shows for a text without Live."""
    button(page, "Stop").click()
    type_text(page, text)
    before = shown(page)
    frontend.press_run(page)
    wait_for_picture(page, before)
    found = pixels(page)
    button(page, "Live").click()
    page.wait_for_timeout(300)
    return found


def test_an_edit_that_changes_nothing_upstream_starts_nothing(live, server):
    button(live, "Live").click()
    wait_for_picture(live)
    wait_until_idle(server)
    before = seen(live)["started"]
    # a note is no part of what is run, nor is where a node lies
    live.evaluate("""() => {
        const node = window.app.graph.nodes.find(node => node.type === "Note");
        node.widgets[0].value = "other words";
        node.pos[0] += 5;
    }""")
    live.wait_for_timeout(600)
    assert seen(live)["started"] == before
    button(live, "Stop").click()
    type_text(live, "a red ring")
    live.wait_for_timeout(600)
    assert seen(live)["started"] == before


def test_what_was_queued_by_hand_is_left_alone(live, server):
    button(live, "Live").click()
    wait_for_picture(live)
    source = {"class_type": "EmptyImage", "inputs": {"width": 64, "height": 64, "batch_size": 1}}
    source["inputs"]["color"] = 255
    queued = []
    for turn in range(12):
        type_text(live, TEXT[: turn + 10])
        if turn in (3, 7):
            saved = {"class_type": "SaveImage", "inputs": {"images": ["1", 0]}}
            saved["inputs"]["filename_prefix"] = f"by hand {turn}"
            queued.append(server.client.queue({"1": source, "2": saved}))
        live.wait_for_timeout(1000 / SPEED)
    for one in queued:
        server.client.wait(one)
    button(live, "Stop").click()
    assert not set(queued) & set(seen(live)["cut"])


def test_nothing_is_written_and_keep_writes_one_file_that_opens_as_the_workflow(live, server):
    files = lambda: {
        path
        for folder in ("output", "temp")
        for path in (server.folder / folder).rglob("*")
        if path.is_file()
    }
    before = files()
    button(live, "Live").click()
    wait_for_picture(live)
    type_text(live, "a green cross on a pink background")
    wait_for_picture(live, shown(live))
    wait_until_idle(server)
    assert files() == before
    button(live, "Keep").click()
    live.get_by_text("kept as fewstep_live").wait_for()
    (kept,) = files() - before
    from PIL import Image

    with Image.open(kept) as image:
        told = {word: json.loads(image.info[word]) for word in ("prompt", "workflow")}
        assert image.size == (128, 128)
    texts = [node["inputs"].get("text") for node in told["prompt"].values()]
    assert "a green cross on a pink background" in texts
    assert any(node["type"] == "FewStepLiveOutput" for node in told["workflow"]["nodes"])
    button(live, "Stop").click()


def test_inside_of_a_subgraph_it_shows_what_it_shows_outside(live_in_both, server):
    live, shown_outside = live_in_both, {}
    for text in ("a red ring", TEXT):
        type_text(live, text)
        before = shown(live)
        frontend.press_run(live)
        wait_for_picture(live, before)
        shown_outside[text] = pixels(live)
    type_text(live, "a red ring")
    # decoding and the live output; its element is asked, since its node may lie beyond the window
    live.evaluate("""() => {
        const { graph } = window.app;
        const { node } = graph.convertToSubgraph(new Set([9, 10].map(id => graph.getNodeById(id))));
        const output = node.subgraph.nodes.find(one => one.type === "FewStepLiveOutput");
        const { element } = output.widgets.find(widget => widget.name === "live");
        window.inside = element.querySelector("img");
    }""")
    changed = "before => window.inside.src !== before && window.inside.src.startsWith('blob:')"
    toggle = "() => window.app.extensionManager.command.execute('FewStep.ToggleLive')"
    live.evaluate(toggle)
    live.wait_for_function(changed, arg="", timeout=60_000)
    assert pixels(live, "window.inside") == shown_outside["a red ring"]
    before = live.evaluate("() => window.inside.src")
    type_text(live, TEXT)
    live.wait_for_function(changed, arg=before, timeout=60_000)
    assert pixels(live, "window.inside") == shown_outside[TEXT] != shown_outside["a red ring"]
    live.evaluate(toggle)
    wait_until_idle(server)


def test_after_stop_no_picture_of_the_run_that_was_too_late_to_cut_off_comes(live, server):
    button(live, "Live").click()
    wait_for_picture(live)
    wait_until_idle(server, 0.3)
    # the server goes on to the end, as it does where the picture is nearly there
    live.route("**/interrupt", lambda route: route.fulfill(status=200))
    before = seen(live)
    type_text(live, TEXT)
    live.wait_for_function("count => seen.started.length > count", arg=len(before["started"]))
    # in one task of the page: between two, the picture may come
    picture = button(live, "Stop").evaluate(STOP)
    live.wait_for_function("count => seen.ended.length > count", arg=len(before["ended"]))
    assert shown(live) == picture
    live.unroute("**/interrupt")


def test_an_answer_that_is_no_reason_stops_it_with_its_status(live):
    # as a proxy answers whose server is overloaded
    live.route("**/prompt", lambda route: route.fulfill(status=503, body="<h1>Sorry</h1>"))
    button(live, "Live").click()
    live.get_by_text("503").wait_for()
    assert button(live, "Live").is_visible()


def test_an_error_stops_it_and_is_told_on_the_node(live, server):
    button(live, "Live").click()
    wait_for_picture(live)
    set_value(live, "FewStepSigmas", "steps", 5000)
    button(live, "Live").wait_for()
    assert button(live, "Live").get_attribute("aria-pressed") == "false"
    told = live.get_by_role("status").filter(has_text="steps")
    told.wait_for()
    assert "5000" in told.inner_text()
    wait_until_idle(server)
    before = seen(live)["started"]
    type_text(live, "a red ring")
    live.wait_for_timeout(300)
    assert seen(live)["started"] == before

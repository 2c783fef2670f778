"""The example workflow `live` in the frontend, and what the tests of Live ask of it."""

import time

from browser import frontend

# counts what the server says of runs, and pictures
COUNT = """() => {
    const seen = window.seen = { started: [], ended: [], cut: [], pictures: [] };
    const note = (name, list) =>
        fromServer.addEventListener(name, ({ detail }) => list.push(detail.prompt_id));
    note("execution_start", seen.started);
    note("execution_success", seen.ended);
    note("execution_interrupted", seen.cut);
    const image = document.querySelector("img[alt='the latest picture']");
    const observer = new MutationObserver(() => seen.pictures.push(seen.started.at(-1)));
    observer.observe(image, { attributeFilter: ["src"] });
}"""
SET = """([type, name, value]) => {
    const node = window.app.graph.nodes.find(node => node.type === type);
    node.widgets.find(widget => widget.name === name).value = value;
}"""
GET = """([type, name]) => window.app.graph.nodes.find(node => node.type === type)
    .widgets.find(widget => widget.name === name).value"""


def open_live(page, server, is_vue=False):
    """Open it in one of the two renderers, nothing switched on yet."""
    server.client.post_json("/settings/Comfy.TutorialCompleted", True)
    server.client.post_json("/settings/Comfy.VueNodes.Enabled", is_vue)
    # wide enough for the whole graph at a scale at which the page draws what is inside nodes
    page.set_viewport_size({"width": 1900, "height": 1000})
    page.add_init_script(frontend.LISTEN)
    frontend.open_template(page, server, "live", waiting_for="FewStepLiveOutput")
    button(page, "Live").wait_for()
    page.evaluate(COUNT)


def button(page, name):
    return page.get_by_role("button", name=name, exact=True)


def set_value(page, node_type, name, value):
    page.evaluate(SET, [node_type, name, value])


def value(page, node_type, name):
    return page.evaluate(GET, [node_type, name])


def type_text(page, text):
    set_value(page, "CLIPTextEncode", "text", text)


def shown(page):
    """The address of the picture on the node; None before the first."""
    return page.get_by_alt_text("the latest picture").first.get_attribute("src")


def wait_for_picture(page, other_than=None):
    page.wait_for_function(
        """before => {
            const image = document.querySelector("img[alt='the latest picture']");
            return image?.src && image.src !== before && image.naturalWidth;
        }""",
        arg=other_than,
        timeout=frontend.LONG,
    )
    return shown(page)


def seen(page):
    return page.evaluate("() => window.seen")


def told(page):
    """What stands beside the buttons."""
    return page.locator(".fewstep-live-bar [role=status]").first.inner_text()


def is_idle(server):
    queue = server.client.get_json("/queue")
    return not queue["queue_running"] and not queue["queue_pending"]


def wait_until_idle(server, seconds=0.0):
    """Return once nothing has waited or run for so long."""
    deadline = time.monotonic() + 60
    idle_since = time.monotonic()
    while time.monotonic() < idle_since + seconds or not is_idle(server):
        assert time.monotonic() < deadline
        if not is_idle(server):
            idle_since = time.monotonic()
        time.sleep(0.05)

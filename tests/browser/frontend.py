"""Driving ComfyUI's real frontend; found out with, and true of, frontend 1.47.10 on both hosts.

Opening a template: the address /?template=NAME&source=PACK opens example_workflows/NAME.json of the
custom node folder PACK, on a fresh user's first visit too. NAME and PACK may hold only letters,
digits, dot, dash and underscore: a name with a space is refused with a console warning, and the
last workflow stays on the screen. The Templates button of the side bar shows every template, also
those with a space in their name, as an element with data-testid "template-workflow-NAME".

Running: the Run button has data-testid "queue-button". It may be pressed as soon as the graph is
there. A node that shows pictures has them as <img> elements in node.imgs; they are drawn on the
canvas and stand nowhere in the page itself.

The graph: window.app.graph exists before it is set up; reading it too early logs an error of the
frontend's own, so wait for the nodes of a template instead. window.app.extensions has the names of
the loaded extensions.
"""

from urllib.parse import urlencode

GRAPH_READY = "() => document.querySelector('canvas#graph-canvas') && window.app?.graph"
NODE_TYPES = "() => window.app.graph.nodes.map(node => node.type)"
HAS_NODE = "type => window.app?.graph?.nodes?.some(node => node.type === type)"
PICTURES = """minimum => {
    const nodes = window.app.graph.nodes;
    const images = nodes.flatMap(node => node.imgs ?? []).filter(image => image.naturalWidth);
    return images.length >= minimum && images.map(image => image.src);
}"""
# before the page is opened: window.sockets has its websockets, window.fromServer an event for every
# message of the server, by its type, before the page itself hears it
LISTEN = """(() => {
    window.fromServer = new EventTarget();
    window.sockets = [];
    window.WebSocket = class extends WebSocket {
        constructor(...given) {
            super(...given);
            window.sockets.push(this);
            this.addEventListener("message", ({ data: text }) => {
                if (typeof text !== "string") return;
                const { type, data: detail } = JSON.parse(text);
                window.fromServer.dispatchEvent(new CustomEvent(type, { detail }));
            });
        }
    };
})()"""
# whether Nodes 2.0 is on, ComfyUI's setting Comfy.VueNodes.Enabled
RENDERERS = {"canvas": False, "Nodes 2.0": True}
LONG = 120_000  # milliseconds
# of Chromium
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-quic",
    "--no-first-run",
    "--disable-component-update",
    "--disable-sync",
    # The frontend asks other servers for news; a test asks nobody but its own server.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]


def open_frontend(page, server):
    """Open the frontend and wait for its graph canvas."""
    page.goto(server.url, wait_until="domcontentloaded")
    page.wait_for_function(GRAPH_READY, timeout=LONG)


def open_template(page, server, name, waiting_for, pack="fewstep"):
    """Open a template by its address, until a node of type waiting_for is on the canvas."""
    query = urlencode({"template": name, "source": pack})
    page.goto(f"{server.url}/?{query}", wait_until="domcontentloaded")
    page.wait_for_function(HAS_NODE, arg=waiting_for, timeout=LONG)


def pick_template(page, name, waiting_for):
    """Open a template as a user does: the Templates button, then the card with its name."""
    page.get_by_role("button", name="Templates", exact=True).first.click()
    page.get_by_test_id(f"template-workflow-{name}").click()
    page.wait_for_function(HAS_NODE, arg=waiting_for, timeout=LONG)


def node_types(page):
    return page.evaluate(NODE_TYPES)


def press_run(page):
    page.get_by_test_id("queue-button").click()


def wait_for_pictures(page, minimum=1, milliseconds=LONG):
    """The addresses of the pictures the nodes show, once there are at least so many."""
    return page.wait_for_function(PICTURES, arg=minimum, timeout=milliseconds).json_value()


def extensions(page, prefix):
    names = page.evaluate("() => window.app.extensions.map(extension => extension.name)")
    return [name for name in names if name.startswith(prefix)]

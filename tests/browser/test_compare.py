"""Compare's divider in both of the frontend's renderers, on pairs of plain pictures."""

import io

import pytest
from browser import frontend
from host.test_compare_node import plain
from host.test_recipe_api import node
from PIL import Image

RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)
A, B = (RED, GREEN, BLUE), (GREEN, BLUE, RED)
OPEN = "prompt => window.app.loadApiJson(prompt, 'pairs')"
# the node alone in the middle of the screen, in its own size
LOOK = """() => {
    const node = window.app.graph.nodes.find(node => node.type === "FewStepCompare");
    node.pos = [0, -2000];
    Object.assign(window.app.canvas.ds, { scale: 1, offset: [500, 2150] });
    window.app.canvas.setDirty(true, true);
}"""
LOADED = """address => {
    const images = [...document.querySelectorAll(".fewstep-compare-stage img")];
    return images.length === 2 && images.every(image => image.complete && image.naturalWidth)
        && images[0].src !== address && images[0].src;
}"""
# where canvas and node are
STATE = """() => {
    const node = window.app.graph.nodes.find(node => node.type === "FewStepCompare");
    const { scale, offset } = window.app.canvas.ds;
    return { scale, offset: [...offset], pos: [...node.pos], size: [...node.size] };
}"""


def number(colour):
    return int.from_bytes(bytes(colour), "big")


def graph():
    nodes, links = {}, {}
    for name, size, colours in [("images_a", 64, A), ("images_b", 32, B)]:
        made, last = plain(size, *map(number, colours))
        nodes |= made
        links[name] = [last, 0]
    numbers = {name: str(k) for k, name in enumerate([*nodes, "compare"], 1)}
    nodes["compare"] = node("FewStepCompare", **links, label_a="<b>before</b>", label_b="after")
    # the frontend's nodes have numbers for names
    for entry in nodes.values():
        for key, value in entry["inputs"].items():
            if isinstance(value, list):
                entry["inputs"][key] = [numbers[value[0]], value[1]]
    return {numbers[name]: entry for name, entry in nodes.items()}


@pytest.fixture(params=[False, True], ids=["canvas", "vue"])
def compared(request, page, server):
    """The page with three pairs run, in one of the renderers."""
    settings = {"Comfy.TutorialCompleted": True, "Comfy.VueNodes.Enabled": request.param}
    server.client.post_json("/settings", settings)
    page.set_viewport_size({"width": 1900, "height": 1000})
    open_graph(page, server)
    page.evaluate(LOOK)
    frontend.press_run(page)
    page.wait_for_function(LOADED, arg="", timeout=frontend.LONG)
    yield page
    server.client.post_json("/settings", {"Comfy.VueNodes.Enabled": False})
    assert page.trouble == []


def open_graph(page, server):
    frontend.open_frontend(page, server)
    page.wait_for_function("() => window.app.extensionManager?.setting && window.app.vueAppReady")
    page.wait_for_function("() => window.app.graph?.nodes?.length", timeout=frontend.LONG)
    page.evaluate(OPEN, graph())
    page.wait_for_function(frontend.HAS_NODE, arg="FewStepCompare", timeout=frontend.LONG)


def row(page):
    """The colours across the middle of the picture, at 1/8 and 7/8 of its width and between."""
    stage = page.locator(".fewstep-compare-stage")
    with Image.open(io.BytesIO(stage.screenshot())) as image:
        seen = image.convert("RGB")
    # above the handle of the divider
    return [seen.getpixel((seen.width * eighth // 8, seen.height // 4)) for eighth in range(1, 8)]


def test_the_divider_parts_the_pictures_where_the_keyboard_puts_it(compared):
    slider = compared.get_by_role("slider", name="Divider")
    slider.press("Home")
    for _ in range(3):
        slider.press("Shift+ArrowRight")
    slider.press("ArrowRight")
    assert slider.get_attribute("aria-valuenow") == "31"
    # 31 % is between two and three eighths
    assert row(compared) == [RED] * 2 + [GREEN] * 5
    # a name is text, whatever stands in it
    assert compared.get_by_text("<b>before</b>", exact=True).is_visible()
    slider.press("End")
    assert row(compared) == [RED] * 7

    first = compared.evaluate(LOADED, "")
    slider.press("Home")
    slider.press("PageDown")
    compared.wait_for_function(LOADED, arg=first)
    assert compared.get_by_text("2 of 3", exact=True).is_visible()
    assert row(compared) == [BLUE] * 7
    compared.get_by_role("button", name="Difference", exact=True).click()
    # green less blue is cyan
    assert row(compared) == [(0, 255, 255)] * 7
    compared.get_by_role("button", name="All", exact=True).click()
    second = compared.evaluate(LOADED, "")
    compared.get_by_role("button", name="Pair 3").click()
    compared.wait_for_function(LOADED, arg=second)
    assert row(compared) == [(255, 0, 255)] * 7

    before = compared.evaluate(STATE)
    box = compared.locator(".fewstep-compare-stage").bounding_box()
    x, y = box["x"] + box["width"] / 4, box["y"] + box["height"] / 2
    compared.get_by_role("button", name="Difference", exact=True).click()
    compared.mouse.move(x, y)
    compared.mouse.wheel(0, 300)
    compared.mouse.down()
    compared.mouse.move(x + box["width"] / 2, y + 60, steps=4)
    compared.mouse.up()
    compared.mouse.move(x, y + 40)
    # it is where it was dragged to, and stays there
    assert row(compared) == [BLUE] * 5 + [row(compared)[5]] + [RED]
    assert slider.get_attribute("aria-valuenow") == "75"
    assert compared.evaluate(STATE) == before


def test_switched_off_the_node_has_its_own_inputs_alone(page, server):
    server.client.post_json("/settings", {"FewStep.Compare": False})
    open_graph(page, server)
    widgets = page.evaluate("""() => window.app.graph.nodes
        .find(node => node.type === "FewStepCompare").widgets.map(widget => widget.name)""")
    server.client.post_json("/settings", {"FewStep.Compare": True})
    assert widgets == ["label_a", "label_b"]
    assert page.locator(".fewstep-compare").count() == 0

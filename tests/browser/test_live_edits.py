"""Which edits count while Live is on, in Nodes 2.0: of every kind, each once, and by sliders."""

import json

import pytest
from browser.live_page import (
    button,
    open_live,
    seen,
    set_value,
    told,
    type_text,
    value,
    wait_for_picture,
    wait_until_idle,
)
from PIL import Image

NASTY = '<img src=x onerror="window.struck = 1"><b id="struck">'
# nodes 6 and 5 encode the negative and the positive prompt, 8 samples, 10 is the live output
GRAPH = {
    "mute": "graph.getNodeById(10).mode = 2",
    "unmute": "graph.getNodeById(10).mode = 0",
    "link": "graph.getNodeById(5).connect(0, graph.getNodeById(8), 2)",
    "link back": "graph.getNodeById(6).connect(0, graph.getNodeById(8), 2)",
    "bypass": "graph.getNodeById(3).mode = 4",
    "several": """const second = LiteGraph.createNode("FewStepLiveOutput");
        graph.add(second); graph.getNodeById(9).connect(0, second, 0)""",
    "picture": """const load = LiteGraph.createNode("LoadImage");
        const encode = LiteGraph.createNode("VAEEncode");
        graph.add(load); graph.add(encode);
        load.connect(0, encode, 0); graph.getNodeById(2).connect(2, encode, 1);
        encode.connect(0, graph.getNodeById(8), 5)""",
    "mask": """const load = graph.nodes.find(node => node.type === "LoadImage");
        const masked = LiteGraph.createNode("SetLatentNoiseMask");
        graph.add(masked); masked.connect(0, graph.getNodeById(8), 5);
        graph.nodes.find(node => node.type === "VAEEncode").connect(0, masked, 0);
        load.connect(1, masked, 1)""",
    "edit mask": """window.app.canvas.selectNode(
            graph.nodes.find(node => node.type === "LoadImage"));
        await window.app.extensionManager.command.execute("Comfy.MaskEditor.OpenMaskEditor")""",
    "core's sampler": """const select = LiteGraph.createNode("KSamplerSelect");
        graph.add(select); select.connect(0, graph.getNodeById(8), 3)""",
    "itself": """const live = graph.getNodeById(10), seed = graph.getNodeById(8).widgets
            .find(widget => widget.name === "noise_seed");
        const { api } = await import("/scripts/api.js");
        window.itself = 0;
        // as a node does that fills in a field when it has run
        api.addEventListener("executed", () => { window.itself++; seed.value++; })""",
}


@pytest.fixture(scope="module")
def live(browser, server):
    """One page for all of them, with Live switched on."""
    # a file whose name would be a command, were it not text
    for name, colour in (("red.png", "red"), ("<b id=struck>.png", "blue")):
        Image.new("RGB", (128, 128), colour).save(server.folder / "input" / name)
    context = browser.new_context()
    page = context.new_page()
    open_live(page, server, is_vue=True)
    button(page, "Live").click()
    wait_for_picture(page)
    wait_until_idle(server, 0.3)
    yield page
    assert page.evaluate("() => window.struck ?? document.getElementById('struck')") is None
    server.client.post_json("/settings/Comfy.VueNodes.Enabled", False)
    context.close()


def change(page, name):
    page.evaluate(f"async () => {{ const {{ graph }} = window.app; {GRAPH[name]}; }}")


def runs_of(page, server, edit, seconds=0.4):
    """How many runs an edit starts; there is none still under way afterwards."""
    before = len(seen(page)["started"])
    edit()
    page.wait_for_function(
        "before => window.seen.started.length > before", arg=before, timeout=20_000
    )
    wait_until_idle(server, seconds)
    return len(seen(page)["started"]) - before


def paint_mask(page):
    """Draw a line over the picture of LoadImage in ComfyUI's own editor, and save it."""
    change(page, "edit mask")
    save = page.get_by_role("dialog").get_by_role("button", name="Save")
    save.wait_for()
    page.mouse.move(800, 450)
    page.mouse.down()
    page.mouse.move(900, 480, steps=5)
    page.mouse.up()
    save.click()
    save.wait_for(state="detached")


def test_an_edit_of_any_kind_starts_one_run(live, server):
    edits = {
        "text": lambda: type_text(live, "a green cross"),
        "number": lambda: set_value(live, "SamplerCustom", "cfg", 1.5),
        "combo": lambda: set_value(live, "FewStepSigmas", "spacing", "trailing"),
        "switch": lambda: set_value(live, "SamplerCustom", "add_noise", False),
        "seed": lambda: set_value(live, "SamplerCustom", "noise_seed", 2**52),
        "link": lambda: change(live, "link"),
        "link back": lambda: change(live, "link back"),
        "long text": lambda: type_text(live, NASTY + "é" * 10_000),
        "picture": lambda: change(live, "picture"),
        "file": lambda: set_value(live, "LoadImage", "image", "red.png"),
        "nasty file": lambda: set_value(live, "LoadImage", "image", "<b id=struck>.png"),
        "mask": lambda: change(live, "mask"),
        "painted mask": lambda: paint_mask(live),
    }
    assert {name: runs_of(live, server, edit) for name, edit in edits.items()} == dict.fromkeys(
        edits, 1
    )
    assert button(live, "Stop").is_visible()


def test_of_a_sampler_whose_passes_nobody_counts_the_steps_are_told(live, server):
    set_value(live, "SamplerCustom", "cfg", 1.0)
    set_value(live, "FewStepSigmas", "steps", 3)
    wait_until_idle(server, 0.4)
    assert " · 3 passes · " in told(live)
    assert runs_of(live, server, lambda: change(live, "core's sampler")) == 1
    assert " · 3 steps · " in told(live)


def test_a_run_that_changes_a_widget_does_not_start_another(live, server):
    change(live, "itself")
    seed = value(live, "SamplerCustom", "noise_seed")
    steps = lambda: set_value(live, "FewStepSigmas", "steps", 5)
    assert runs_of(live, server, steps, 1.5) == 1
    assert live.evaluate("window.itself") == 1
    # what the Run button would do after each run is left to the Run button
    set_value(live, "SamplerCustom", "control_after_generate", "randomize")
    wait_until_idle(server, 0.5)
    assert runs_of(live, server, lambda: type_text(live, "a pink ring"), 1.5) == 1
    assert value(live, "SamplerCustom", "noise_seed") == seed + live.evaluate("window.itself")


def test_a_slider_drives_its_number_by_keyboard_and_is_saved_with_the_workflow(live, server):
    choice = live.get_by_label("A number that leads here")
    choice.select_option("denoise · Sigmas (FewStep)")
    button(live, "Add slider").click()
    slider = live.get_by_role("slider", name="denoise · Sigmas (FewStep)")
    slider.focus()
    assert runs_of(live, server, lambda: live.keyboard.press("ArrowLeft")) == 1
    assert value(live, "FewStepSigmas", "denoise") == 0.99
    choice.select_option("noise_seed · SamplerCustom")
    button(live, "Add slider").click()
    before = value(live, "SamplerCustom", "noise_seed")
    assert runs_of(live, server, button(live, "New seed").click) == 1
    assert value(live, "SamplerCustom", "noise_seed") != before
    # moving a slider neither moves the node nor deletes it
    saved = live.evaluate("() => JSON.stringify(window.app.graph.serialize())")
    nodes = {node["id"]: node for node in json.loads(saved)["nodes"]}
    assert len(nodes[10]["properties"]["fewstep_sliders"]) == 2
    live.evaluate("saved => window.app.loadGraphData(JSON.parse(saved))", saved)
    slider.wait_for()
    assert slider.input_value() == "0.99"
    button(live, "Remove the slider of denoise · Sigmas (FewStep)").click()
    slider.wait_for(state="detached")


def test_several_live_outputs_show_one_run_and_without_any_it_says_so(live, server):
    if not button(live, "Stop").count():
        button(live, "Live").click()
    wait_until_idle(server, 0.4)
    assert runs_of(live, server, lambda: change(live, "several")) == 1
    pictures = live.get_by_alt_text("the latest picture")
    assert pictures.count() == 2
    assert runs_of(live, server, lambda: type_text(live, "a blue star")) == 1
    assert live.evaluate("""async () => {
        const images = [...document.querySelectorAll("img[alt='the latest picture']")];
        await Promise.all(images.map(image => image.decode()));
        return images.every(image => image.naturalWidth === 128);
    }""")
    live.evaluate("() => window.app.graph.remove(window.app.graph.nodes.at(-1))")
    wait_until_idle(server, 0.5)
    change(live, "mute")
    live.get_by_text("There is no active Live Output (FewStep) in this workflow.").wait_for()
    assert button(live, "Live").get_attribute("aria-pressed") == "false"
    change(live, "unmute")
    # a bypassed node that the rest cannot do without is refused, and says why
    change(live, "bypass")
    button(live, "Live").click()
    live.wait_for_function(
        "() => /sigmas/.test(document.querySelector('.fewstep-live-bar [role=status]').textContent)"
    )
    assert "required" in told(live).lower()

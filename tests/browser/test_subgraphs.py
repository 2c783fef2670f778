"""A ready sub-graph in the real frontend: found by typing, connected, run, looked at."""

import io

import numpy
from browser import frontend
from PIL import Image

from fewstep.demo import judge, world

NAME = "4-step text to image (FewStep)"
# the demo model and what its LoRA needs, beside the sub-graph and joined to it by its names
JOIN = """() => {
    const graph = window.app.graph;
    const ready = graph.nodes[0];
    const add = (kind, y) => {
        const node = LiteGraph.createNode(kind);
        node.pos = [ready.pos[0] - 400, ready.pos[1] + y];
        graph.add(node);
        return node;
    };
    const demo = add("FewStepDemoModel", 0);
    const recipe = add("FewStepRecipe", 150);
    recipe.widgets.find(widget => widget.name === "recipe_id").value = "lcm-lora-sd15";
    for (const [slot, name] of ["model", "clip", "vae"].entries())
        demo.connect(slot, ready, ready.findInputSlot(name));
    recipe.connect(0, ready, ready.findInputSlot("recipe"));
    const values = { text: "a red circle", width: 128, height: 128 };
    for (const [name, value] of Object.entries(values))
        ready.widgets.find(widget => widget.name === name).value = value;
    const show = LiteGraph.createNode("PreviewImage");
    show.pos = [ready.pos[0] + 400, ready.pos[1]];
    graph.add(show);
    ready.connect(ready.findOutputSlot("IMAGE"), show, 0);
}"""
IS_THERE = "name => window.app.graph.nodes.some(node => node.title === name)"
SEARCH = """async () => {
    window.app.graph.clear();
    await window.app.extensionManager.command.execute("Workspace.SearchBox.Toggle");
}"""


def test_it_is_found_by_what_people_type_and_draws_what_it_is_told(page, server):
    server.client.post_json("/settings/Comfy.TutorialCompleted", True)
    frontend.open_frontend(page, server)
    page.wait_for_function("() => window.app.extensionManager?.command")
    page.evaluate(SEARCH)
    page.get_by_role("combobox").fill("4 step")
    page.get_by_test_id("result-item").filter(has_text=NAME).click()
    # it hangs on the pointer until it is put down
    page.locator("#graph-canvas").click(position={"x": 800, "y": 300})
    page.wait_for_function(IS_THERE, arg=NAME)
    page.evaluate(JOIN)
    frontend.press_run(page)
    (address,) = frontend.wait_for_pictures(page)
    picture = Image.open(io.BytesIO(page.request.get(address).body())).convert("RGB")
    seen = judge.read_picture(numpy.asarray(picture))
    assert judge.satisfies(seen, world.read_caption("a red circle"))
    assert page.trouble == []

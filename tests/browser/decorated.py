"""A graph in which every node that shows something of its run has something to show."""

from pathlib import Path
from shutil import copy

LORA = Path(__file__).resolve().parents[2] / "demo" / "weights" / "lcm_lora.safetensors"
# what the file of its LoRA is called, where nobody says otherwise
NAME = "lcm_lora_demo.safetensors"
# how many nodes of it show something
DECORATED = 9
BUILD = """name => {
    const graph = window.app.graph;
    graph.clear();
    const make = (type, x, y, values = {}, size = null) => {
        const node = LiteGraph.createNode(type);
        node.pos = [x, y];
        graph.add(node);
        if (size) node.setSize(size);
        for (const [key, value] of Object.entries(values))
            node.widgets.find(widget => widget.name === key).value = value;
        return node;
    };
    const link = (from, output, to, input) =>
        from.connect(output, to, to.inputs.findIndex(one => one.name === input));
    const look = (node, output, row) =>
        node.connect(output, make("PreviewAny", 2100, 300 * row), 0);
    const demo = make("FewStepDemoModel", -700, 0, { variant: "teacher" });
    const text = make("CLIPTextEncode", -700, 200, { text: "a red circle on a gray background" });
    const latent = make("EmptyLatentImage", -700, 500, { width: 128, height: 128 });
    const lora = make("FewStepLoraLoader", 0, 0, { lora_name: name });
    const file = make("FewStepIdentify", 0, 400, { file: name });
    const cache = make("FewStepCache", 1200, 0, { policy: "fixed", threshold: 0, max_skips: 1 });
    const apply = make("FewStepApply", 300, 0);
    const sigmas = make("FewStepSigmas", 300, 400, { spacing: "lcm", denoise: 0.7 });
    const check = make("FewStepCheck", 900, 440);
    const fitting = make("FewStepSample", 600, 0);
    const burnt = make("FewStepSample", 900, 0, { guidance: 7 });
    const guider = make("FewStepGuider", 600, 440);
    // never cached: what a cache saves is told by the run alone
    const seed = Date.now();
    const slow = make("KSampler", -700, 700, { seed, steps: 16, cfg: 1 });
    link(demo, 0, lora, "model");
    link(demo, 0, cache, "model");
    link(demo, 1, text, "clip");
    for (const node of [apply, sigmas, check, fitting, burnt, guider]) link(lora, 0, node, "model");
    for (const node of [apply, fitting, burnt]) link(lora, 1, node, "recipe");
    for (const node of [fitting, burnt, guider]) link(text, 0, node, "positive");
    link(text, 0, burnt, "negative");
    link(cache, 0, slow, "model");
    for (const input of ["positive", "negative"]) link(text, 0, slow, input);
    for (const node of [fitting, burnt, slow]) link(latent, 0, node, "latent_image");
    for (const { widgets } of [fitting, burnt, slow])
        widgets.find(one => one.name === "control_after_generate").value = "fixed";
    const looked = [[apply, 4], [sigmas, 0], [check, 0], [fitting, 1], [burnt, 1], [guider, 1],
        [file, 1], [slow, 0]];
    looked.forEach(([node, output], row) => look(node, output, row));
    Object.assign(window.app.canvas.ds, { scale: 1, offset: [120, 160] });
    window.app.canvas.setDirty(true, true);
}"""
ALL_SHOWN = """count =>
    document.querySelectorAll(".fewstep-looks").length >= count &&
    [...document.querySelectorAll(".fewstep-run")].some(one => one.textContent.includes("saved"))
"""


def put_lora(server, name=NAME):
    """The demo's LoRA among the files of a server."""
    folder = server.folder / "models" / "loras"
    folder.mkdir(parents=True, exist_ok=True)
    copy(LORA, folder / name)
    return folder / name


def build(page, name=NAME):
    """Put the graph into an open page."""
    page.evaluate(BUILD, name)


def wait_until_shown(page, milliseconds=120_000):
    """Return once every node shows what its run was."""
    page.wait_for_function(ALL_SHOWN, arg=DECORATED, timeout=milliseconds)

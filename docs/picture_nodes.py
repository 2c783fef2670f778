"""Makes web/docs/pictures: every node as it comes out of ComfyUI's menu, for its help page.

Run it with the Python of the browser tests, .venv/comfyui/bin/python docs/picture_nodes.py.
"""

from pathlib import Path
from shutil import copy

from pictured import ROOT, cut, started, write_small

PICTURES = ROOT / "web" / "docs" / "pictures"
MOST = 12_000  # bytes of a picture
# so that lists of files have one; nothing is loaded
FILE = ROOT / "demo" / "weights" / "lcm_lora.safetensors"
LISTED = "loras/your_lora.safetensors", "checkpoints/your_model.safetensors"
OURS = """() => Object.keys(LiteGraph.registered_node_types)
    .filter(type => type.startsWith("FewStep"))"""
ALONE = """type => {
    const { graph, canvas } = window.app;
    graph.clear();
    const node = LiteGraph.createNode(type);
    node.pos = [0, 0];
    graph.add(node);
    Object.assign(canvas.ds, { scale: 1, offset: [500, 200] });
    canvas.setDirty(true, true);
    return node.id;
}"""


def main():
    PICTURES.mkdir(exist_ok=True)
    with started() as comfyui:
        for name in LISTED:
            path = Path(comfyui.server.folder) / "models" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            copy(FILE, path)
        with comfyui.opened(vue=False, palette="dark") as page:
            for node in page.evaluate(OURS):
                number = page.evaluate(ALONE, node)
                # until it is drawn, with what our scripts put on it
                page.wait_for_timeout(400)
                write_small(cut(page, [number]), PICTURES / f"{node}.webp", MOST)


if __name__ == "__main__":
    main()

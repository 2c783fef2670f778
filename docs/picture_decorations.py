"""Makes docs/nodes: all that nodes show of a run, in both of ComfyUI's renderers, dark and light.

Run it with the Python of the browser tests, .venv/comfyui/bin/python docs/picture_decorations.py.
"""

import io
import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

ROOT = Path(__file__).resolve().parent.parent
# the script is run by its path, and the folder of tests is no package
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from bootstrap import find_chromium, find_comfyui  # noqa: E402
from bootstrap.server import Server, own_base_directory  # noqa: E402
from browser import decorated, frontend  # noqa: E402
from host.client import Client  # noqa: E402

PICTURES = ROOT / "docs" / "nodes"
# bytes of a picture, and WebP's qualities to come below that: the first that does
MOST = 40_000
QUALITIES = range(70, 20, -3)
MARGIN = 14  # pixels
SETTINGS = {
    "Comfy.TutorialCompleted": True,
    "Comfy.Minimap.Visible": False,
    "Comfy.Graph.CanvasInfo": False,
    "Comfy.NodeBadge.NodeSourceBadgeMode": "None",
    # hidden
    "Comfy.LinkRenderMode": -1,
}
# left, top, right, bottom of all nodes that show something, in pixels of the page
BOX = """() => {
    const { canvas } = window.app;
    const whole = canvas.canvas.getBoundingClientRect();
    const boxes = window.app.graph.nodes
        .filter(node => node.widgets?.some(widget => widget.name === "fewstep_looks"))
        .map(node => {
            const drawn = document.querySelector(`[data-node-id="${node.id}"]`);
            if (drawn) {
                const { left, top, right, bottom } = drawn.getBoundingClientRect();
                return [left, top, right, bottom];
            }
            const [x, y] = [0, 1].map(i => node.pos[i] + canvas.ds.offset[i]);
            const [left, top] = [whole.left + x, whole.top + y];
            return [left, top - 30, left + node.size[0], top + node.size[1]];
        });
    const side = (i, most) => most(...boxes.map(box => box[i]));
    return [side(0, Math.min), side(1, Math.min), side(2, Math.max), side(3, Math.max)];
}"""


def picture(browser, server, *, vue: bool, palette: str) -> Image.Image:
    """The nodes after a run, cut out of the page."""
    settings = SETTINGS | {"Comfy.VueNodes.Enabled": vue, "Comfy.ColorPalette": palette}
    for name, value in settings.items():
        Client(server.url).post_json(f"/settings/{name}", value)
    context = browser.new_context(viewport={"width": 1900, "height": 1100})
    page = context.new_page()
    frontend.open_template(page, server, "live", waiting_for="FewStepLiveOutput")
    decorated.build(page)
    frontend.press_run(page)
    decorated.wait_until_shown(page)
    # until the last node is drawn, and what tells that a run was queued is gone
    page.wait_for_timeout(6000)
    left, top, right, bottom = page.evaluate(BOX)
    clip = {"x": left - MARGIN, "y": top - MARGIN}
    clip |= {"width": right - left + 2 * MARGIN, "height": bottom - top + 2 * MARGIN}
    shot = page.screenshot(clip=clip)
    context.close()
    return Image.open(io.BytesIO(shot)).convert("RGB")


def small(shown: Image.Image) -> bytes:
    """A WebP file as good as fits into MOST bytes."""
    for quality in QUALITIES:
        file = io.BytesIO()
        shown.save(file, "WEBP", quality=quality, method=6)
        if len(file.getvalue()) <= MOST:
            break
    return file.getvalue()


def main():
    comfyui, chromium = find_comfyui.find(), find_chromium.find()
    if comfyui is None or chromium is None:
        raise SystemExit(find_comfyui.not_found() if comfyui is None else find_chromium.not_found())
    PICTURES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        arguments = ["--cpu", *own_base_directory(folder)]
        with Server(
            comfyui.folder, sys.executable, folder, arguments=arguments, shim=True
        ) as server:
            server.wait_until_ready()
            decorated.put_lora(server)
            browser = playwright.chromium.launch(executable_path=chromium, args=frontend.FLAGS)
            for renderer in ("canvas", "vue"):
                for palette in ("dark", "light"):
                    shown = picture(browser, server, vue=renderer == "vue", palette=palette)
                    name = PICTURES / f"{renderer}-{palette}.webp"
                    name.write_bytes(small(shown))
            browser.close()


if __name__ == "__main__":
    main()

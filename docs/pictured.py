"""Nodes cut out of ComfyUI's real page, for the scripts that make pictures of them."""

import io
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

ROOT = Path(__file__).resolve().parent.parent
# scripts are run by their path, and the folder of tests is no package
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from bootstrap import find_chromium, find_comfyui  # noqa: E402
from bootstrap.server import Server, own_base_directory  # noqa: E402
from browser import frontend  # noqa: E402
from host.client import Client  # noqa: E402

# WebP's qualities, of which the first is taken that is small enough
QUALITIES = range(80, 20, -3)
MARGIN = 14  # pixels
SETTINGS = {
    "Comfy.TutorialCompleted": True,
    "Comfy.Minimap.Visible": False,
    "Comfy.Graph.CanvasInfo": False,
    "Comfy.NodeBadge.NodeSourceBadgeMode": "None",
    # hidden
    "Comfy.LinkRenderMode": -1,
}
# left, top, right, bottom of nodes by id, in pixels of the page
BOX = """ids => {
    const { canvas } = window.app;
    const whole = canvas.canvas.getBoundingClientRect();
    const boxes = ids.map(id => window.app.graph.getNodeById(id)).map(node => {
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


class Frontend:
    """A ComfyUI with this pack, and a browser to look at it with."""

    def __init__(self, server, browser):
        self.server, self.browser = server, browser

    @contextmanager
    def opened(self, *, vue: bool, palette: str) -> Iterator[Page]:
        """A page with one of the two renderers, "dark" or "light"."""
        settings = {"Comfy.VueNodes.Enabled": vue, "Comfy.ColorPalette": palette}
        for name, value in (SETTINGS | settings).items():
            Client(self.server.url).post_json(f"/settings/{name}", value)
        context = self.browser.new_context(viewport={"width": 1900, "height": 1100})
        page = context.new_page()
        frontend.open_template(page, self.server, "live", waiting_for="FewStepLiveOutput")
        yield page
        context.close()


@contextmanager
def started() -> Iterator[Frontend]:
    """The ComfyUI and the Chromium that are found here; says so where one is not."""
    comfyui, chromium = find_comfyui.find(), find_chromium.find()
    if comfyui is None or chromium is None:
        raise SystemExit(find_comfyui.not_found() if comfyui is None else find_chromium.not_found())
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        arguments = ["--cpu", *own_base_directory(folder)]
        with Server(
            comfyui.folder, sys.executable, folder, arguments=arguments, shim=True
        ) as server:
            server.wait_until_ready()
            browser = playwright.chromium.launch(executable_path=chromium, args=frontend.FLAGS)
            yield Frontend(server, browser)
            browser.close()


def cut(page: Page, ids: list[int]) -> Image.Image:
    """These nodes of the open graph, at scale 1, with a margin."""
    left, top, right, bottom = page.evaluate(BOX, ids)
    clip = {"x": left - MARGIN, "y": top - MARGIN}
    clip |= {"width": right - left + 2 * MARGIN, "height": bottom - top + 2 * MARGIN}
    return Image.open(io.BytesIO(page.screenshot(clip=clip))).convert("RGB")


def write_small(picture: Image.Image, path: Path, most: int) -> None:
    """Write a WebP file as good as fits into so many bytes."""
    for quality in QUALITIES:
        file = io.BytesIO()
        picture.save(file, "WEBP", quality=quality, method=6)
        if len(file.getvalue()) <= most:
            break
    path.write_bytes(file.getvalue())

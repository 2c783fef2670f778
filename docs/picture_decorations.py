"""Makes docs/nodes: all that nodes show of a run, in both of ComfyUI's renderers, dark and light.

Run it with the Python of the browser tests, .venv/comfyui/bin/python docs/picture_decorations.py.
"""

from pictured import ROOT, cut, started, write_small

# found by what pictured has put on the path
from browser import decorated, frontend  # isort: skip

PICTURES = ROOT / "docs" / "nodes"
MOST = 40_000  # bytes of a picture
SHOWN = """() => window.app.graph.nodes
    .filter(node => node.widgets?.some(widget => widget.name === "fewstep_looks"))
    .map(node => node.id)"""


def main():
    PICTURES.mkdir(exist_ok=True)
    with started() as comfyui:
        decorated.put_lora(comfyui.server)
        for renderer in ("canvas", "vue"):
            for palette in ("dark", "light"):
                with comfyui.opened(vue=renderer == "vue", palette=palette) as page:
                    picture = after_a_run(page)
                write_small(picture, PICTURES / f"{renderer}-{palette}.webp", MOST)


def after_a_run(page):
    decorated.build(page)
    frontend.press_run(page)
    decorated.wait_until_shown(page)
    # until the last node is drawn, and what tells that a run was queued is gone
    page.wait_for_timeout(6000)
    return cut(page, page.evaluate(SHOWN))


if __name__ == "__main__":
    main()

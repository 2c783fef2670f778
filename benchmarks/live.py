"""How Live follows typing and sliders in the real frontend, beside core's Run (On Change).

.venv/comfyui/bin/python benchmarks/live.py [folder of ComfyUI] [--turns 3]
.venv/comfyui/bin/python benchmarks/live.py [folder of ComfyUI] --minutes 10 [--nodes-2]
                                            [--without-menu] [--looking-on]
"""

import argparse
import asyncio
import importlib
import os
import statistics
import sys
import tempfile
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import aiohttp
from playwright.sync_api import sync_playwright

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
find_chromium = importlib.import_module("bootstrap.find_chromium")
find_comfyui = importlib.import_module("bootstrap.find_comfyui")
server = importlib.import_module("bootstrap.server")
client = importlib.import_module("host.client")
frontend = importlib.import_module("browser.frontend")
live_page = importlib.import_module("live_page")

TEXT = "a blue star on a brown background, large"
# letters of a second
SPEED = 8
# milliseconds beside one run, and the share of the bare backend's pictures a second
ALLOWED, SHARE = 150, 0.7
# what memory may grow by, and the seconds before it counts
FLAT, WARM = 0.05, 120


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("comfyui", nargs="?", help="default: $COMFYUI_PATH or ~/comfy/ComfyUI")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--minutes", type=float, default=0, help="of the soak; none by default")
    parser.add_argument("--nodes-2", action="store_true", help="soak in Nodes 2.0, not the canvas")
    parser.add_argument(
        "--without-menu", action="store_true", help="soak without the page's menu and its tooltips"
    )
    parser.add_argument(
        "--looking-on",
        action="store_true",
        help="soak a page that is open, without Live, while the bare backend runs",
    )
    arguments = parser.parse_args()
    if arguments.comfyui:
        os.environ["COMFYUI_PATH"] = arguments.comfyui
    comfyui = find_comfyui.find()
    if comfyui is None:
        sys.exit(find_comfyui.not_found())
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        given = ["--cpu", *server.own_base_directory(folder)]
        with server.Server(
            comfyui.folder, sys.executable, folder, arguments=given, shim=True
        ) as running:
            running.wait_until_ready()
            running.client = client.Client(running.url)
            browser = playwright.chromium.launch(
                executable_path=find_chromium.find(), args=live_page.FLAGS
            )
            if arguments.without_menu:
                running.client.post_json("/settings/Comfy.UseNewMenu", "Disabled")
            if arguments.minutes:
                return soak(browser, running, arguments)
            return int(typing(browser, running, arguments.turns)) | dragging(
                browser, running, arguments.turns
            )


def opened(browser, running, is_vue):
    return live_page.LivePage(browser, running.url, running.client, is_vue)


def typing(browser, running, turns):
    """Print the table of typing; whether Live exceeds a limit."""
    print(
        "| | renderer | letters/s | runs | finished | run, ms | picture after the last letter, ms |"
    )
    print("|---|---|---|---|---|---|---|")
    is_over = False
    for renderer, is_vue in frontend.RENDERERS.items():
        for way in ("Live", "Run (On Change)"):
            with opened(browser, running, is_vue) as page:
                if way == "Live":
                    page.switch_live_on()
                else:
                    page.switch_auto("change")
                for _ in range(turns):
                    found = page.type(TEXT, SPEED)
                    print(row(way, renderer, found), flush=True)
                    if way == "Live":
                        is_over |= exceeds(found)
                page.switch_auto("disabled")
    return is_over


def row(way, renderer, found):
    last = f"{found['last']:.0f}" if found["last"] == found["last"] else "never"
    cells = [
        way,
        renderer,
        f"{found['speed']:.1f}",
        found["started"],
        found["finished"],
        f"{found['run']:.0f}",
        last,
    ]
    late = found["older after newer"]
    return (
        "| " + " | ".join(map(str, cells)) + " |" + (f" {late} older after newer" if late else "")
    )


def exceeds(found):
    is_late = not found["last"] <= found["run"] + ALLOWED
    is_wrong = found["older after newer"] > 0 or found["started"] > len(TEXT)
    return is_late or is_wrong or found["finished"] < 5


def dragging(browser, running, turns):
    """Print pictures a second beside the bare backend's; whether the share is too small."""
    print("\n| renderer | bare backend, pictures/s | Run (Instant) | slider | share of bare |")
    print("|---|---|---|---|---|")
    shares = []
    for renderer, is_vue in frontend.RENDERERS.items():
        with opened(browser, running, is_vue) as page:
            graph = page.graph()
        for _ in range(turns):
            before = bare_rate(running.url, graph)
            with opened(browser, running, is_vue) as page:
                instant = page.run_instantly(5)
            with opened(browser, running, is_vue) as page:
                page.switch_live_on()
                page.drag(1)
                found = page.drag(5)
            after = bare_rate(running.url, graph)
            base = statistics.mean([before, after])
            shares.append(found / base)
            both = f"{before:.1f}, {after:.1f}"
            cells = [renderer, both, f"{instant:.1f}", f"{found:.1f}", f"{found / base:.0%}"]
            print("| " + " | ".join(cells) + " |", flush=True)
    return statistics.median(shares) < SHARE


def bare_rate(url, graph, seconds=5):
    """What bare() finds, in a thread: Playwright's loop runs in this one."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, bare(url, graph, seconds)).result()


async def bare(url, graph, seconds):
    """Pictures a second of the graph, one prompt after the other, with nobody looking on."""
    name, count, start = uuid.uuid4().hex, -1, None
    async with aiohttp.ClientSession() as session:
        async with session.ws_connect(f"{url}/ws?clientId={name}", max_msg_size=0) as socket:
            # the first one loads the model
            while start is None or time.monotonic() < start + seconds:
                count += 1
                graph["8"]["inputs"]["cfg"] = round(1 + count % 100 / 100, 2)
                graph["8"]["inputs"]["noise_seed"] = count
                asked = {"prompt": graph, "client_id": name}
                async with session.post(f"{url}/prompt", json=asked) as answer:
                    run = (await answer.json())["prompt_id"]
                await ended(socket, run)
                start = start or time.monotonic()
    return count / (time.monotonic() - start)


async def ended(socket, run):
    async for message in socket:
        if message.type == aiohttp.WSMsgType.TEXT:
            told = message.json()
            if told["type"] == "execution_success" and told["data"]["prompt_id"] == run:
                return


def soak(browser, running, arguments):
    """Print memory while Live goes at full speed; whether it grows or a file is written."""
    before, samples, pictures = files(running.folder), [], 0
    print("| minute | pictures | server, MB | page, MB |\n|---|---|---|---|")
    with opened(browser, running, arguments.nodes_2) as page:
        goes_on = looking_on(running.url, page) if arguments.looking_on else dragged(page)
        start = time.monotonic()
        while (passed := time.monotonic() - start) < 60 * arguments.minutes:
            pictures += goes_on(25)
            samples.append((passed, resident(running.process.pid) / 1e6, page.heap() / 1e6))
            server, heap = samples[-1][1:]
            print(f"| {passed / 60:.1f} | {pictures:.0f} | {server:.0f} | {heap:.1f} |", flush=True)
    written = files(running.folder) - before
    print(f"files written to output or temp: {len(written)}")
    return int(bool(written) or any([grows(samples, place) for place in (1, 2)]))


def files(base):
    """Files in the folders that ComfyUI writes pictures to."""
    paths = [path for folder in ("output", "temp") for path in (base / folder).rglob("*")]
    return {path for path in paths if path.is_file()}


def dragged(page):
    """A function that drags the slider for so many seconds and counts the pictures."""
    page.switch_live_on()
    # one drag for all of it: each would be kept by the page, to be undone
    page.grab()
    return lambda seconds: page.move(seconds) * seconds


def looking_on(url, page):
    """The same by the bare backend, while the page hears of it as of anybody's runs."""
    graph = page.graph()
    return lambda seconds: bare_rate(url, graph, seconds) * seconds


def grows(samples, place):
    """Print by how much the second half is above the first, once it is warm."""
    values = [one[place] for one in samples if one[0] > WARM] or [samples[-1][place]]
    half = max(1, len(values) // 2)
    growth = statistics.mean(values[-half:]) / statistics.mean(values[:half]) - 1
    print(f"{('server', 'page')[place - 1]}: {growth:+.1%} from the first half to the second")
    return growth > FLAT


def resident(process):
    """Bytes of memory; Linux only."""
    pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    sys.exit(main())

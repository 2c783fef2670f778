"""The page of blind comparisons as a rater meets it, in a browser, on a real ComfyUI."""

import io
import os
import random
import re
import signal
import sqlite3
import struct
import sys
from collections import Counter

import pytest
from picture_sets import golden_set, grey, make_set
from PIL import Image

from fewstep.bootstrap.server import Server, free_port, own_base_directory
from fewstep.evaluate.votes import Votes

# a tenth of the pairs comes again
PROMPTS, PAIRS = 91, 100
# of prompts on which the rater prefers the brighter picture
BIAS = 0.7
NAMES = "zebra", "quagga"
# what somebody may have written as a prompt
NASTY = '<img src=x onerror="window.struck = 1"><script>window.struck = 1</script>\n' + "é" * 19_000
# names of contenders and of their files
SECRET = r"zebra|quagga|\d{5}\.png"
BRIGHTNESS = """async () => Promise.all(["left", "right"].map(async side => {
    const image = document.querySelector(`.frame.${side} img`);
    await image.decode();
    const canvas = new OffscreenCanvas(1, 1).getContext("2d");
    canvas.drawImage(image, 0, 0, 1, 1);
    return canvas.getImageData(0, 0, 1, 1).data[0];
}))"""
# the pair that is on the screen and may be answered
SHOWN = """answered => !document.querySelector("button[name=left]")?.disabled
    && document.querySelector(".frame img")
    && document.querySelector(".count").textContent.startsWith(`${answered} of `)"""


@pytest.fixture(scope="module")
def start(comfyui, tmp_path_factory):
    """() -> a running ComfyUI with two sets of pictures, the same again after it was killed."""
    folder, port = tmp_path_factory.mktemp("pairs"), free_port()
    rows = prompts()
    for name, brightness in zip(NAMES, (60, 180), strict=True):
        make_set(folder / "output" / "fewstep", name, rows, lambda _, b=brightness: grey(b))
    running = []

    def started():
        arguments = ["--cpu", *own_base_directory(folder)]
        server = Server(comfyui, sys.executable, folder, port=port, arguments=arguments, shim=True)
        running.append(server.__enter__())
        server.wait_until_ready()
        return server

    yield started
    for server in running:
        server.stop()


def prompts():
    rows = golden_set(PROMPTS, tags=("faces",))
    return [rows[0]._replace(prompt=NASTY), *rows[1:]]


def prefers_brighter(prompt):
    return random.Random(prompt).random() < BIAS


def choice(page):
    """The key of a rater who sees nothing but the page."""
    left, right = page.evaluate(BRIGHTNESS)
    wants_brighter = prefers_brighter(page.inner_text(".prompt"))
    return "ArrowLeft" if (left > right) == wants_brighter else "ArrowRight"


def kill(server):
    os.killpg(server.process.pid, signal.SIGKILL)
    server.process.wait()


def listen(page):
    """Everything that the page asks for and gets, as it comes: (url, headers, body)."""
    heard = []

    def note(response):
        if not response.url.startswith("data:"):
            heard.append((response.url, response.headers, response.body()))

    page.on("requestfinished", lambda request: note(request.response()))
    return heard


def chunks(png):
    """The names of a PNG file's chunks."""
    found, place = [], 8
    while place < len(png):
        (length,) = struct.unpack(">I", png[place : place + 4])
        found.append(png[place + 4 : place + 8].decode())
        place += length + 12
    return found


def begin(page, url, name="animals"):
    """What somebody does who sets a comparison up."""
    page.goto(f"{url}/fewstep/pairs")
    page.get_by_label("Your name").fill("robot")
    for contender in NAMES:
        page.get_by_label(contender).check()
    page.get_by_label("Name of the comparison").fill(name)
    page.get_by_role("button", name="Begin").click()
    page.wait_for_selector(".frame img")


def rate(page, start, server, killed_at):
    """Answer all pairs; at one of them the server is killed, and it is started again."""
    seen = []
    for answered in range(PAIRS):
        page.wait_for_function(SHOWN, arg=answered)
        source = page.get_attribute(".frame.left img", "src")
        seen.append(int(re.search(r"pictures/(\d+)/left", source)[1]))
        assert not re.search(SECRET, page.content())
        key = choice(page)
        if answered == killed_at:
            kill(server)
            page.keyboard.press(key)
            page.wait_for_function("() => document.getElementById('trouble').textContent")
            assert "does not answer; nothing is lost" in page.inner_text("#trouble")
            server = start()
        else:
            page.keyboard.press(key)
    page.get_by_text("That was the last pair").wait_for()
    return seen


@pytest.fixture(scope="module")
def rated(browser, start):
    """A session of 100 pairs: page, heard, numbers of the pairs that were seen, file of votes."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    page, server = context.new_page(), start()
    begin(page, server.url)
    heard = listen(page)
    page.reload()
    seen = rate(page, start, server, killed_at=40)
    yield page, tuple(heard), seen, server.folder / "output/fewstep/votes/animals.sqlite"
    context.close()


def test_a_hundred_pairs_are_seen_once_each_though_the_server_was_killed(rated):
    page, _, seen, path = rated
    assert seen == list(range(PAIRS))
    assert page.evaluate("() => window.struck") is None
    with sqlite3.connect(path) as db:
        kept = db.execute("SELECT number FROM events WHERE event = 'vote' ORDER BY id").fetchall()
    assert [number for (number,) in kept] == seen


def test_the_result_is_the_raters_bias_within_its_interval(rated):
    page, _, _, path = rated
    page.goto(page.url.split("#")[0] + "#results/animals")
    page.get_by_text("How often").wait_for()
    told = page.inner_text(".is-text")
    low, high = (int(n) / 100 for n in re.search(r"\((\d+) % to (\d+) %\)", told).groups())
    mine = sum(prefers_brighter(golden.prompt) for golden in prompts()) / PROMPTS
    assert low < BIAS < high and low < mine < high and 0.5 < low and high - low < 0.25
    assert re.search(r"quagga is preferred to zebra: \d+ % of the votes", told)
    assert "100 % of the pairs got the same answer" in told
    with Votes(path) as votes:
        bright = [
            vote.score == (vote.a == "quagga") for vote in votes.votes() if not vote.is_repeat
        ]
    assert sum(bright) / len(bright) == pytest.approx(mine)


def test_nothing_in_the_page_or_its_requests_tells_the_sides_apart(rated):
    _, heard, _, path = rated
    told = [f"{url} {headers}".encode() + body for url, headers, body in heard]
    assert len([url for url, _, _ in heard if "/pictures/" in url]) == 2 * PAIRS
    assert not [one[:200] for one in told if re.search(SECRET.encode(), one)]
    pictures = [(url, headers, body) for url, headers, body in heard if "/pictures/" in url]
    assert {tuple(chunks(body)) for _, _, body in pictures} == {("IHDR", "IDAT", "IEND")}
    # what there is to tell is the same on both sides, but for the time and the pictures themselves
    varying = ("date", "content-length")
    told = {
        str({k: v for k, v in headers.items() if k not in varying}) for _, headers, _ in pictures
    }
    assert len(told) == 1
    with Votes(path) as votes:
        shown = [votes.pair("robot", number) for number in range(PAIRS)]
    assert Counter(pair.left for pair in shown if not pair.is_repeat).most_common()[0][1] == 46
    for url, _, body in pictures:
        number, side = re.search(r"pictures/(\d+)/(left|right)", url).groups()
        is_bright = Image.open(io.BytesIO(body)).getpixel((0, 0))[0] > 120
        assert is_bright == (getattr(shown[int(number)], side) == "quagga")


@pytest.fixture
def phone(browser, rated):
    """A page of a comparison that has just begun, on a small screen that is touched."""
    url = rated[0].url.split("/fewstep")[0]
    context = browser.new_context(
        viewport={"width": 390, "height": 800}, has_touch=True, is_mobile=True
    )
    page = context.new_page()
    begin(page, url, "on the way")
    page.wait_for_function(SHOWN, arg=0)
    yield page
    context.close()


def test_on_a_phone_pictures_stand_above_each_other_and_votes_are_touched(phone):
    upper, lower = (phone.locator(f".frame.{side}").bounding_box() for side in ("left", "right"))
    assert upper["y"] + upper["height"] <= lower["y"] and upper["x"] == lower["x"]
    # all of it on one screen
    buttons = [one.bounding_box() for one in phone.locator(".buttons button").all()]
    assert len(buttons) == 5 and {round(box["y"]) for box in buttons} == {round(buttons[0]["y"])}
    assert all(box["y"] + box["height"] <= 800 and box["height"] >= 40 for box in buttons)
    for answered, name in enumerate(["Upper", "Tie", "Lower", "Skip"], 1):
        phone.get_by_role("button", name=name).tap()
        phone.wait_for_function(SHOWN, arg=answered)
    phone.get_by_role("button", name="Undo").tap()
    phone.wait_for_function(SHOWN, arg=3)
    # closed and opened again, it goes on
    phone.reload()
    phone.wait_for_function(SHOWN, arg=3)
    # two comparisons of one name cannot be told apart
    phone.goto(phone.url.split("#")[0])
    for contender in NAMES:
        phone.get_by_label(contender).check()
    phone.get_by_label("Name of the comparison").fill("on the way")
    phone.get_by_role("button", name="Begin").tap()
    phone.get_by_text("that comparison is there").wait_for()


def test_both_pictures_are_zoomed_and_moved_alike(rated):
    page = rated[0]
    places = """() => [...document.querySelectorAll(".frame img")]
        .map(image => getComputedStyle(image).transform)"""
    url = page.url.split("/fewstep")[0]
    page.goto(f"{url}/fewstep/pairs")
    begin(page, url, "zoomed")
    page.wait_for_function(SHOWN, arg=0)
    box = page.locator(".frame.right").bounding_box()
    still = page.evaluate(places)
    page.mouse.move(box["x"] + box["width"] / 4, box["y"] + box["height"] / 2)
    page.mouse.wheel(0, -600)
    page.wait_for_function(f"before => ({places})()[0] !== before", arg=still[0])
    left, right = page.evaluate(places)
    scale, *_, x, y = map(float, re.findall(r"-?[\d.]+", left))
    # what was under the pointer is there still
    assert left == right and 2 < scale < 3
    assert x == pytest.approx(box["width"] / 4 * (1 - scale), rel=0.01)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 4 + 30, box["y"] + box["height"] / 2 - 20)
    page.mouse.up()
    moved, other = page.evaluate(places)
    found = [float(number) for number in re.findall(r"-?[\d.]+", moved)]
    assert moved == other and found[-2:] == pytest.approx([x + 30, y - 20], abs=1)
    page.keyboard.press("0")
    assert page.evaluate(places) == still
    # the next pair is not zoomed
    page.keyboard.press("+")
    page.keyboard.press("ArrowDown")
    page.wait_for_function(SHOWN, arg=1)
    assert page.evaluate(places) == still
